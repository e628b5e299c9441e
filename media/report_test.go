package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReportsTellWhatWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		sr := rtcp.SenderReport{SSRC: 42, NTPTime: 0x0123456789ABCDEF}
		raw, err := sr.Marshal()
		require.NoError(t, err)
		b.rtcp.send(raw, netip.AddrPortFrom(b.local().Addr(), b.local().Port()+1))
		for i := range uint16(50) {
			if i != 10 && i != 11 {
				b.rtp.send(rtpPacket(t, 0, 65530+i, uint32(i)*160), b.local())
			}
			time.Sleep(20 * time.Millisecond)
		}
		var reports []rtcp.Packet
		for range 4 { // the first comes after 1.25 to 3.75 s
			time.Sleep(time.Second)
			for _, d := range b.rtcp.waiting() {
				compound, err := rtcp.Unmarshal(d.b)
				require.NoError(t, err)
				require.NoError(t, rtcp.CompoundPacket(compound).Validate())
				reports = append(reports, compound...)
			}
		}
		require.NotEmpty(t, reports)
		report := reports[0].(*rtcp.SenderReport)
		require.Len(t, report.Reports, 1)
		block := report.Reports[0]
		assert.Equal(t, uint32(42), block.SSRC)
		assert.Equal(t, uint32(2), block.TotalLost)
		assert.Equal(t, uint8(2*256/50), block.FractionLost)
		assert.Equal(t, uint32(1<<16+43), block.LastSequenceNumber)
		assert.Equal(t, uint32(0), block.Jitter)
		assert.Equal(t, uint32(0x456789AB), block.LastSenderReport)
		assert.NotZero(t, block.Delay)
		assert.Equal(t, report.PacketCount*160, report.OctetCount)
	})
}

func TestByeAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(time.Second)
		require.NoError(t, b.Close())
		all := b.rtcp.waiting()
		require.Len(t, all, 1)
		compound, err := rtcp.Unmarshal(all[0].b)
		require.NoError(t, err)
		bye, ok := compound[len(compound)-1].(*rtcp.Goodbye)
		require.True(t, ok)
		packets, _ := received(t, b.rtp)
		assert.Equal(t, []uint32{packets[0].SSRC}, bye.Sources)
	})
}

func TestNoByeFromWhoSentNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p := params()
		p.Send = false
		b.Configure(p)
		time.Sleep(time.Second)
		require.NoError(t, b.Close())
		assert.Empty(t, b.rtcp.waiting())
	})
}
