package hep

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pion/rtcp"
)

// ErrNoReport means that an RTCP packet holds no report.
var ErrNoReport = errors.New("hep: no report in the RTCP packet")

// Types of RTCP packets (RFC 3550 section 12.1).
const (
	typeSenderReport   = 200
	typeReceiverReport = 201
)

// reports is the JSON that Homer reads. Its names are those that captagent gave them and that others have kept.
type reports struct {
	Sender *senderInfo   `json:"sender_information,omitempty"`
	SSRC   uint32        `json:"ssrc"`
	Type   int           `json:"type"`
	Count  int           `json:"report_count"`
	Blocks []reportBlock `json:"report_blocks"`
}

type senderInfo struct {
	NTPSeconds   uint32 `json:"ntp_timestamp_sec"`
	NTPFraction  uint32 `json:"ntp_timestamp_usec"` // of a second, in units of 2^-32: the name is wrong, and everybody's
	RTPTimestamp uint32 `json:"rtp_timestamp"`
	Packets      uint32 `json:"packets"`
	Octets       uint32 `json:"octets"`
}

type reportBlock struct {
	SSRC         uint32 `json:"source_ssrc"`
	FractionLost uint8  `json:"fraction_lost"` // in 256ths
	PacketsLost  int32  `json:"packets_lost"`
	HighestSeq   uint32 `json:"highest_seq_no"`
	Jitter       uint32 `json:"ia_jitter"` // in units of the RTP timestamp
	LastSR       uint32 `json:"lsr"`
	DelaySinceSR uint32 `json:"dlsr"` // in 65536ths of a second
}

// ReportsJSON returns the first sender's or receiver's report of a compound RTCP packet (RFC 3550 section 6.4) as the JSON
// that a collector takes under [RTCP]. The error is [ErrNoReport] if there is none, or says why the packet cannot be read.
func ReportsJSON(compound []byte) ([]byte, error) {
	packets, err := rtcp.Unmarshal(compound)
	if err != nil {
		return nil, fmt.Errorf("hep: %w", err)
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			return json.Marshal(withBlocks(reports{
				SSRC: p.SSRC, Type: typeSenderReport,
				Sender: &senderInfo{
					NTPSeconds: uint32(p.NTPTime >> 32), NTPFraction: uint32(p.NTPTime), RTPTimestamp: p.RTPTime,
					Packets: p.PacketCount, Octets: p.OctetCount,
				},
			}, p.Reports))
		case *rtcp.ReceiverReport:
			return json.Marshal(withBlocks(reports{SSRC: p.SSRC, Type: typeReceiverReport}, p.Reports))
		}
	}
	return nil, ErrNoReport
}

func withBlocks(r reports, blocks []rtcp.ReceptionReport) reports {
	r.Count, r.Blocks = len(blocks), []reportBlock{}
	for _, b := range blocks {
		r.Blocks = append(r.Blocks, reportBlock{
			SSRC: b.SSRC, FractionLost: b.FractionLost,
			PacketsLost: int32(b.TotalLost<<8) >> 8, // it has a sign, in 24 bits
			HighestSeq:  b.LastSequenceNumber, Jitter: b.Jitter, LastSR: b.LastSenderReport, DelaySinceSR: b.Delay,
		})
	}
	return r
}
