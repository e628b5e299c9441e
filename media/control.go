package media

import (
	"bytes"
	"net/netip"
	"time"
)

// ControlPacket is an RTCP packet that a session sent, or accepted from its peer.
type ControlPacket struct {
	Time          time.Time
	In            bool
	CorrelationID string // see [Session.Correlate]; the call's id without it
	Local, Remote netip.AddrPort
	Data          []byte // the compound packet; the observer's own
}

// Correlate sets under which name observers are told of the session's packets: the SIP Call-ID, for one who puts them
// beside those of SIP. It is called before [Session.Configure].
func (s *Session) Correlate(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.correlation = id
}

func (s *Session) told(in bool, data []byte, remote netip.AddrPort, now time.Time) {
	if s.engine.observe == nil {
		return
	}
	s.mu.Lock()
	id := s.correlation
	s.mu.Unlock()
	s.engine.observe(ControlPacket{
		Time: now, In: in, CorrelationID: id, Data: bytes.Clone(data),
		Local: s.rtcp.local(), Remote: unmapped(remote),
	})
}
