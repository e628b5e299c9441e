package media

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// tapping is how somebody presses keys whose tones are heard.
type tapping struct {
	tone, pause time.Duration
	level       float64 // of the low frequency, dBm0
	twist       float64 // by how many dB the high one is stronger
	off         float64 // by which part both are too high
	noise       float64 // level, dBm0; 0: none
	before      int     // samples of silence, so that the tones begin anywhere
}

// amplitude of a sine of a level: +3.17 dBm0 is as loud as G.711 can be.
func amplitude(dBm0 float64) float64 { return 32124 * math.Pow(10, (dBm0-3.17)/20) }

func (k tapping) sound(keys string) []int16 {
	random := rand.New(rand.NewPCG(1, 2))
	pcm := make([]int16, k.before)
	for _, key := range keys {
		i := strings.IndexRune(toneKeys, key)
		low, high := lowTones[i/4]*(1+k.off), highTones[i%4]*(1+k.off)
		for n := range samplesIn(k.tone) {
			t := 2 * math.Pi * float64(n) / SampleRate
			pcm = append(pcm, int16(amplitude(k.level)*math.Sin(low*t)+amplitude(k.level+k.twist)*math.Sin(high*t)))
		}
		pcm = append(pcm, make([]int16, samplesIn(k.pause))...)
	}
	if k.noise != 0 {
		for i := range pcm {
			pcm[i] += int16(amplitude(k.noise) * random.NormFloat64() / math.Sqrt2)
		}
	}
	return pcm
}

// inPackets sends sound as packets of 20 ms, all but those that are lost, and returns the digits that are heard.
func inPackets(codec Codec, pcm []int16, lost func(i int) bool) string {
	var heard []byte
	to, from := newEncoder(codec), newEar(codec)
	frame, payload := samplesIn(defaultPTime), make([]byte, maxPayload)
	for i := 0; (i+1)*frame <= len(pcm); i++ {
		n := to.encode(payload, pcm[i*frame:(i+1)*frame])
		if lost == nil || !lost(i) {
			from.packet(codec, uint32(codec.ticks(i*frame))-2000, payload[:n], func(key byte) { heard = append(heard, key) })
		}
	}
	return string(heard)
}

func TestTonesAreDigits(t *testing.T) {
	t.Parallel()
	const all = "147*2580369#ABCD1122"
	usual := tapping{tone: 80 * time.Millisecond, pause: 80 * time.Millisecond, level: -10}
	for name, tc := range map[string]struct {
		change func(*tapping)
		lost   func(i int) bool
		codecs []Codec // beside the two of G.711
		want   string  // "": all
	}{
		"as phones send them":       {codecs: []Codec{G722, Opus}},
		"40 ms, and 40 ms between":  {change: func(k *tapping) { k.tone, k.pause = 40*time.Millisecond, 40*time.Millisecond }},
		"long":                      {change: func(k *tapping) { k.tone = 3 * time.Second }},
		"loud":                      {change: func(k *tapping) { k.level = -4 }},
		"quiet":                     {change: func(k *tapping) { k.level = -30 }},
		"the low ones 6 dB louder":  {change: func(k *tapping) { k.level, k.twist = -5, -6 }},
		"the high ones 3 dB louder": {change: func(k *tapping) { k.twist = 3 }},
		"1.5% too high":             {change: func(k *tapping) { k.off = 0.015 }},
		"1.5% too low":              {change: func(k *tapping) { k.off = -0.015 }},
		"in noise, 20 dB below":     {change: func(k *tapping) { k.noise = -30 }},
		"with every fifth packet lost": {
			change: func(k *tapping) { k.tone, k.pause = 120*time.Millisecond, 120*time.Millisecond },
			lost:   func(i int) bool { return i%5 == 4 },
		},
		"with every fiftieth packet lost": {
			change: func(k *tapping) { k.tone, k.pause = 160*time.Millisecond, 120*time.Millisecond },
			lost:   func(i int) bool { return i%50 == 49 },
			codecs: []Codec{G722}, // Opus needs longer to find back
		},
		"of 20 ms":                    {change: func(k *tapping) { k.tone = 20 * time.Millisecond }, want: "-"},
		"the low ones 10 dB louder":   {change: func(k *tapping) { k.level, k.twist = -5, -10 }, want: "-"},
		"the high ones 6 dB louder":   {change: func(k *tapping) { k.twist = 6 }, want: "-"},
		"below the noise":             {change: func(k *tapping) { k.noise = -4 }, want: "-"},
		"below what a line transmits": {change: func(k *tapping) { k.level = -45 }, want: "-"},
		"only the low frequency":      {change: func(k *tapping) { k.twist = -60 }, want: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := usual
			if tc.change != nil {
				tc.change(&k)
			}
			want := all
			if tc.want != "" {
				want = strings.Trim(tc.want, "-")
			}
			for _, codec := range append([]Codec{PCMU, PCMA}, tc.codecs...) {
				for k.before = 0; k.before < 34; k.before += 11 { // wherever the windows begin
					require.Equal(t, want, inPackets(codec, k.sound(all), tc.lost), "%v, %d samples later", codec, k.before)
				}
			}
		})
	}
}

// TestSpeechIsNoDigit holds talk-off: voices of women and men, in several languages, say what sounds like tones and what
// does not, for some minutes. Nothing of it is a digit.
func TestSpeechIsNoDigit(t *testing.T) {
	t.Parallel()
	const text = "Hello, how are you? Who knew that you would do it too? We use a few new rules. Ooh, eeh, aah, ooh. " +
		"One, two, three, four, five, six, seven, eight, nine, zero, star, pound. Oh no, the moon is blue, and my shoe is full of goo. " +
		"You hear the loud owl's howl. Please leave me alone: I really need to see Lee, Louie and Lou. Uno, due, tre, quattro. " +
		"Peter Piper picked a peck of pickled peppers; she sells sea shells by the sea shore. Mmm, hmm, yeah, wow, no, now, oh."
	e := &espeak{log: zap.NewNop()}
	spoken := time.Duration(0)
	for _, voice := range []string{"en-us+f3", "en-us+f2", "en-us+m3", "en-us+m7", "en-gb+f3", "de+f3", "de+m3", "es+f2", "fr-fr+m3", "it+f3", "ru+f3", "cmn+f3"} {
		src, err := e.Synthesize(t.Context(), Utterance{Speaker: voice, Text: text})
		require.NoError(t, err)
		pcm := readFrames(t, src)
		require.NoError(t, src.Close())
		spoken += time.Duration(len(pcm)) * time.Second / SampleRate
		assert.Empty(t, inPackets(PCMU, pcm, nil), voice)
	}
	assert.Greater(t, spoken, 5*time.Minute)
}

// sendTones has the phone send sound.
func sendTones(b *bench, payloadType uint8, pcm []int16) {
	for i := range len(pcm) / 160 {
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: uint16(i), Timestamp: uint32(160 * i), SSRC: 42}, Payload: make([]byte, 160)}
		newEncoder(PCMU).encode(p.Payload, pcm[160*i:160*(i+1)])
		raw, err := p.Marshal()
		if err != nil {
			panic(err) // of a header that is written above
		}
		b.rtp.send(raw, b.local())
		time.Sleep(20 * time.Millisecond)
	}
}

func TestTonesCountOnlyWhereNoEventsWereAgreedOn(t *testing.T) {
	for name, tc := range map[string]struct {
		events uint8
		want   string
	}{"no events": {0, "42"}, "events": {101, ""}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				var got []byte
				b.OnDigit(func(d Digit) {
					assert.Equal(t, ByTone, d.Way)
					got = append(got, d.Key)
				})
				p := params()
				p.EventType = tc.events
				b.Configure(p)
				sendTones(b, 0, tapping{tone: 80 * time.Millisecond, pause: 80 * time.Millisecond, level: -10}.sound("42"))
				synctest.Wait()
				assert.Equal(t, tc.want, string(got))
			})
		})
	}
}
