package media

import (
	"net/netip"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// minSequential is how many packets in sequence make a stream believed (RFC 3550 appendix A.1).
const minSequential = 2

// probation watches a source that is not believed yet.
type probation struct {
	from netip.AddrPort
	ssrc uint32
	next uint16
	seen int
}

// passed takes note of a packet and reports whether its source is believed now.
func (p *probation) passed(h *rtp.Header, from netip.AddrPort) bool {
	if p.from != from || p.ssrc != h.SSRC || p.next != h.SequenceNumber {
		p.from, p.ssrc, p.seen = from, h.SSRC, 0
	}
	p.next = h.SequenceNumber + 1
	p.seen++
	return p.seen >= minSequential
}

const (
	maxDropout  = 3000 // packets that may be missing at once (RFC 3550 appendix A.1)
	maxMisorder = 100  // packets that one may come late
	noSequence  = 1 << 16
)

// reception counts what comes from the peer, for the reports about it (RFC 3550 appendices A.1, A.3 and A.8).
type reception struct {
	latching probation

	ssrc     uint32
	known    bool   // a stream has begun
	first    uint32 // its first sequence number
	highest  uint16
	cycles   uint32 // times 65536
	restart  uint32 // the sequence number that shows that the peer has begun anew
	received uint32

	expectedBefore, receivedBefore uint32 // at the last report
	lostTold                       int

	arrived bool   // transit is set
	transit uint32 // of the last packet
	jitter  uint32 // times 16
}

// packet counts a packet that arrived at arrival, in units of the timestamp. Only audio tells of jitter: the packets of
// an event all bear the time of its beginning (RFC 4733 section 2.2).
func (r *reception) packet(h *rtp.Header, arrival uint32, audio bool) {
	if !r.known || r.ssrc != h.SSRC {
		r.begin(h)
	} else if !r.sequence(h.SequenceNumber) {
		return
	}
	r.received++
	if !audio {
		return
	}
	transit := arrival - h.Timestamp
	if r.arrived {
		d := int32(transit - r.transit)
		if d < 0 {
			d = -d
		}
		r.jitter += uint32(d) - (r.jitter+8)>>4
	}
	r.transit, r.arrived = transit, true
}

// begin starts to count a new stream.
func (r *reception) begin(h *rtp.Header) {
	*r = reception{
		latching: r.latching, ssrc: h.SSRC, known: true,
		first: uint32(h.SequenceNumber), highest: h.SequenceNumber, restart: noSequence,
	}
}

// sequence follows the sequence numbers; false: the packet is not counted.
func (r *reception) sequence(n uint16) bool {
	switch ahead := n - r.highest; {
	case ahead < maxDropout:
		if n < r.highest {
			r.cycles += 1 << 16
		}
		r.highest = n
	case int(ahead) <= 1<<16-maxMisorder:
		// A great leap: a stray packet, or the peer started anew without telling. Two in sequence decide.
		if uint32(n) != r.restart {
			r.restart = uint32(n+1) & 0xFFFF
			return false
		}
		r.begin(&rtp.Header{SSRC: r.ssrc, SequenceNumber: n})
	}
	return true
}

func (r *reception) expected() uint32 { return r.cycles + uint32(r.highest) - r.first + 1 }

// lost returns how many packets are missing so far; duplicates can make it negative.
func (r *reception) lost() int { return int(r.expected()) - int(r.received) }

// newlyLost returns how many packets were lost that it has not told of.
func (r *reception) newlyLost() int {
	if !r.known {
		return 0
	}
	n := max(r.lost()-r.lostTold, 0)
	r.lostTold += n
	return n
}

// block returns the report about the stream and begins the next interval.
func (r *reception) block() rtcp.ReceptionReport {
	if !r.known {
		return rtcp.ReceptionReport{}
	}
	expected := r.expected() - r.expectedBefore
	lost := int(expected) - int(r.received-r.receivedBefore)
	r.expectedBefore, r.receivedBefore = r.expected(), r.received
	b := rtcp.ReceptionReport{
		SSRC: r.ssrc, LastSequenceNumber: r.cycles | uint32(r.highest), Jitter: r.jitter >> 4,
		TotalLost: uint32(min(max(r.lost(), 0), 1<<23-1)),
	}
	if expected > 0 && lost > 0 {
		b.FractionLost = uint8(min(lost<<8/int(expected), 255))
	}
	return b
}
