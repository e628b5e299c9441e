package media

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// strokesOf presses keys, each for so long and with a pause behind it.
func strokesOf(keys string, length, pause time.Duration) (all []Stroke) {
	for _, key := range []byte(keys) {
		all = append(all, Stroke{key, length, pause})
	}
	return all
}

func TestDigitsAreSentAsEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		ptime time.Duration
		keys  []Stroke
		took  time.Duration
		// of the first key:
		durations []uint16      // of its packets, the last three of which tell its end
		second    time.Duration // where the next one begins; 0: there is none
	}{
		"as usual":       {0, strokesOf("1D", 100*time.Millisecond, 60*time.Millisecond), 320 * time.Millisecond, []uint16{160, 320, 480, 640, 800, 800, 800}, 160 * time.Millisecond},
		"the shortest":   {0, strokesOf("##", 50*time.Millisecond, 50*time.Millisecond), 200 * time.Millisecond, []uint16{160, 320, 400, 400, 400}, 100 * time.Millisecond},
		"between frames": {0, strokesOf("09", 65*time.Millisecond, 60*time.Millisecond), 260 * time.Millisecond, []uint16{160, 320, 480, 520, 520, 520}, 125 * time.Millisecond},
		"longer packets": {40 * time.Millisecond, strokesOf("*7", 100*time.Millisecond, 60*time.Millisecond), 320 * time.Millisecond, []uint16{320, 640, 800, 800, 800}, 160 * time.Millisecond},
		"pauses alone":   {0, []Stroke{{Pause: 500 * time.Millisecond}, {Pause: 500 * time.Millisecond}}, time.Second, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				p := params()
				p.PTime = tc.ptime
				b.Configure(p)
				start := time.Now()
				require.NoError(t, b.SendDigits(t.Context(), tc.keys))
				assert.InDelta(t, tc.took, time.Since(start), float64(40*time.Millisecond))
				packets, _ := received(t, b.rtp)
				var e events
				var told []byte
				var begins []uint32
				var durations []uint16
				for i, packet := range packets {
					require.Equal(t, packets[0].SequenceNumber+uint16(i), packet.SequenceNumber)
					if packet.PayloadType != 101 {
						continue
					}
					key, first := e.packet(PCMU, &packet.Header, packet.Payload)
					require.Equal(t, first, packet.Marker, "the marker is on the first packet of an event")
					if first {
						told, begins = append(told, key), append(begins, packet.Timestamp)
					}
					if len(told) == 1 {
						durations = append(durations, binary.BigEndian.Uint16(packet.Payload[2:]))
						assert.Equal(t, len(durations) > len(tc.durations)-3, packet.Payload[1]&0x80 != 0, "packet %d", i)
					}
				}
				assert.Equal(t, tc.durations, durations)
				if tc.durations == nil {
					return
				}
				assert.Equal(t, []byte{tc.keys[0].Key, tc.keys[1].Key}, told)
				assert.Equal(t, uint32(samplesIn(tc.second)), begins[1]-begins[0])
			})
		})
	}
}

func TestDigitsAreSentAsTonesWhereNoEventsWereAgreedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p := params()
		p.EventType = 0
		b.Configure(p)
		require.NoError(t, b.SendDigits(t.Context(), append(strokesOf(Digits, 60*time.Millisecond, 60*time.Millisecond), Stroke{Pause: time.Second})))
		var heard tones
		var got []byte
		packets, _ := received(t, b.rtp)
		for _, packet := range packets {
			require.Equal(t, uint8(0), packet.PayloadType)
			heard.packet(PCMU, packet.Timestamp, sounds(t, PCMU, packet.Payload), func(key byte) { got = append(got, key) })
		}
		assert.Equal(t, Digits, string(got))
	})
}

func TestDigitsOnHoldAreNotSentAndTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		p := params()
		p.Send = false
		b.Configure(p)
		start := time.Now()
		require.NoError(t, b.SendDigits(t.Context(), strokesOf("12", 100*time.Millisecond, 100*time.Millisecond)))
		assert.InDelta(t, 400*time.Millisecond, time.Since(start), float64(20*time.Millisecond))
		packets, _ := received(t, b.rtp)
		assert.Empty(t, packets)
	})
}

func TestSendingDigitsEnds(t *testing.T) {
	gone := errors.New("gone")
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, end := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { end(gone) })
		require.ErrorIs(t, b.SendDigits(ctx, strokesOf("1", time.Second, time.Second)), gone, "before the sound began")
		b.Configure(params())
		ctx, end = context.WithCancelCause(t.Context())
		time.AfterFunc(990*time.Millisecond, func() { end(gone) }) // between two packets
		require.ErrorIs(t, b.SendDigits(ctx, strokesOf("1", 5*time.Second, time.Second)), gone)
		synctest.Wait()
		received(t, b.rtp)
		time.Sleep(time.Second)
		packets, _ := received(t, b.rtp)
		for _, packet := range packets {
			require.Equal(t, uint8(0), packet.PayloadType, "sound again")
		}
		require.NoError(t, b.engine.Close())
		require.ErrorIs(t, b.SendDigits(t.Context(), strokesOf("1", time.Second, time.Second)), ErrClosed)
	})
}
