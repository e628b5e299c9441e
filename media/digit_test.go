package media

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sendEvents has the phone send the packets of pressed keys, 20 ms apart.
func sendEvents(t *testing.T, b *bench, from *memoryConn, packets []eventPacket) {
	t.Helper()
	for _, packet := range packets {
		raw, err := (&rtp.Packet{Header: *packet.header(), Payload: packet.payload()}).Marshal()
		require.NoError(t, err)
		from.send(raw, b.local())
		time.Sleep(20 * time.Millisecond)
	}
}

func TestDigitsOfThePeerAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var got []Digit
		b.OnDigit(func(d Digit) { got = append(got, d) })
		b.Configure(params())
		began := time.Now()
		sendEvents(t, b, b.rtp, pressed("1#", 5))
		synctest.Wait()
		assert.Equal(t, []Digit{{Key: '1', Time: began}, {Key: '#', Time: began.Add(140 * time.Millisecond)}}, got, "each when it begins")

		stranger := b.network.peer("203.0.113.66:5555")
		sendEvents(t, b, stranger, pressed("7", 5))
		p := params()
		p.Receive = false
		b.Configure(p)
		sendEvents(t, b, b.rtp, pressed("8", 5))
		synctest.Wait()
		assert.Len(t, got, 2, "neither from a stranger nor on hold")
	})
}

func TestAKeyToldInTwoWaysCountsOnce(t *testing.T) {
	type told struct {
		after time.Duration // since the one before
		key   byte
		way   Way
		long  time.Duration
	}
	for name, tc := range map[string]struct {
		told []told
		want string
	}{
		"by INFO alone":               {[]told{{0, '1', ByINFO, 0}, {0, '1', ByINFO, 0}, {0, '2', ByINFO, 0}}, "112"},
		"an event, then INFO":         {[]told{{0, '1', ByEvent, 0}, {300 * time.Millisecond, '1', ByINFO, 0}}, "1"},
		"INFO, then an event":         {[]told{{0, '1', ByINFO, 0}, {300 * time.Millisecond, '1', ByEvent, 0}}, "1"},
		"each of three":               {[]told{{0, '1', ByTone, 0}, {0, '1', ByINFO, 0}, {0, '2', ByTone, 0}, {0, '2', ByINFO, 0}, {0, '2', ByTone, 0}, {0, '2', ByINFO, 0}}, "122"},
		"INFO behind":                 {[]told{{0, '1', ByEvent, 0}, {0, '1', ByEvent, 0}, {0, '1', ByINFO, 0}, {0, '1', ByINFO, 0}}, "11"},
		"INFO when the key is let go": {[]told{{0, '1', ByEvent, 0}, {3 * time.Second, '1', ByINFO, 3 * time.Second}}, "1"},
		"another time":                {[]told{{0, '1', ByEvent, 0}, {2 * time.Second, '1', ByINFO, 0}}, "11"},
		"another key":                 {[]told{{0, '1', ByEvent, 0}, {0, '2', ByINFO, 0}}, "12"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var got []byte
				b.OnDigit(func(d Digit) { got = append(got, d.Key) })
				for _, x := range tc.told {
					time.Sleep(x.after)
					b.Press(Digit{Key: x.key, Way: x.way, Length: x.long})
				}
				assert.Equal(t, tc.want, string(got))
			})
		})
	}
}
