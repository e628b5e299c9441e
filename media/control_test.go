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

func TestAnObserverIsToldOfTheRTCPOfASessionAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		correlate func(*Session)
		want      string
	}{
		"under the name that was set":       {func(s *Session) { s.Correlate("abc@example.com") }, "abc@example.com"},
		"under the call's id where none is": {func(*Session) {}, "c-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan ControlPacket, 10)
				b := newBench(t)
				b.engine.observe = func(p ControlPacket) { told <- p }
				tc.correlate(b.Session)
				b.Configure(params())
				own := netip.AddrPortFrom(b.local().Addr(), b.local().Port()+1)
				report := rtcp.ReceiverReport{SSRC: 42}
				raw, err := report.Marshal()
				require.NoError(t, err)
				b.rtcp.send(raw, own)
				b.rtcp.send([]byte("no RTCP"), own)
				b.network.peer("198.51.100.99:4001").send(raw, own) // a stranger, once the peer is known
				synctest.Wait()
				require.Len(t, told, 1)
				assert.Equal(t, ControlPacket{
					Time: time.Now(), In: true, CorrelationID: tc.want, Local: own, Remote: phoneRTCP, Data: raw,
				}, <-told)

				time.Sleep(time.Second)
				require.NoError(t, b.Close())
				bye := <-told
				assert.False(t, bye.In)
				assert.Equal(t, tc.want, bye.CorrelationID)
				assert.Equal(t, phoneRTCP, bye.Remote)
				sent := b.rtcp.waiting()
				assert.Equal(t, sent[len(sent)-1].b, bye.Data)
			})
		})
	}
}
