package media

import (
	"slices"
	"sync"
)

// Listener is told of the sound of a call, both directions at once and in step: in is what the peer says, out what is
// sent to it, each the same number of samples (as long as one packet of ours, 20 ms as a rule). One call follows the other without
// a gap from the moment it listens; what is missing is silence, so that the samples of either are a clock. The slices are
// only lent: they are used again after the call. It is called by the goroutine that sends and must not block.
type Listener func(in, out []int16)

// Listen has f told of the session's sound from the next packet on, until stop is called, which may be done more than
// once and by any goroutine, or the session is closed. f may be under way when stop returns. Any number may listen.
func (s *Session) Listen(f Listener) (stop func()) {
	l := &f
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hearing == nil {
		s.hearing = newHearing()
	}
	s.listeners = append(slices.Clip(s.listeners), l)
	return func() { s.deafen(l) }
}

func (s *Session) deafen(l *Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(slices.Clone(s.listeners), func(have *Listener) bool { return have == l })
	if len(s.listeners) == 0 {
		s.hearing = nil
	}
}

// overhear tells who listens of the next samples: out is what is sent, nil for silence.
func (s *Session) overhear(samples int, out []int16) {
	s.mu.Lock()
	hearing, listeners := s.hearing, s.listeners // a list is never changed, but replaced
	s.mu.Unlock()
	if len(listeners) == 0 {
		return
	}
	room := s.engine.frames.Get().(*frame)
	defer s.engine.frames.Put(room)
	in := room.pcm[:samples]
	hearing.take(in)
	if out == nil {
		quiet := s.engine.frames.Get().(*frame)
		defer s.engine.frames.Put(quiet)
		out = quiet.pcm[:samples]
		clear(out)
	}
	for _, l := range listeners {
		(*l)(in, out)
	}
}

const (
	hearingRoom  = SampleRate          // samples of the peer that may wait: a second
	hearingDelay = 3 * SampleRate / 50 // samples: how long the first packet waits for those that are late, 60 ms
)

// hearing is the peer's sound between its packets and who listens: samples stand at their timestamp, late packets and
// those in another order find their place, what was lost is silence.
type hearing struct {
	mu      sync.Mutex
	ring    [hearingRoom]int16 // at timestamp modulo its length; zero where nothing is
	next    uint32             // timestamp that is taken next
	running bool               // next is set
}

func newHearing() *hearing { return &hearing{} }

// put takes over the sound of a packet.
func (h *hearing) put(codec Codec, timestamp uint32, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ahead := int(int32(timestamp - h.next))
	if !h.running || ahead > hearingRoom-maxFrame || ahead < -hearingRoom {
		clear(h.ring[:]) // the first, or the peer's clock leapt
		h.running, h.next = true, timestamp-hearingDelay
	}
	for i, b := range payload {
		if at := timestamp + uint32(i); int32(at-h.next) >= 0 && at-h.next < hearingRoom {
			h.ring[at%hearingRoom] = codec.decode(b)
		}
	}
}

// take moves the samples that are due to dst.
func (h *hearing) take(dst []int16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		clear(dst)
		return
	}
	for i := range dst {
		at := h.next % hearingRoom
		dst[i], h.ring[at] = h.ring[at], 0
		h.next++
	}
}
