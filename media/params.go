package media

import (
	"net/netip"
	"time"
)

// Params is what signalling has agreed on for one session.
type Params struct {
	Codec       Codec
	PayloadType uint8 // of Codec, in both directions

	// EventType is the payload type of telephone-event (RFC 4733); 0: none was agreed on.
	EventType uint8

	// Remote is where the peer wants RTP, RemoteRTCP where it wants RTCP (zero: the port above Remote's). RTP from
	// another address may move the sending there (see [Session.Configure]). A zero or unspecified Remote: nothing is sent
	// until the peer has.
	Remote, RemoteRTCP netip.AddrPort

	// Source is the address from which the signalling came; zero: not known. See [Latching].
	Source netip.Addr

	// Send and Receive are the direction as seen from here; on hold one of them or both are false.
	Send, Receive bool

	// PTime is the sound in one packet; 0: 20 ms. What is not a multiple of 10 ms up to 60 ms is taken as 20 ms.
	PTime time.Duration
}

const (
	defaultPTime = 20 * time.Millisecond
	maxPTime     = 60 * time.Millisecond

	maxFrame = SampleRate / 1000 * int(maxPTime/time.Millisecond) // samples in the longest packet
)

// ptime returns the packet time that is used.
func (p Params) ptime() time.Duration {
	if p.PTime < 10*time.Millisecond || p.PTime > maxPTime || p.PTime%(10*time.Millisecond) != 0 {
		return defaultPTime
	}
	return p.PTime
}

// samplesIn returns how many samples d lasts.
func samplesIn(d time.Duration) int { return int(d * SampleRate / time.Second) }

// usable reports whether packets can be sent to a: RFC 2543 puts a call on hold with the address 0.0.0.0, and RFC 3264
// says with port 0 that there is no stream.
func usable(a netip.AddrPort) bool {
	return a.IsValid() && !a.Addr().IsUnspecified() && a.Port() != 0
}

// rtcpOf returns the address of RTCP that belongs to p (RFC 3605 where it was given, else RFC 3550 section 11).
func rtcpOf(p Params) netip.AddrPort {
	if p.RemoteRTCP.IsValid() {
		return p.RemoteRTCP
	}
	if !p.Remote.IsValid() || p.Remote.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(p.Remote.Addr(), p.Remote.Port()+1)
}
