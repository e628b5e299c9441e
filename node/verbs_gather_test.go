package node_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// digits are those that a call's journal holds, with the way of each.
func (b *bubble) digits(e interface{ Text(string) string }) (digits, ways []string) {
	for _, entry := range b.journal(e) {
		if entry.Type == state.TypeDigit {
			digits, ways = append(digits, entry.Digit.Digit), append(ways, entry.Digit.By)
		}
	}
	return digits, ways
}

func TestGatherStopsItsPromptAtTheFirstDigit(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = 10 * time.Second
		b.app.On("gather", scenario.BXML(response(`<Hangup/>`)))
		began := time.Now()
		c := b.call(response(`<Gather gatherUrl="/typed" terminatingDigits="#" tag="typing"><SpeakSentence>Your number, please</SpeakSentence></Gather><Tag>never</Tag>`))
		time.Sleep(3 * time.Second)
		require.NoError(t, c.SendDigits(t.Context(), "4711#", 100*time.Millisecond, 60*time.Millisecond))
		e := b.app.Expect("gather").Check(map[string]any{"digits": "4711", "terminatingDigit": "#", "tag": "typing", "answerTime": scenario.Present})
		assert.Equal(t, "/typed", e.Path)
		c.Expect("BYE")
		sounds(t, 3*time.Second, heard(c).Loud())
		sounds(t, 3640*time.Millisecond, since(began, e.Time))
		e = b.disconnect("hangup", "").Check(map[string]any{"tag": "typing"})
		digits, ways := b.digits(e)
		assert.Equal(t, "4711#", strings.Join(digits, ""))
		assert.Equal(t, []string{"rtp", "rtp", "rtp", "rtp", "rtp"}, ways)
	})
}

func TestGatherTakesDigitsInEveryWay(t *testing.T) {
	info := func(c *scenario.ScriptedCall, contentType, body string) {
		c.Do(c.New("INFO", contentType, []byte(body)), 200)
	}
	for name, tc := range map[string]struct {
		press    func(t *testing.T, c *scenario.ScriptedCall)
		ways     []string
		noEvents bool
	}{
		"as events": {func(t *testing.T, c *scenario.ScriptedCall) {
			require.NoError(t, c.SendDigits(t.Context(), "1*", 40*time.Millisecond, 40*time.Millisecond))
		}, []string{"rtp", "rtp"}, false},
		"held long": {func(t *testing.T, c *scenario.ScriptedCall) {
			require.NoError(t, c.SendDigits(t.Context(), "1*", 3*time.Second, 60*time.Millisecond))
		}, []string{"rtp", "rtp"}, false},
		"by INFO": {func(t *testing.T, c *scenario.ScriptedCall) {
			info(c, "application/dtmf-relay", "Signal=1\r\nDuration=100\r\n")
			info(c, "application/dtmf", "*")
		}, []string{"info", "info"}, false},
		"as events and by INFO": {func(t *testing.T, c *scenario.ScriptedCall) {
			for _, key := range []string{"1", "*"} {
				require.NoError(t, c.SendDigits(t.Context(), key, 100*time.Millisecond, 60*time.Millisecond))
				info(c, "application/dtmf-relay", "Signal="+key+"\r\nDuration=100\r\n")
			}
		}, []string{"rtp", "rtp"}, false},
		"as tones": {func(t *testing.T, c *scenario.ScriptedCall) {
			require.NoError(t, c.SendDigitTones(t.Context(), "1*", 100*time.Millisecond, 60*time.Millisecond))
		}, []string{"tone", "tone"}, true},
		"as tones, though there are events": {func(t *testing.T, c *scenario.ScriptedCall) {
			require.NoError(t, c.SendDigitTones(t.Context(), "7", 100*time.Millisecond, 60*time.Millisecond))
			require.NoError(t, c.SendDigits(t.Context(), "1*", 100*time.Millisecond, 60*time.Millisecond))
		}, []string{"rtp", "rtp"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.app.On("initiate", scenario.BXML(response(`<Gather gatherUrl="/typed"/>`)))
				c := b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.2:5060", NoEvents: tc.noEvents}).Call(b.uri("desk"))
				tc.press(t, c)
				b.app.Expect("gather").Check(map[string]any{"digits": "1*", "terminatingDigit": ""})
				c.Expect("BYE")
				_, ways := b.digits(b.disconnect("hangup", ""))
				assert.Equal(t, tc.ways, ways)
			})
		})
	}
}

func TestGatherDropsWhatWasPressedBeforeIt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="3"/><Gather gatherUrl="/typed" maxDigits="2"/>`))
		require.NoError(t, c.SendDigits(t.Context(), "99", 100*time.Millisecond, 60*time.Millisecond))
		time.Sleep(4 * time.Second)
		require.NoError(t, c.SendDigits(t.Context(), "12", 100*time.Millisecond, 60*time.Millisecond))
		b.app.Expect("gather").Check(map[string]any{"digits": "12"})
		digits, _ := b.digits(b.disconnect("hangup", ""))
		assert.Equal(t, "9912", strings.Join(digits, ""), "the journal has them all")
	})
}

// TestGatherFallsBack sends the same event to the second URL, with its own method and credentials.
func TestGatherFallsBack(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("/first", scenario.Reply{Status: 500})
		b.app.On("/second", scenario.BXML(response(says)))
		c := b.call(response(`<Gather gatherUrl="/first" username="ada" password="lovelace" maxDigits="1" ` +
			`gatherFallbackUrl="/second" gatherFallbackMethod="GET" fallbackUsername="bob" fallbackPassword="hopper"/>`))
		press(t, c, "D")
		first := b.app.Expect("gather").Check(map[string]any{"digits": "D", "terminatingDigit": ""})
		second := b.app.Expect("gather").Check(map[string]any{"digits": "D", "terminatingDigit": ""})
		assert.Equal(t, []string{"POST /first", "GET /second"}, []string{first.Method + " " + first.Path, second.Method + " " + second.Path})
		assert.Equal(t, first.ID(), second.ID())
		for e, want := range map[*scenario.ScriptedEvent]string{first: "ada lovelace", second: "bob hopper"} {
			username, password := basicAuth(e.Header.Get("Authorization"))
			assert.Equal(t, want, username+" "+password)
		}
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, []string{"Hello"}, b.speech.texts())
	})
}

func TestGatherWithoutURLGoesOn(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = 10 * time.Second
		c := b.call(response(`<Gather maxDigits="1"><SpeakSentence>Press any key</SpeakSentence></Gather><Pause/>`))
		time.Sleep(2 * time.Second)
		began := time.Now()
		require.NoError(t, c.SendDigits(t.Context(), "1", 100*time.Millisecond, 0))
		sounds(t, time.Second, since(began, c.Expect("BYE").Time))
		b.disconnect("hangup", "")
		assert.Empty(t, b.app.EventsOf("gather"))
	})
}

func TestGatherOfACallThatEndsSendsNoEvent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Gather gatherUrl="/typed"><SpeakSentence>Your number, please</SpeakSentence></Gather>`))
		time.Sleep(time.Second)
		require.NoError(t, c.SendDigits(t.Context(), "1", 100*time.Millisecond, 0))
		synctest.Wait()
		c.Bye()
		b.disconnect("hangup", "")
		b.ended()
		assert.Empty(t, b.app.EventsOf("gather"))
	})
}
