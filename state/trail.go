package state

import "encoding/binary"

// trail is where a call's journal is: the sequence numbers of its messages, in order, each as what it adds to the one
// before. A call has a few bytes of it in memory as long as it is kept.
type trail []byte

// add returns the trail with another message, which comes behind the last one. What was returned before does not change.
func (t trail) add(seq, last uint64) trail { return binary.AppendUvarint(t, seq-last) }

// seqs are the sequence numbers.
func (t trail) seqs() (seqs []uint64) {
	var seq uint64
	for rest := []byte(t); len(rest) > 0; {
		more, n := binary.Uvarint(rest)
		if n <= 0 {
			return seqs
		}
		seq += more
		seqs = append(seqs, seq)
		rest = rest[n:]
	}
	return seqs
}

// trailOf makes a trail.
func trailOf(seqs []uint64) (t trail) {
	var last uint64
	for _, seq := range seqs {
		t, last = t.add(seq, last), seq
	}
	return t
}

// last is the last sequence number; 0: there is none.
func (t trail) last() uint64 {
	if seqs := t.seqs(); len(seqs) > 0 {
		return seqs[len(seqs)-1]
	}
	return 0
}
