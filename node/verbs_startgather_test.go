package node_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pressed waits for dtmf events and returns their digits.
func (b *bubble) pressed(n int) string {
	b.t.Helper()
	var digits string
	for range n {
		digits += b.app.Expect("dtmf").Text("digit")
	}
	return digits
}

// told returns the digits of all dtmf events until now.
func (b *bubble) told() string {
	var digits strings.Builder
	for _, e := range b.app.EventsOf("dtmf") {
		digits.WriteString(e.Text("digit"))
	}
	return digits.String()
}

func press(t *testing.T, c *scenario.ScriptedCall, digits string) {
	t.Helper()
	require.NoError(t, c.SendDigits(t.Context(), digits, 100*time.Millisecond, 60*time.Millisecond))
	synctest.Wait()
}

func TestStartGatherTellsOfDigitsWhileOtherVerbsRun(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = 10 * time.Second
		c := b.call(response(`<StartGather dtmfUrl="/pressed" tag="menu"/><SpeakSentence>Press keys as you like</SpeakSentence><Pause/>`))
		began := time.Now()
		press(t, c, "4711*#")
		e := b.app.Expect("dtmf").Check(map[string]any{
			"digit": "4", "tag": "menu", "answerTime": scenario.Present, "callUrl": scenario.Present, "direction": "inbound",
		})
		assert.Equal(t, "POST /pressed", e.Method+" "+e.Path)
		assert.Equal(t, "711*#", b.pressed(5))
		sounds(t, 11*time.Second, since(began, c.Expect("BYE").Time)) // nothing was stopped
		b.disconnect("hangup", "")
	})
}

func TestStartGatherIsSuspendedDuringGather(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("gather", scenario.BXML(response(`<Pause duration="5"/><StopGather/><Pause duration="5"/>`)))
		c := b.call(response(`<StartGather dtmfUrl="/pressed"/><Pause duration="2"/><Gather gatherUrl="/typed" maxDigits="3"/>`))
		press(t, c, "1")
		time.Sleep(3 * time.Second)
		press(t, c, "234")
		b.app.Expect("gather").Check(map[string]any{"digits": "234"})
		press(t, c, "5")
		time.Sleep(6 * time.Second)
		press(t, c, "6")
		e := b.disconnect("hangup", "")
		assert.Equal(t, "15", b.told(), "in another document, too; not the Gather's, nor what came after StopGather")
		digits, _ := b.digits(e)
		assert.Equal(t, "123456", strings.Join(digits, ""))
	})
}

func TestStartGatherSurvivesAModification(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartGather dtmfUrl="/pressed"/><Pause duration="60"/>`))
		press(t, c, "1")
		b.replace(b.app.Expect("dtmf"), 204, response(`<Pause duration="5"/>`))
		press(t, c, "2")
		assert.Equal(t, "2", b.pressed(1))
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// TestStartGatherEndsWithTheCall has its last event handed over before disconnect, whoever hangs up.
func TestStartGatherEndsWithTheCall(t *testing.T) {
	for name, end := range map[string]func(b *bubble, c *scenario.ScriptedCall, e *scenario.ScriptedEvent){
		"the caller hangs up": func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Bye() },
		"the document ends":   func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Expect("BYE") },
		"the API ends it":     func(b *bubble, _ *scenario.ScriptedCall, e *scenario.ScriptedEvent) { b.modify(e, 200, completed) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				c := b.call(response(`<StartGather dtmfUrl="/pressed"/><Pause duration="10"/>`))
				press(t, c, "1")
				e := b.app.Expect("dtmf")
				b.app.On("dtmf", scenario.Reply{Status: 204, Delay: 3 * time.Second}) // disconnect comes after it all the same
				press(t, c, "2")
				end(b, c, e)
				b.disconnect("hangup", "")
				assert.Equal(t, "12", b.told())
			})
		})
	}
}

// TestStartGatherGoesOnWhenItsEventsAreRefused: what becomes of an asynchronous event does not concern the call.
func TestStartGatherGoesOnWhenItsEventsAreRefused(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("dtmf", scenario.Reply{Status: 404})
		c := b.call(response(`<StartGather dtmfUrl="/pressed" dtmfMethod="GET"/><Pause duration="3"/>`))
		press(t, c, "12")
		assert.Equal(t, "12", b.pressed(2))
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// TestStartGatherTellsOfAKeyThatComesWithTheACK: it is told when the call is answered, and with its answerTime.
func TestStartGatherTellsOfAKeyThatComesWithTheACK(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.invite(response(`<StartGather dtmfUrl="/pressed"/><Pause duration="3"/>`))
		c.Answered()
		press(t, c, "1")
		b.app.Expect("dtmf").Check(map[string]any{"digit": "1", "answerTime": scenario.Present})
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}
