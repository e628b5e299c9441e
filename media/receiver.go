package media

import (
	"net/netip"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"go.uber.org/zap"
)

// receive has packets handled from now on.
func (s *Session) receive() {
	s.rtp.listen(handler{packet: s.receiveRTP, lost: func(err error) { s.lost(s.rtp, err) }})
	s.rtcp.listen(handler{packet: s.receiveRTCP, lost: func(err error) { s.lost(s.rtcp, err) }})
}

func (s *Session) receiveRTP(a *arrival) {
	defer s.survive()
	s.packet(&a.rtp, a.data, a.from, a.at)
}

func (s *Session) receiveRTCP(a *arrival) {
	defer s.survive()
	s.controlPacket(a.data, a.from, a.at)
}

// survive drops a packet whose handling panics: foreign bytes must not end the process.
func (s *Session) survive() {
	if v := recover(); v != nil {
		s.panicked("panic over a received packet", v)
	}
}

func (s *Session) panicked(what string, v any) {
	s.engine.counters.PanicRecovered()
	s.logger().Error(what, zap.Any("panic", v), zap.Stack("stack"))
}

func (s *Session) lost(from socket, err error) {
	s.logger().Warn("media socket given up", zap.Stringer("local", from.local()), zap.Error(err))
}

// packet handles one packet of the RTP socket. What is not RTP of the session's peer is dropped in silence.
func (s *Session) packet(p *rtp.Packet, b []byte, from netip.AddrPort, now time.Time) {
	if g := s.guarding(); g != nil {
		if s.handshaken(s.rtp, b, from, now) {
			return
		}
		if b = g.rtp.open(b); b == nil {
			s.engine.counters.RTPRejected(1)
			return
		}
	}
	if err := p.Unmarshal(b); err != nil || p.Version != 2 {
		return
	}
	// RFC 5761 section 4: RTCP looks like the payload types 64 to 95.
	if p.PayloadType >= 64 && p.PayloadType <= 95 {
		return
	}
	switch accepted, foreign := s.accept(&p.Header, from, now); {
	case accepted:
		s.engine.counters.RTPReceived(1)
		s.hear(p, now)
		s.keys(p)
	case foreign:
		s.engine.counters.RTPIgnored(1)
	}
}

// guarding returns what protects the session's packets; nil: nothing does.
func (s *Session) guarding() *guards {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guards
}

// hear keeps the sound of a packet for who listens.
func (s *Session) hear(p *rtp.Packet, now time.Time) {
	s.mu.Lock()
	codec, sound := s.codecOf(p.PayloadType)
	hearing := s.hearing
	s.mu.Unlock()
	switch {
	case hearing == nil:
	case sound:
		hearing.put(codec, p, now)
	default:
		hearing.skip(&p.Header)
	}
}

// codecOf returns which codec a payload type stands for; false: none. RFC 3264 section 8.3.2: after a change, packets of what
// was agreed on before are still on their way. The session's lock is held.
func (s *Session) codecOf(payloadType uint8) (Codec, bool) {
	switch payloadType {
	case s.params.PayloadType:
		return s.params.Codec, true
	case s.before.PayloadType:
		return s.before.Codec, s.before.known && payloadType != s.params.EventType
	}
	return 0, false
}

// keys looks for digits in a packet of the peer: for events where they were agreed on, else for tones in the sound.
func (s *Session) keys(p *rtp.Packet) {
	s.mu.Lock()
	agreed := s.params
	s.mu.Unlock()
	switch {
	case agreed.EventType != 0 && p.PayloadType == agreed.EventType:
		if key, begins := s.events.packet(agreed.Codec, &p.Header, p.Payload); begins {
			s.Press(Digit{Key: key, Way: ByEvent})
		}
	case agreed.EventType == 0 && p.PayloadType == agreed.PayloadType:
		if s.ear == nil {
			s.ear = newEar(agreed.Codec)
		}
		s.ear.packet(agreed.Codec, p.Timestamp, p.Payload, s.heard)
	}
}

// heard is told of a digit whose tone has begun.
func (s *Session) heard(key byte) { s.Press(Digit{Key: key, Way: ByTone}) }

// accept latches to the peer and counts the packet. Foreign ones come from where the peer is not, or may not be.
func (s *Session) accept(h *rtp.Header, from netip.AddrPort, now time.Time) (accepted, foreign bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.params.Receive || !usable(from) {
		return false, false
	}
	_, audio := s.codecOf(h.PayloadType)
	event := s.params.EventType != 0 && h.PayloadType == s.params.EventType
	if s.media.latched != from {
		if s.media.latched.IsValid() || !s.permitted(&s.media, from, now) {
			return false, true
		}
		if !audio && !event || !s.reception.latching.passed(h, from) && from != s.media.signalled {
			return false, false
		}
		s.media.latched = from
	}
	// Other payload types (comfort noise, say) are not heard, but they take part in the sequence.
	s.reception.packet(h, timestampOf(now, s.params.Codec), audio)
	return true, false
}

// timestampOf returns the time in units of a codec's RTP timestamp, from an arbitrary start.
func timestampOf(t time.Time, c Codec) uint32 {
	return uint32(t.UnixNano() / int64(time.Second/SampleRate) * int64(c.ticks(1)))
}

// controlPacket handles one packet of the RTCP socket.
func (s *Session) controlPacket(b []byte, from netip.AddrPort, now time.Time) {
	if g := s.guarding(); g != nil {
		if s.handshaken(s.rtcp, b, from, now) {
			return
		}
		if b = g.rtcp.openControl(b); b == nil {
			s.engine.counters.RTPRejected(1)
			return
		}
	}
	packets, err := rtcp.Unmarshal(b)
	if err != nil || !usable(from) || !s.controlled(packets, from, now) {
		return
	}
	s.told(true, b, from, now)
}

// controlled takes what the peer's packets say; false: they are nobody's.
func (s *Session) controlled(packets []rtcp.Packet, from netip.AddrPort, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.control.latched != from {
		// Once the peer's address is known from RTP, its RTCP comes from there too.
		known := s.media.latched.IsValid()
		if s.control.latched.IsValid() || known && s.media.latched.Addr() != from.Addr() || !known && !s.permitted(&s.control, from, now) {
			return false
		}
		s.control.latched = from
	}
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok {
			s.report = senderReport{last: uint32(sr.NTPTime >> 16), at: now}
		}
	}
	return true
}
