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
	// EventClock is by which clock events tell how long they last, in ticks a second; 0: by that of Codec.
	EventClock int

	// Remote is where the peer wants RTP, RemoteRTCP where it wants RTCP (zero: the port above Remote's). RTP from
	// another address may move the sending there (see [Session.Configure]). A zero or unspecified Remote: nothing is sent
	// until the peer has.
	Remote, RemoteRTCP netip.AddrPort

	// Source is the address from which the signalling came; zero: not known. See [Latching].
	Source netip.Addr

	// Secure is how sound is protected.
	Secure Secure

	// Send and Receive are the direction as seen from here; on hold one of them or both are false.
	Send, Receive bool

	// PTime is the sound in one packet; 0: 20 ms. What is not a multiple of 10 ms up to 60 ms, or no length that the codec has
	// (Opus: 10, 20, 40 and 60 ms), is taken as 20 ms.
	PTime time.Duration
}

const (
	defaultPTime = 20 * time.Millisecond
	maxPTime     = 60 * time.Millisecond

	maxFrame = SampleRate / 1000 * int(maxPTime/time.Millisecond) // samples in the longest packet
)

// ptime returns the packet time that is used.
func (p Params) ptime() time.Duration {
	if p.PTime < 10*time.Millisecond || p.PTime > maxPTime || p.PTime%(10*time.Millisecond) != 0 ||
		p.Codec == Opus && (p.PTime == 30*time.Millisecond || p.PTime == 50*time.Millisecond) {
		return defaultPTime
	}
	return p.PTime
}

// eventClock returns by which clock events tell how long they last.
func (p Params) eventClock() int {
	if p.EventClock == 0 {
		return p.Codec.Clock()
	}
	return p.EventClock
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
