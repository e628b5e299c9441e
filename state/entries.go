package state

// chunkLen is how many entries are stored together: most calls fill a few chunks, and none is ever copied to grow.
const chunkLen = 16

// entries are the journal of one call, by number from 1.
type entries struct{ chunks [][]Entry }

func (l *entries) len() int {
	if len(l.chunks) == 0 {
		return 0
	}
	return (len(l.chunks)-1)*chunkLen + len(l.chunks[len(l.chunks)-1])
}

func (l *entries) add(e Entry) {
	last := len(l.chunks) - 1
	if last < 0 || len(l.chunks[last]) == chunkLen {
		l.chunks = append(l.chunks, make([]Entry, 0, chunkLen))
		last++
	}
	l.chunks[last] = append(l.chunks[last], e)
}

// at returns the entry with a number that is there.
func (l *entries) at(seq uint64) Entry {
	i := int(seq) - 1
	return l.chunks[i/chunkLen][i%chunkLen]
}

// all returns a copy.
func (l *entries) all() []Entry {
	all := make([]Entry, 0, l.len())
	for _, c := range l.chunks {
		all = append(all, c...)
	}
	return all
}
