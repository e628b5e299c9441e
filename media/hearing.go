package media

import (
	"slices"
	"sync"
	"time"

	"github.com/callengine/callengine/media/jitter"
	"github.com/pion/rtp"
)

// Listener is told of the sound of a call, both directions at once and in step: in is what the peer says, out what is
// sent to it, each the same number of samples (as long as one packet of ours, 20 ms as a rule). One call follows the other
// without a gap from the moment it listens; what was lost is made up or else silence, so that the samples of either are a
// clock. What the peer says is held back for as long as its packets' delay varies, 25 to 200 ms. What it could not send in
// time and sends at once, up to a second of it, is heard later; the delay is made up for where the peer pauses. The slices
// are only lent: they are used again after the call. It is called by the goroutine that sends and must not block.
type Listener func(in, out []int16)

// Listen has f told of the session's sound from the next packet on, until stop is called, which may be done more than
// once and by any goroutine, or the session is closed. f may be under way when stop returns. Any number may listen.
func (s *Session) Listen(f Listener) (stop func()) {
	l := &f
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hearing == nil {
		s.hearing = newHearing(s.engine.counters)
	}
	s.listeners = append(slices.Clip(s.listeners), l)
	return func() { s.deafen(l) }
}

// overheard reports whether anybody listens.
func (s *Session) overheard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.listeners) > 0
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
	hearing.take(in, time.Now())
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

// hearing is the peer's sound between its packets and who listens.
type hearing struct {
	mu     sync.Mutex
	buffer *jitter.Buffer
}

func newHearing(c Counters) *hearing {
	return &hearing{buffer: jitter.New(func(codec uint8) jitter.Decoder { return newDecoder(Codec(codec)) }, lateAndConcealed{c})}
}

// put takes over a packet of sound.
func (h *hearing) put(codec Codec, p *rtp.Packet, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Put(jitter.Packet{
		Format: jitter.Format{Type: p.PayloadType, Codec: uint8(codec), Clock: codec.Clock()},
		SSRC:   p.SSRC, Sequence: p.SequenceNumber, Timestamp: p.Timestamp, Payload: p.Payload,
	}, now)
}

// skip takes note of a packet without sound.
func (h *hearing) skip(header *rtp.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Skip(header.SSRC, header.SequenceNumber)
}

// take moves the samples that are due to dst.
func (h *hearing) take(dst []int16, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Take(dst, now)
}

// lateAndConcealed tells the engine's counters what a jitter buffer does.
type lateAndConcealed struct{ Counters }

func (c lateAndConcealed) Late(packets int) { c.RTPLate(packets) }

func (c lateAndConcealed) Concealed(samples int) {
	c.RTPConcealed(time.Duration(samples) * time.Second / SampleRate)
}
