package hep

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Protocol says what the payload of a packet is.
type Protocol uint8

const (
	SIP  Protocol = 1 // a SIP message, as it was on the wire
	RTCP Protocol = 5 // reports of RTCP, as JSON: see [ReportsJSON]
)

// Packet is a copy of a message.
type Packet struct {
	Time          time.Time // when it was sent or received; kept to the microsecond
	TCP           bool      // it went over TCP; else over UDP
	Source        netip.AddrPort
	Destination   netip.AddrPort
	Protocol      Protocol
	CaptureID     uint32 // which node has seen it
	Password      string // of the collector; empty: none
	CorrelationID string // what belongs together has the same: the Call-ID; empty: none
	Payload       []byte
}

// Sentinel errors of [Packet.AppendBinary].
var (
	// ErrAddress means that a packet has no valid source or destination.
	ErrAddress = errors.New("hep: an address is missing")
	// ErrTooLong means that a packet would have more than 65535 bytes, which is all that its length can tell.
	ErrTooLong = errors.New("hep: the packet is too long")
)

// Chunk types of the generic vendor, 0.
const (
	chunkFamily        = 0x01
	chunkTransport     = 0x02
	chunkSource4       = 0x03
	chunkDestination4  = 0x04
	chunkSource6       = 0x05
	chunkDestination6  = 0x06
	chunkSourcePort    = 0x07
	chunkDestPort      = 0x08
	chunkSeconds       = 0x09
	chunkMicroseconds  = 0x0a
	chunkProtocol      = 0x0b
	chunkCaptureID     = 0x0c
	chunkPassword      = 0x0e
	chunkPayload       = 0x0f
	chunkCorrelationID = 0x11
)

const (
	familyIPv4 = 2
	familyIPv6 = 10
	protoTCP   = 6
	protoUDP   = 17

	magic     = "HEP3"
	maxPacket = 1<<16 - 1
)

// AppendBinary appends the packet, as it goes on the wire, to b. An IPv4 address beside one of IPv6 is written as IPv6
// (RFC 4291 section 2.5.5.2). It returns b as it was with [ErrAddress] or [ErrTooLong].
func (p Packet) AppendBinary(b []byte) ([]byte, error) {
	from, to := p.Source.Addr().Unmap(), p.Destination.Addr().Unmap()
	if !from.IsValid() || !to.IsValid() {
		return b, ErrAddress
	}
	start := len(b)
	out := append(b, magic...)
	out = append(out, 0, 0) // the length, once it is known
	transport := byte(protoUDP)
	if p.TCP {
		transport = protoTCP
	}
	if from.Is4() && to.Is4() {
		out = appendChunk(out, chunkFamily, familyIPv4)
		out = appendChunk(out, chunkTransport, transport)
		out = appendChunk(out, chunkSource4, from.AsSlice()...)
		out = appendChunk(out, chunkDestination4, to.AsSlice()...)
	} else {
		source, destination := from.As16(), to.As16()
		out = appendChunk(out, chunkFamily, familyIPv6)
		out = appendChunk(out, chunkTransport, transport)
		out = appendChunk(out, chunkSource6, source[:]...)
		out = appendChunk(out, chunkDestination6, destination[:]...)
	}
	out = appendNumber16(out, chunkSourcePort, p.Source.Port())
	out = appendNumber16(out, chunkDestPort, p.Destination.Port())
	out = appendNumber32(out, chunkSeconds, uint32(p.Time.Unix()))
	out = appendNumber32(out, chunkMicroseconds, uint32(p.Time.Nanosecond()/int(time.Microsecond)))
	out = appendChunk(out, chunkProtocol, byte(p.Protocol))
	out = appendNumber32(out, chunkCaptureID, p.CaptureID)
	if len(out)-start+3*chunkHead+len(p.Password)+len(p.CorrelationID)+len(p.Payload) > maxPacket {
		return b, ErrTooLong
	}
	if p.Password != "" {
		out = appendChunk(out, chunkPassword, []byte(p.Password)...)
	}
	if p.CorrelationID != "" {
		out = appendChunk(out, chunkCorrelationID, []byte(p.CorrelationID)...)
	}
	out = appendChunk(out, chunkPayload, p.Payload...)
	binary.BigEndian.PutUint16(out[start+len(magic):], uint16(len(out)-start))
	return out, nil
}

// chunkHead is the bytes before a chunk's value: vendor, type, and the length of it all.
const chunkHead = 6

func appendChunk(b []byte, kind uint16, value ...byte) []byte {
	b = append(b, 0, 0) // the vendor: generic
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(chunkHead+len(value)))
	return append(b, value...)
}

func appendNumber16(b []byte, kind, n uint16) []byte {
	return appendChunk(b, kind, byte(n>>8), byte(n))
}

func appendNumber32(b []byte, kind uint16, n uint32) []byte {
	return appendChunk(b, kind, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
