package media

import (
	"testing"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
)

func TestReceptionFollowsRFC3550(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sequence         []uint16
		received, lost   int
		extended, jitter uint32
	}{
		"in order":                       {sequence: []uint16{1, 2, 3}, received: 3, extended: 3},
		"a gap":                          {sequence: []uint16{1, 2, 5}, received: 3, lost: 2, extended: 5},
		"one comes late":                 {sequence: []uint16{1, 3, 2}, received: 3, extended: 3},
		"one comes twice":                {sequence: []uint16{1, 2, 2, 3}, received: 4, lost: -1, extended: 3},
		"round the corner":               {sequence: []uint16{65534, 65535, 0, 1}, received: 4, extended: 1<<16 + 1},
		"late round the corner":          {sequence: []uint16{65534, 0, 65535}, received: 3, extended: 1 << 16},
		"a stray packet":                 {sequence: []uint16{1, 30000, 2, 3}, received: 3, extended: 3},
		"the peer begins anew":           {sequence: []uint16{1, 2, 30000, 30001, 30002}, received: 2, extended: 30002},
		"the peer begins anew at a wrap": {sequence: []uint16{1000, 40000, 65535, 0}, received: 1, extended: 0},
	} {
		t.Run(name, func(t *testing.T) {
			var r reception
			for _, n := range tc.sequence {
				// As the clock of the sequence goes, no matter in what order: there is no jitter.
				r.packet(&rtp.Header{SSRC: 1, SequenceNumber: n, Timestamp: 160 * uint32(n)}, 160*uint32(n), true)
			}
			assert.Equal(t, uint32(tc.received), r.received)
			assert.Equal(t, tc.lost, r.lost())
			assert.Equal(t, tc.extended, r.block().LastSequenceNumber)
			assert.Zero(t, r.jitter)
		})
	}
}

func TestReceptionCountsLossPerReport(t *testing.T) {
	t.Parallel()
	var r reception
	assert.Zero(t, r.newlyLost(), "nothing has come")
	receive := func(sequence ...uint16) {
		for _, n := range sequence {
			r.packet(&rtp.Header{SSRC: 1, SequenceNumber: n}, 0, true)
		}
	}
	receive(1, 4)
	assert.Equal(t, 2, r.newlyLost())
	assert.Equal(t, uint8(128), r.block().FractionLost)
	receive(5, 6, 7, 8)
	assert.Zero(t, r.newlyLost())
	b := r.block()
	assert.Zero(t, b.FractionLost, "of this interval")
	assert.Equal(t, uint32(2), b.TotalLost, "of the whole stream")
	receive(3)
	assert.Zero(t, r.newlyLost(), "one was only late")
	assert.Equal(t, uint32(1), r.block().TotalLost)
}

func TestReceptionJitterIsThatOfAudioAlone(t *testing.T) {
	t.Parallel()
	var r reception
	arrival := uint32(0)
	for n := range uint16(200) {
		late := uint32(n%2) * 16 // every other packet is 2 ms late
		r.packet(&rtp.Header{SSRC: 1, SequenceNumber: 2 * n, Timestamp: arrival}, arrival+late, true)
		r.packet(&rtp.Header{SSRC: 1, SequenceNumber: 2*n + 1, Timestamp: 0}, arrival, false) // an event that goes on
		arrival += 160
	}
	assert.InDelta(t, 16, r.block().Jitter, 1)
}

func TestReceptionBeginsAnewWithAnotherSource(t *testing.T) {
	t.Parallel()
	var r reception
	r.packet(&rtp.Header{SSRC: 1, SequenceNumber: 9}, 0, true)
	r.packet(&rtp.Header{SSRC: 2, SequenceNumber: 5000}, 0, true)
	assert.Equal(t, uint32(2), r.block().SSRC)
	assert.Zero(t, r.lost())
}
