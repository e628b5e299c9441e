package media

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"time"

	"github.com/pion/rtcp"
)

// reportInterval is the mean time between two reports (RFC 3550 section 6.2: the minimum for few participants).
const reportInterval = 5 * time.Second

// reporter makes the RTCP packets of a sender.
type reporter struct {
	ssrc  uint32
	cname string
	next  time.Time

	timestamp uint32    // of RTP, at the time at
	at        time.Time //
	codec     Codec     // whose clock that is
	packets   uint32
	octets    uint32
	fresh     bool // RTP was sent since the last report
	reported  bool // RTCP was sent
	blocks    []rtcp.ReceptionReport
}

func newReporter(ssrc uint32) reporter {
	// RFC 7022 section 4.2: a name that says nothing about the host and lasts as long as the session.
	var name [12]byte
	_, _ = rand.Read(name[:]) // it never fails (crypto/rand)
	return reporter{ssrc: ssrc, cname: hex.EncodeToString(name[:])}
}

func (r *reporter) start(now time.Time) { r.next = now.Add(spread(reportInterval / 2)) }

// spread varies d by half to either side (RFC 3550 section 6.3.1), so that the reports of many calls do not fall together.
func spread(d time.Duration) time.Duration { return d/2 + mathrand.N(d) }

func (r *reporter) due(now time.Time) bool {
	if now.Before(r.next) {
		return false
	}
	r.next = now.Add(spread(reportInterval))
	return true
}

// clock relates the RTP timestamp of a codec to the time.
func (r *reporter) clock(timestamp uint32, at time.Time, c Codec) {
	r.timestamp, r.at, r.codec = timestamp, at, c
}

// become has what follows told of another source.
func (r *reporter) become(ssrc uint32) {
	if r.ssrc != ssrc {
		r.ssrc, r.packets, r.octets, r.fresh = ssrc, 0, 0, false
	}
}

// sent counts a packet.
func (r *reporter) sent(octets int) {
	r.packets++
	r.octets += uint32(octets)
	r.fresh = true
}

// active reports whether anything was sent.
func (r *reporter) active() bool { return r.packets > 0 || r.reported }

// about sets what the next packet says of the peer's stream.
func (r *reporter) about(b rtcp.ReceptionReport) { r.blocks = []rtcp.ReceptionReport{b} }

// packet returns a compound packet (RFC 3550 section 6.1): a sender's report if RTP was sent since the last one, else a
// receiver's, then who is speaking, then the BYE if there is one.
func (r *reporter) packet(now time.Time, bye bool) ([]byte, error) {
	compound := make([]rtcp.Packet, 0, 3)
	if r.fresh {
		compound = append(compound, &rtcp.SenderReport{
			SSRC: r.ssrc, NTPTime: ntpTime(now),
			RTPTime:     r.timestamp + uint32(int64(now.Sub(r.at))*int64(r.codec.Clock())/int64(time.Second)),
			PacketCount: r.packets, OctetCount: r.octets, Reports: r.blocks,
		})
	} else {
		compound = append(compound, &rtcp.ReceiverReport{SSRC: r.ssrc, Reports: r.blocks})
	}
	compound = append(compound, rtcp.NewCNAMESourceDescription(r.ssrc, r.cname))
	if bye {
		compound = append(compound, &rtcp.Goodbye{Sources: []uint32{r.ssrc}})
	}
	r.fresh, r.reported, r.blocks = false, true, nil
	return rtcp.Marshal(compound)
}

// ntpTime returns t as NTP has it: seconds since 1900 and their binary fraction (RFC 3550 section 4).
func ntpTime(t time.Time) uint64 {
	const from1900to1970 = 2208988800
	seconds := uint64(t.Unix()) + from1900to1970
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return seconds<<32 | fraction
}

// senderReport is what is remembered of the peer's last SR.
type senderReport struct {
	last uint32 // the middle of its NTP time; 0: there was none
	at   time.Time
}

// fill writes into block how long ago the last SR came, so that the peer can measure the round trip (section 6.4.1).
func (r senderReport) fill(block *rtcp.ReceptionReport, now time.Time) {
	if r.last == 0 {
		return
	}
	block.LastSenderReport = r.last
	block.Delay = uint32(int64(now.Sub(r.at)) * 65536 / int64(time.Second))
}
