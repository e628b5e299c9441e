package state

// chunkLen is how many entries are stored together: most calls fill a few chunks, and none is ever copied to grow.
const chunkLen = 16

// entries are the journal of one call, by number from 1, or the end of it.
type entries struct {
	base   int // so many entries before the first chunk are not in memory
	chunks [][]Entry
}

// len is how many entries the journal has, those that are not in memory included.
func (l *entries) len() int {
	if len(l.chunks) == 0 {
		return l.base
	}
	return l.base + (len(l.chunks)-1)*chunkLen + len(l.chunks[len(l.chunks)-1])
}

func (l *entries) add(e Entry) {
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last]) == chunkLen {
		l.chunks = append(l.chunks, make([]Entry, 0, chunkLen))
		last++
	}
	l.chunks[last] = append(l.chunks[last], e)
}

// at returns the entry with a number that is in memory.
func (l *entries) at(seq uint64) Entry {
	i := int(seq) - 1 - l.base
	return l.chunks[i/chunkLen][i%chunkLen]
}

// all returns a copy of what is in memory.
func (l *entries) all() []Entry { return l.after(uint64(l.base)) }

// after returns a copy of the entries behind a number, which is in memory or the last one that is not.
func (l *entries) after(seq uint64) []Entry {
	some := make([]Entry, 0, l.len()-int(seq))
	for i := int(seq) - l.base; i < l.len()-l.base; {
		chunk := l.chunks[i/chunkLen][i%chunkLen:]
		some = append(some, chunk...)
		i += len(chunk)
	}
	return some
}
