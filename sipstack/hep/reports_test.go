package hep_test

import (
	"encoding/json"
	"testing"

	"github.com/callengine/callengine/sipstack/hep"
	"github.com/pion/rtcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReportsAreTheJSONThatHomerReads(t *testing.T) {
	block := rtcp.ReceptionReport{
		SSRC: 2, FractionLost: 64, TotalLost: 0xFFFFFF, LastSequenceNumber: 70000, Jitter: 12, LastSenderReport: 7, Delay: 65536,
	}
	for name, tc := range map[string]struct {
		packets []rtcp.Packet
		want    string
	}{
		"sender's": {
			[]rtcp.Packet{
				&rtcp.SenderReport{SSRC: 1, NTPTime: 3<<32 | 4, RTPTime: 5, PacketCount: 6, OctetCount: 960, Reports: []rtcp.ReceptionReport{block}},
				rtcp.NewCNAMESourceDescription(1, "x"), &rtcp.Goodbye{Sources: []uint32{1}},
			},
			`{"sender_information":{"ntp_timestamp_sec":3,"ntp_timestamp_usec":4,"rtp_timestamp":5,"packets":6,"octets":960},"ssrc":1,"type":200,
			"report_count":1,"report_blocks":[{"source_ssrc":2,"fraction_lost":64,"packets_lost":-1,"highest_seq_no":70000,"ia_jitter":12,"lsr":7,"dlsr":65536}]}`,
		},
		"receiver's": {
			[]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 1}, rtcp.NewCNAMESourceDescription(1, "x")},
			`{"ssrc":1,"type":201,"report_count":0,"report_blocks":[]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := rtcp.Marshal(tc.packets)
			require.NoError(t, err)
			got, err := hep.ReportsJSON(b)
			require.NoError(t, err)
			assert.JSONEq(t, tc.want, string(got))
		})
	}
}

func TestPacketsWithoutAReport(t *testing.T) {
	b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.Goodbye{Sources: []uint32{1}}})
	require.NoError(t, err)
	_, err = hep.ReportsJSON(b)
	require.ErrorIs(t, err, hep.ErrNoReport)
	_, err = hep.ReportsJSON([]byte("no RTCP"))
	require.Error(t, err)
}

func FuzzReportsJSON(f *testing.F) {
	b, err := rtcp.Marshal([]rtcp.Packet{&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2}}}})
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := hep.ReportsJSON(b); err == nil {
			assert.True(t, json.Valid(got))
		}
	})
}
