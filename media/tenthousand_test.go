package media

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

const manyDigits = 10_000

// digitPacket is a packet on its way, and to which of many digits it belongs.
type digitPacket struct {
	digit int
	raw   []byte
}

// someDigits returns so many of all keys, the same ones each time.
func someDigits(random *rand.Rand, n int) string {
	keys := make([]byte, n)
	for i := range keys {
		keys[i] = Digits[random.IntN(len(Digits))]
	}
	return string(keys)
}

// asEvents are the packets of keys pressed for so many frames of 20 ms, of which the last is told three times.
func asEvents(t testing.TB, keys string, frames int) (packets []digitPacket) {
	for i, p := range pressed(keys, frames) {
		raw, err := (&rtp.Packet{Header: *p.header(), Payload: p.payload()}).Marshal()
		require.NoError(t, err)
		packets = append(packets, digitPacket{i / (frames + 2), raw})
	}
	return packets
}

// asTones are the packets of sound in which keys are heard.
func asTones(t testing.TB, keys string, tone time.Duration) (packets []digitPacket) {
	pcm := tapping{tone: tone, pause: tone, level: -10}.sound(keys)
	each := samplesIn(2 * tone)
	for at := 0; at+160 <= len(pcm); at += 160 {
		p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(at / 160), Timestamp: uint32(at), SSRC: 7}, Payload: make([]byte, 160)}
		for i, v := range pcm[at : at+160] {
			p.Payload[i] = linearToMuLaw(v)
		}
		raw, err := p.Marshal()
		require.NoError(t, err)
		packets = append(packets, digitPacket{at / each, raw})
	}
	return packets
}

// lossy is a network that loses one packet in a hundred, brings as many twice, and as many later than the one behind.
func lossy(random *rand.Rand, packets []digitPacket) (arrive []digitPacket) {
	for _, p := range packets {
		switch random.IntN(100) {
		case 0:
		case 1:
			arrive = append(arrive, p, p)
		case 2:
			if n := len(arrive); n > 0 {
				arrive = slices.Insert(arrive, n-1, p)
				continue
			}
			fallthrough
		default:
			arrive = append(arrive, p)
		}
	}
	return arrive
}

// recognised returns how many digits a session is told of, once, by the packets of each; and how many besides, or wrongly.
func recognised(keys string, p Params, packets []digitPacket) (right, wrong int) {
	s := &Session{engine: &Engine{counters: noCounters{}, log: zap.NewNop()}, params: p}
	s.media.signal(phone)
	told := make([]byte, len(keys))
	now := 0
	s.OnDigit(func(d Digit) {
		if told[now] != 0 || d.Key != keys[now] {
			wrong++
			return
		}
		told[now] = d.Key
		right++
	})
	a := &arrival{from: phone, at: time.Unix(946684800, 0)}
	for _, packet := range packets {
		now, a.data = packet.digit, packet.raw
		s.receiveRTP(a)
	}
	return right, wrong
}

// lossyDigits are ways to press keys over a network that loses packets.
var lossyDigits = []struct {
	name    string
	params  func(*Params)
	packets func(t testing.TB, keys string) []digitPacket
	tested  int // how many of them the test presses
	missing int // of so many of them
}{
	{"events", nil, func(t testing.TB, keys string) []digitPacket { return asEvents(t, keys, 5) }, manyDigits, 0},
	{"events-of-40ms", nil, func(t testing.TB, keys string) []digitPacket { return asEvents(t, keys, 2) }, manyDigits, 0},
	// A tone cannot be told when most of it is missing.
	{"tones", func(p *Params) { p.EventType = 0 }, func(t testing.TB, keys string) []digitPacket {
		return asTones(t, keys, 100*time.Millisecond)
	}, 1000, 1},
}

// pressLossy presses keys in such a way, and returns a function that has a session receive what arrives of it.
func pressLossy(t testing.TB, way, n int) func() (right, wrong int) {
	random := rand.New(rand.NewPCG(10, 4733))
	keys, p := someDigits(random, n), params()
	if change := lossyDigits[way].params; change != nil {
		change(&p)
	}
	packets := lossy(random, lossyDigits[way].packets(t, keys))
	return func() (right, wrong int) { return recognised(keys, p, packets) }
}

func TestTenThousandDigitsOverALossyNetwork(t *testing.T) {
	for way, tc := range lossyDigits {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			right, wrong := pressLossy(t, way, tc.tested)()
			assert.GreaterOrEqual(t, right, tc.tested-tc.missing)
			assert.Zero(t, wrong)
		})
	}
}

// BenchmarkDigits reports how many of 10,000 digits are recognised where one packet in a hundred is lost, one comes twice, and
// one comes late: as events of 100 ms and of 40 ms (RFC 4733), and as tones of 100 ms in the sound.
func BenchmarkDigits(b *testing.B) {
	for way, bc := range lossyDigits {
		b.Run(bc.name, func(b *testing.B) {
			press := pressLossy(b, way, manyDigits)
			var right, wrong int
			for b.Loop() {
				right, wrong = press()
			}
			b.ReportMetric(float64(right), "of-10000")
			b.ReportMetric(float64(wrong), "wrong")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/manyDigits, "ns/digit")
			b.ReportMetric(0, "ns/op")
		})
	}
}
