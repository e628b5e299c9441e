package media

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// talker sends a tone as a phone does, every 20 ms, in whichever codec was agreed on.
type talker struct {
	codec   Codec
	encoder encoder
	header  rtp.Header
	at      int // samples sent
}

func newTalker() *talker {
	return &talker{encoder: newEncoder(PCMU), header: rtp.Header{Version: 2, SSRC: 42, SequenceNumber: 65530, Timestamp: 1000}}
}

func (x *talker) change(c Codec, payloadType uint8) {
	if c.Clock() != x.codec.Clock() {
		x.header.SSRC++
	}
	x.codec, x.encoder, x.header.PayloadType = c, newEncoder(c), payloadType
}

func (x *talker) packet(t *testing.T) []byte {
	t.Helper()
	pcm, payload := make([]int16, 160), make([]byte, maxPayload)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*400*float64(x.at+i)/SampleRate))
	}
	x.at += len(pcm)
	p := rtp.Packet{Header: x.header, Payload: payload[:x.encoder.encode(payload, pcm)]}
	x.header.SequenceNumber++
	x.header.Timestamp += uint32(x.codec.ticks(160))
	raw, err := p.Marshal()
	require.NoError(t, err)
	return raw
}

// TestCodecAndAddressChangeWhileSoundGoesBothWays has a re-INVITE come in the middle: who listens goes on to hear the peer,
// its keys still count, and what is played goes on, at the new address and in the new codec.
func TestCodecAndAddressChangeWhileSoundGoesBothWays(t *testing.T) {
	for name, to := range map[string]struct {
		codec  Codec
		number uint8
		event  uint8
	}{
		"another law":       {PCMA, 8, 101},
		"G.722":             {G722, 9, 101},
		"Opus":              {Opus, 111, 110},
		"the same codec":    {PCMU, 0, 101},
		"the same, renamed": {PCMU, 96, 96 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				moved := b.network.peer("198.51.100.9:5000")
				var keys []byte
				b.OnDigit(func(d Digit) { keys = append(keys, d.Key) })
				var in []int16
				stop := b.Listen(func(i, _ []int16) { in = append(in, i...) })
				b.Configure(params())
				played := make(chan error, 1)
				ctx, end := context.WithCancel(t.Context())
				go func() { played <- b.Play(ctx, Ringing()) }()
				time.Sleep(5 * time.Millisecond) // off the beat

				phone, from := newTalker(), b.rtp
				press := func(eventType uint8, code byte) {
					h := phone.header
					h.PayloadType, h.Marker = eventType, true
					raw, err := (&rtp.Packet{Header: h, Payload: []byte{code, 0x8A, 3, 32}}).Marshal()
					require.NoError(t, err)
					from.send(raw, b.local())
					phone.header.SequenceNumber++
				}
				talk := func(packets int) {
					for range packets {
						from.send(phone.packet(t), b.local())
						time.Sleep(20 * time.Millisecond)
					}
				}
				talk(25)
				press(101, 1)
				talk(25)

				p := params()
				p.Codec, p.PayloadType, p.EventType = to.codec, to.number, to.event
				p.Remote = moved.local
				b.Configure(p)
				phone.change(to.codec, to.number)
				from = moved
				sent := b.rtp.waiting()
				talk(25)
				press(to.event, 2)
				talk(25)
				stop()
				time.Sleep(2 * time.Second)
				end()
				require.ErrorIs(t, <-played, context.Canceled)

				synctest.Wait()
				assert.Equal(t, "12", string(keys))
				assert.NotEmpty(t, sent)
				assert.Empty(t, b.rtp.waiting(), "nothing goes to the old address any more")
				packets, _ := received(t, moved)
				heard := make([]int16, 0, 3*SampleRate)
				decode := newDecoder(to.codec)
				pcm := make([]int16, 960)
				for _, p := range packets {
					require.Equal(t, to.number, p.PayloadType)
					n, err := decode.Decode(pcm, p.Payload)
					require.NoError(t, err)
					heard = append(heard, pcm[:n]...)
				}
				assert.Greater(t, loudness(heard[SampleRate/10:SampleRate/2]), 1500.0, "what is played goes on")
				if to.codec.Clock() == SampleRate {
					assert.Equal(t, uint32(160), packets[1].Timestamp-packets[0].Timestamp)
				} else {
					assert.Equal(t, uint32(960), packets[1].Timestamp-packets[0].Timestamp)
				}
				// 2 s of a tone, of which the last part is still held back. Nothing longer than a packet is missing.
				begins := slices.IndexFunc(in, func(v int16) bool { return v > 4000 })
				require.GreaterOrEqual(t, begins, 0)
				holes := 0
				for at := begins; at+160 <= begins+95*160-1600; at += 160 {
					if loudness(in[at:at+160]) < 2000 {
						holes++
					}
				}
				most := 0
				if to.codec.Clock() != SampleRate {
					most = 4 // another source begins: it is held back anew
				}
				assert.LessOrEqual(t, holes, most)
			})
		})
	}
}

func TestAnotherClockIsAnotherSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Configure(params())
		time.Sleep(30*time.Second + 5*time.Millisecond) // off the beat
		before, _ := received(t, b.rtp)
		p := params()
		p.Codec, p.PayloadType = Opus, 111
		b.Configure(p)
		b.rtcp.waiting()
		time.Sleep(30 * time.Second)
		after, _ := received(t, b.rtp)
		assert.NotEqual(t, before[0].SSRC, after[0].SSRC, "RFC 7160 section 4.1")
		assert.True(t, after[0].Marker)
		for _, raw := range b.rtcp.waiting() {
			packets, err := rtcp.Unmarshal(raw.b)
			require.NoError(t, err)
			sr, ok := packets[0].(*rtcp.SenderReport)
			require.True(t, ok)
			assert.Equal(t, after[0].SSRC, sr.SSRC)
			assert.LessOrEqual(t, sr.PacketCount, uint32(len(after)))
		}
	})
}

// TestLongEventsByTheClockOfOpus holds RFC 4733 section 2.5.1.3: by a clock of 48 kHz one event says no more than 1.4 s.
func TestLongEventsByTheClockOfOpus(t *testing.T) {
	for name, clock := range map[string]int{"its own": 0, "that of G.711": 8000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				p := params()
				p.Codec, p.PayloadType, p.EventType, p.EventClock = Opus, 111, 110, clock
				b.Configure(p)
				require.NoError(t, b.SendDigits(t.Context(), []Stroke{{'5', 4 * time.Second, 100 * time.Millisecond}, {'5', 100 * time.Millisecond, 100 * time.Millisecond}}))
				packets, _ := received(t, b.rtp)
				var e events
				var keys []byte
				ticks, stamps := 0, []uint32{}
				for _, packet := range packets {
					if packet.PayloadType != 110 {
						continue
					}
					if key, begins := e.packet(Opus, &packet.Header, packet.Payload); begins {
						keys = append(keys, key)
					}
					if len(keys) == 1 {
						ticks = int(packet.Payload[2])<<8 | int(packet.Payload[3])
						if !slices.Contains(stamps, packet.Timestamp) {
							stamps = append(stamps, packet.Timestamp)
						}
					}
				}
				assert.Equal(t, "55", string(keys))
				if clock == 0 {
					assert.Len(t, stamps, 3)
					assert.Equal(t, 4*48000, (len(stamps)-1)*segmentLength+ticks)
				} else {
					assert.Len(t, stamps, 1)
					assert.Equal(t, 4*8000, ticks)
				}
			})
		})
	}
}
