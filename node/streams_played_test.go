package node_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
)

// linear is a tone as audio/pcm.
func linear(hertz float64, rate int, length time.Duration) []byte {
	pcm := make([]byte, 2*int(length.Seconds()*float64(rate)))
	for i := range len(pcm) / 2 {
		v := int16(8000 * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate)))
		binary.LittleEndian.PutUint16(pcm[2*i:], uint16(v))
	}
	return pcm
}

// muLaw is a tone as audio/pcmu.
func muLaw(hertz float64, length time.Duration) []byte {
	raw := linear(hertz, media.SampleRate, length)
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	payload := make([]byte, len(pcm))
	media.EncodePCMU(payload, pcm)
	return payload
}

// TestWhatTheOtherSideOfAStreamSendsIsPlayed, in every format; the stream's own outbound track has it, too.
func TestWhatTheOtherSideOfAStreamSendsIsPlayed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<StopStream name="monitor" wait="true"/>`))
		p := server.next()
		p.play("audio/pcmu", muLaw(440, 2*time.Second))
		p.play("audio/pcm;rate=24000;channels=1;bit-depth=16;endian=little;encoding=signed", linear(620, 24000, time.Second))
		p.play("audio/pcm;rate=8000", linear(941, 8000, time.Second))
		time.Sleep(5 * time.Second)
		_ = p.conn.Close(1000, "")
		c.Expect("BYE")
		sound := heard(c)
		sounds(t, 4*time.Second, sound.Loud())
		for _, hertz := range []float64{440, 620, 941} {
			assert.Greater(t, sound.Tone(hertz), 0.1, "%v Hz", hertz)
		}
		assert.InDelta(t, 4*time.Second, loud(p.sound("outbound")), float64(40*time.Millisecond))
		b.disconnect("hangup", "")
	})
}

// TestSoundThatIsSentAsItIsSpokenHasNoGaps though its pieces do not come like clockwork.
func TestSoundThatIsSentAsItIsSpokenHasNoGaps(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<Pause duration="6"/>`))
		p := server.next()
		spoken := muLaw(440, 4*time.Second)
		p.play("audio/pcmu", spoken[:800]) // 100 ms ahead
		spoken = spoken[800:]
		for i := 0; len(spoken) >= 160; i++ {
			p.play("audio/pcmu", spoken[:160])
			spoken = spoken[160:]
			time.Sleep(time.Duration(5+30*(i%2)) * time.Millisecond)
		}
		c.Expect("BYE")
		frames, first, last := heard(c).Frames, -1, 0
		quiet := 0
		for i, f := range frames {
			if f.Level() > 0.01 {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		for _, f := range frames[first:last] {
			if f.Level() < 0.01 {
				quiet++
			}
		}
		assert.Zero(t, quiet)
		assert.InDelta(t, 200, last-first, 3)
		b.disconnect("hangup", "")
	})
}

// TestClearStopsWhatIsPlayedAtOnce, and what waits; what comes after it is played.
func TestClearStopsWhatIsPlayedAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<Pause duration="10"/>`))
		p := server.next()
		p.play("audio/pcmu", muLaw(440, 5*time.Second))
		p.play("audio/pcmu", muLaw(440, 5*time.Second))
		time.Sleep(2 * time.Second)
		p.say(`{"eventType":"clear"}`)
		time.Sleep(2 * time.Second)
		sounds(t, 2*time.Second, heard(c).Loud())
		p.play("audio/pcmu", muLaw(620, time.Second))
		c.Expect("BYE")
		sounds(t, 3*time.Second, heard(c).Loud())
		b.disconnect("hangup", "")
	})
}

// TestAStreamsSoundAndTheVerbsTakeTurns: neither cuts the other off, and a prompt's digit stops the prompt alone.
func TestAStreamsSoundAndTheVerbsTakeTurns(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		b.speech.length = 3 * time.Second // of 1000 Hz
		c := b.call(response(conversation + says + `<Gather maxDigits="1"/>`))
		p := server.next()
		time.Sleep(time.Second)
		p.play("audio/pcmu", muLaw(440, 2*time.Second))
		time.Sleep(time.Second)
		assert.Less(t, heard(c).Tone(440), 0.01)
		time.Sleep(4 * time.Second)
		sounds(t, 5*time.Second, heard(c).Loud())
		assert.Greater(t, heard(c).Tone(440), 0.1)
		press(t, c, "1")
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// TestAStreamThatOnlyListensPlaysNothing.
func TestAStreamThatOnlyListensPlaysNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(monitored + `<Pause duration="3"/>`))
		p := server.next()
		p.play("audio/pcmu", muLaw(440, time.Second))
		p.say("garbage")
		c.Expect("BYE")
		assert.Zero(t, heard(c).Loud())
		assert.Equal(t, 0., b.metrics()[`callengine_stream_messages_refused_total{reason="invalid"}`])
		b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed", "errorMessage": scenario.Absent})
		b.disconnect("hangup", "")
	})
}

// TestMoreSoundThanMayWaitIsDropped, and counted.
func TestMoreSoundThanMayWaitIsDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<Pause duration="180"/>`))
		p := server.next()
		for range 13 {
			p.play("audio/pcmu", muLaw(440, 10*time.Second))
		}
		time.Sleep(150 * time.Second)
		c.Expect("BYE")
		sounds(t, 120*time.Second, heard(c).Loud())
		assert.Equal(t, 1., b.metrics()[`callengine_stream_messages_refused_total{reason="full"}`])
		b.disconnect("hangup", "")
	})
}
