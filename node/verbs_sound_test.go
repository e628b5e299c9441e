package node_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
)

func TestSpeechIsHeardWholeAndInTime(t *testing.T) {
	for _, codec := range []string{"PCMU", "PCMA"} {
		t.Run(codec, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.app.On("initiate", scenario.BXML(response(`<Pause duration="0.11"/><SpeakSentence>One</SpeakSentence><Pause duration="0.99"/><SpeakSentence voice="paul">Two</SpeakSentence>`)))
				phone := b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.2:5060", Codecs: []string{codec}})
				began := time.Now()
				c := phone.Call(b.uri("desk"))
				// Frames go out every 20 ms from the answer on; the first with sound at 0.12 s and 3.1 s, the last of it 1.98 s later.
				assert.Equal(t, 5080*time.Millisecond, since(began, c.Expect("BYE").Time))
				sound := heard(c)
				assert.Equal(t, 4*time.Second, sound.Loud())
				sounds(t, 0, since(began, sound.Frames[0].Time))
				assert.Equal(t, 20*time.Millisecond, sound.Gap(), "a packet every 20 ms, without drift")
				assert.InDelta(t, 1, sound.Tone(toneOfSpeech), 0.1)
				assert.Equal(t, []string{"One", "Two"}, b.speech.texts())
				b.disconnect("hangup", "")
			})
		})
	}
}

func TestTheSameTextIsMadeOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		for range 2 {
			c := b.call(response(`<SpeakSentence>One</SpeakSentence><SpeakSentence> One </SpeakSentence>`))
			c.Expect("BYE")
			assert.Equal(t, 4*time.Second, heard(c).Loud())
		}
		assert.Equal(t, []string{"One"}, b.speech.texts())
		m := b.metrics()
		assert.Equal(t, 1.0, m[`callengine_speech_cache_total{result="miss"}`])
		assert.Equal(t, 3.0, m[`callengine_speech_cache_total{result="hit"}`])
	})
}

func TestSpeechEndsWithTheCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = time.Hour
		c := b.call(response(`<SpeakSentence>A long story</SpeakSentence>`))
		time.Sleep(3 * time.Second)
		c.Bye()
		b.disconnect("hangup", "")
		synctest.Wait()
		packets := len(c.Packets())
		time.Sleep(time.Minute)
		assert.Len(t, c.Packets(), packets, "nothing is sent after the end")
	})
}

func TestWhatSpeechLacksIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		tts     node.TTSConfig
		missing string
	}{
		"it is switched off":       {node.TTSConfig{Engine: node.EngineNone}, "media.tts.engine: none"},
		"its command is not there": {node.TTSConfig{Engine: node.EngineCommand, Command: []string{"no-such-speech-engine"}}, "no-such-speech-engine"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.Media.TTS = tc.tts }, func(t *testing.T, b *bubble) {
				assert.Contains(t, b.node.SpeechMissing(), tc.missing)
				told := b.logs.FilterMessage("SpeakSentence cannot work").All()
				require.Len(t, told, 1, "the node says so at its start")
				assert.Equal(t, zapcore.WarnLevel, told[0].Level)
				b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
				b.disconnect("application-error", tc.missing)
				b.call(response(`<Pause/>`)).Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}

// The tone of the audio files of these tests.
const toneOfFiles = 600

// wav makes a WAV file of a tone: 16 bits, mono, 8 kHz.
func wav(length time.Duration) string {
	samples := int(length.Seconds() * 8000)
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	for i := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*toneOfFiles*float64(i)/8000))))
	}
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-8))
	return string(b)
}

func audio(body string) scenario.Reply {
	return scenario.Reply{Body: body, Header: http.Header{"Content-Type": {"audio/wav"}}}
}

func TestAnAudioFileIsHeardWhole(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		other := b.script.Application(scenario.ApplicationConfig{Address: "10.0.0.4:80"})
		other.On("/b/two.wav", audio(wav(time.Second)))
		b.app.On("/one.wav", audio(wav(1500*time.Millisecond)))
		began := time.Now()
		c := b.call(response(`<PlayAudio username="u" password="p"> one.wav </PlayAudio><PlayAudio>http://audio.example/b/two.wav</PlayAudio>`))
		sounds(t, 2500*time.Millisecond, since(began, c.Expect("BYE").Time))
		sound := heard(c)
		assert.Equal(t, 2500*time.Millisecond, sound.Loud())
		assert.Equal(t, 20*time.Millisecond, sound.Gap())
		assert.InDelta(t, 1, sound.Tone(toneOfFiles), 0.1)
		assert.Equal(t, [3]string{"u", "p", "GET"}, credentialsOf(b.app.Expect("/one.wav")))
		assert.Equal(t, [3]string{"", "", "GET"}, credentialsOf(other.Expect("/b/two.wav")))
		b.disconnect("hangup", "")
	})
}

func TestAnAudioFileIsKeptOnlyAsLongAsItsServerAllows(t *testing.T) {
	for control, want := range map[string]int{"": 2, "max-age=60": 1, "no-store": 2} {
		t.Run(control, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				reply := audio(wav(time.Second))
				if control != "" {
					reply.Header["Cache-Control"] = []string{control}
				}
				b.app.On("/a.wav", reply)
				c := b.call(response(`<PlayAudio>/a.wav</PlayAudio><PlayAudio>/a.wav</PlayAudio>`))
				c.Expect("BYE")
				assert.Equal(t, 2*time.Second, heard(c).Loud())
				asked := 0
				for _, e := range b.app.Events() {
					if e.Path == "/a.wav" {
						asked++
					}
				}
				assert.Equal(t, want, asked)
			})
		})
	}
}

func TestAnAudioFileThatCannotBePlayedEndsTheCall(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*node.Config)
		url     string
		reply   scenario.Reply
		message string
	}{
		"not found":             {nil, "/a.wav", scenario.Reply{Status: 404}, "404"},
		"a failing server":      {nil, "/a.wav", scenario.Reply{Status: 500}, "500"},
		"no sound":              {nil, "/a.wav", audio("OggS and so on"), "a.wav"},
		"an empty file":         {nil, "/a.wav", audio(""), "a.wav"},
		"no answer":             {nil, "/a.wav", scenario.Reply{Hang: true}, "15s"},
		"nobody there":          {nil, "http://audio.example/a.wav", scenario.Reply{}, "refused"},
		"a denied address":      {nil, "http://169.254.169.254/a.wav", scenario.Reply{}, "webhook.deny_cidrs"},
		"a way to a denied one": {nil, "/a.wav", scenario.Reply{Redirect: "http://169.254.169.254/a.wav"}, "webhook.deny_cidrs"},
		"a host not allowed":    {func(cfg *node.Config) { cfg.Webhook.AllowHosts = []string{"app.example"} }, "http://audio.example/a.wav", scenario.Reply{}, "webhook.allow_hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				denied := b.script.Application(scenario.ApplicationConfig{Address: "169.254.169.254:80"})
				b.app.On("/a.wav", tc.reply)
				b.call(response(fmt.Sprintf(`<PlayAudio>%s</PlayAudio><SpeakSentence>Never</SpeakSentence>`, tc.url))).Expect("BYE")
				b.disconnect("application-error", tc.message)
				assert.Empty(t, b.speech.texts())
				assert.Empty(t, denied.Events())
			})
		})
	}
}

func TestACallOnHoldHearsNothingAndThePlayingGoesOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = 10 * time.Second
		began := time.Now()
		c := b.call(response(`<SpeakSentence>Hello</SpeakSentence>`))
		time.Sleep(2*time.Second - 10*time.Millisecond)
		s, ok := scenario.ReadSession(c.Hold().Body)
		require.True(t, ok)
		assert.Equal(t, scenario.RecvOnly, s.Direction)
		held := heard(c).Length()
		time.Sleep(3 * time.Second)
		assert.Equal(t, held, heard(c).Length(), "on hold")
		s, _ = scenario.ReadSession(c.Resume().Body)
		assert.Equal(t, scenario.SendRecv, s.Direction)
		sounds(t, 10*time.Second, since(began, c.Expect("BYE").Time))
		sounds(t, 7*time.Second, heard(c).Loud())
		var agreed []string
		for _, e := range b.journal(b.disconnect("hangup", "")) {
			if e.Type == state.TypeMedia && e.Media.Event == "agreed" {
				agreed = append(agreed, e.Media.Detail)
			}
		}
		require.Len(t, agreed, 3, "the answer, the hold and its end")
		assert.Regexp(t, `^PCMU, telephone-event, 10\.\S+$`, agreed[0])
		assert.Equal(t, agreed[0]+", on hold", agreed[1])
		assert.Equal(t, agreed[0], agreed[2])
	})
}

func TestAReINVITEWithoutAnOfferGetsOne(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<SpeakSentence>Hello</SpeakSentence>`))
		time.Sleep(time.Second)
		s, ok := scenario.ReadSession(c.ReInvite(scenario.Offer{None: true}).Body)
		require.True(t, ok, "the 200 holds an offer")
		assert.Equal(t, []int{0, 8}, s.Payloads[:2])
		c.Expect("BYE")
		assert.Equal(t, 2*time.Second, heard(c).Loud())
		b.disconnect("hangup", "")
	})
}

func TestSoundFollowsTheCallerToANewAddress(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<SpeakSentence>Hello</SpeakSentence>`))
		time.Sleep(time.Second - 10*time.Millisecond)
		c.ReInvite(scenario.Offer{Move: true})
		c.Expect("BYE")
		ports := map[uint16]int{}
		for _, p := range c.Packets() {
			ports[p.Port]++
		}
		require.Len(t, ports, 2)
		for _, packets := range ports {
			assert.InDelta(t, 50, packets, 1)
		}
		b.disconnect("hangup", "")
	})
}

func TestAnINVITEWithoutAnOfferGetsOneInThe200(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
		c := b.phone.Invite(scenario.Invite{To: b.uri("desk"), NoOffer: true})
		_, ok := scenario.ReadSession(c.Answered().Body)
		require.True(t, ok)
		c.Expect("BYE")
		assert.Equal(t, 2*time.Second, heard(c).Loud())
		b.disconnect("hangup", "")
	})
}
