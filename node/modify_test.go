package node_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// send sends a request with a body to the path of a call of the node's API.
func (b *bubble) send(method string, e interface{ Text(string) string }, path, contentType, body string) (status int, answer string) {
	b.t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: b.net.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(b.t.Context(), method, e.Text("callUrl")+path, strings.NewReader(body))
	require.NoError(b.t, err)
	req.Header.Set("Content-Type", contentType)
	res, err := client.Do(req)
	require.NoError(b.t, err)
	data, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return res.StatusCode, string(data)
}

// modify is POST …/calls/{callId}, and checks its status.
func (b *bubble) modify(e interface{ Text(string) string }, want int, body string) (answer string) {
	b.t.Helper()
	status, answer := b.send("POST", e, "", "application/json", body)
	require.Equal(b.t, want, status, answer)
	return answer
}

// replace is PUT …/calls/{callId}/bxml, and checks its status.
func (b *bubble) replace(e interface{ Text(string) string }, want int, document string) (answer string) {
	b.t.Helper()
	status, answer := b.send("PUT", e, "/bxml", "application/xml", document)
	require.Equal(b.t, want, status, answer)
	return answer
}

const (
	completed = `{"state":"completed"}`
	redirect  = `{"redirectUrl":"http://app.example/modified"}`
	says      = `<SpeakSentence>Hello</SpeakSentence>`
	hour      = `<Pause duration="3600"/>`
)

func notModifiable(e interface{ Text(string) string }) string {
	return `{"type":"validation","description":"Call [` + e.Text("callId") + `] cannot be modified in its current state","id":null}` + "\n"
}

func TestAPIRedirectsACall(t *testing.T) { // docs/api.md, "Redirect a call"
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.BXML(response(says)))
		b.app.On("/spare", scenario.BXML(response(says)))
		c := b.call(response(`<Tag>first</Tag>` + hour + `<Redirect redirectUrl="/never"/>`))
		e := b.app.Expect("initiate")
		began := time.Now()
		assert.Empty(t, b.modify(e, 200, `{"state":"active","redirectUrl":"http://app.example/modified?a=1","username":"ada","password":"lovelace","tag":"second"}`))
		asked := b.app.Expect("redirect").Check(map[string]any{
			"tag": "second", "callId": e.Text("callId"), "answerTime": scenario.Present, "startTime": scenario.Present, "direction": "inbound",
		})
		assert.Equal(t, "/modified", asked.Path)
		username, password := basicAuth(asked.Header.Get("Authorization"))
		assert.Equal(t, "ada lovelace", username+" "+password)
		assert.Zero(t, since(began, asked.Time))
		c.Expect("BYE")
		sounds(t, 2*time.Second, since(began, time.Now()))
		b.disconnect("hangup", "").Check(map[string]any{"tag": "second"})
		assert.Equal(t, []string{"Hello"}, b.speech.texts())
		assert.Len(t, b.app.EventsOf("redirect"), 1)
	})
}

func TestAPIRedirectFallsBack(t *testing.T) {
	for name, tc := range map[string]struct {
		spare          scenario.Reply
		cause, message string
	}{
		"delivered":  {scenario.BXML(response(says)), "hangup", ""},
		"not at all": {scenario.Reply{Status: 404}, "callback-error", "fallback"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.app.On("redirect", scenario.Reply{Status: 500}, tc.spare)
				c := b.call(response(hour))
				e := b.app.Expect("initiate")
				b.modify(e, 200, `{"redirectUrl":"http://app.example/modified","redirectFallbackUrl":"http://app.example/spare",`+
					`"redirectFallbackMethod":"GET","fallbackUsername":"ada","fallbackPassword":"lovelace"}`)
				b.app.Expect("redirect")
				second := b.app.Expect("redirect")
				assert.Equal(t, "GET /spare", second.Method+" "+second.Path)
				username, password := basicAuth(second.Header.Get("Authorization"))
				assert.Equal(t, "ada lovelace", username+" "+password)
				c.Expect("BYE")
				b.disconnect(tc.cause, tc.message)
			})
		})
	}
}

func TestAPIReplacesADocumentAndTheSoundStopsAtOnce(t *testing.T) { // docs/api.md
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.speech.length = time.Minute
		c := b.call(response(says + `<SpeakSentence>Never</SpeakSentence>`))
		e := b.app.Expect("initiate")
		time.Sleep(time.Second)
		before := len(heard(c).Frames)
		require.Greater(t, before, 40)
		b.replace(e, 204, response(hour))
		after := len(heard(c).Frames)
		assert.LessOrEqual(t, after-before, 1)
		time.Sleep(10 * time.Second)
		silent := heard(c).Frames[after:]
		for _, f := range silent {
			for _, sample := range f.Samples {
				require.Less(t, max(sample, -sample), int16(100), "only silence is sent")
			}
		}
		b.modify(e, 200, completed)
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, []string{"Hello"}, b.speech.texts())
		assert.Empty(t, b.app.EventsOf("redirect"), "no event of its own")
	})
}

func TestAPIRefusesAnInvalidDocumentAndTheCallGoesOn(t *testing.T) { // docs/api.md
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="5"/>`))
		e := b.app.Expect("initiate")
		began := time.Now()
		assert.Contains(t, b.replace(e, 400, response(`<Reffer/>`)), `Invalid BXML: line 1, column`)
		b.modify(e, 400, `{"redirectUrl":"/goodbye"}`)
		status, _ := b.send("PUT", e, "/bxml", "application/json", response(""))
		assert.Equal(t, 415, status)
		c.Expect("BYE")
		assert.Equal(t, 5*time.Second, since(began, time.Now()))
		b.disconnect("hangup", "")
	})
}

func TestAPIEndsACallInEveryState(t *testing.T) { // docs/api.md
	for name, tc := range map[string]struct {
		initiate scenario.Reply
		answered bool
		after    time.Duration
	}{
		"the first document is awaited":     {initiate: scenario.Reply{Hang: true}},
		"ringing":                           {initiate: scenario.BXML(response(`<Ring answerCall="false" duration="60"/>`))},
		"unanswered, a webhook outstanding": {initiate: scenario.BXML(response(`<Redirect redirectUrl="/next"/>`))},
		"pausing":                           {initiate: scenario.BXML(response(hour)), answered: true},
		"speaking":                          {initiate: scenario.BXML(response(says)), answered: true},
		"answered, a webhook outstanding":   {initiate: scenario.BXML(response(`<Pause/><Redirect redirectUrl="/next"/>`)), answered: true, after: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.SIP.RejectCode = 486 }, func(t *testing.T, b *bubble) {
				b.app.On("initiate", tc.initiate)
				b.app.On("redirect", scenario.Reply{Hang: true})
				c := b.phone.Invite(scenario.Invite{To: b.uri("desk")})
				e := b.app.Expect("initiate")
				synctest.Wait()
				time.Sleep(tc.after)
				began := time.Now()
				b.modify(e, 200, completed)
				if tc.answered {
					assert.Zero(t, since(began, c.Expect("BYE").Time))
				} else {
					assert.Zero(t, since(began, c.Rejected(486).Time))
				}
				b.disconnect("hangup", "")
				for _, body := range []string{completed, redirect} {
					assert.Equal(t, notModifiable(e), b.modify(e, 409, body))
				}
				assert.Equal(t, notModifiable(e), b.replace(e, 409, response("")))
			})
		})
	}
}

func TestAPIDoesNotModifyACallWithoutADocumentNorOneThatIsOver(t *testing.T) { // docs/api.md
	inBubble(t, func(cfg *node.Config) { cfg.State.CallRetention = time.Hour }, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.Reply{Delay: time.Second, Body: response(`<Ring answerCall="false" duration="10"/>`)})
		c := b.phone.Invite(scenario.Invite{To: b.uri("desk")})
		e := b.app.Expect("initiate")
		assert.Equal(t, notModifiable(e), b.modify(e, 409, redirect))
		assert.Equal(t, notModifiable(e), b.replace(e, 409, response("")))
		c.Rejected(603)
		b.disconnect("hangup", "")
		assert.Equal(t, notModifiable(e), b.modify(e, 409, completed))
		time.Sleep(3 * time.Hour)
		assert.Equal(t, `{"type":"validation","description":"Call [`+e.Text("callId")+`] not found","id":null}`+"\n", b.modify(e, 404, completed))
		b.replace(e, 404, response(""))
	})
}

func TestAPIRedirectsACallThatIsNotAnswered(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.BXML(response(says)))
		c := b.invite(response(`<Ring answerCall="false" duration="60"/>`))
		e := b.app.Expect("initiate")
		c.Expect("180")
		b.modify(e, 200, redirect)
		b.app.Expect("redirect").Check(map[string]any{"answerTime": scenario.Absent, "tag": scenario.Absent})
		c.Answered()
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestAPIModificationWinsOverAReplyThatIsAwaited(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.Reply{Delay: 5 * time.Second, Body: response(`<SpeakSentence>Late</SpeakSentence>`)})
		c := b.call(response(`<Pause/><Redirect redirectUrl="/slow"/>`))
		e := b.app.Expect("initiate")
		b.app.Expect("redirect")
		b.replace(e, 204, response(`<Pause duration="10"/>`))
		time.Sleep(9 * time.Second)
		assert.Empty(t, c.Received("BYE"))
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Empty(t, b.speech.texts())
	})
}

func TestAPITheLastOfTwoModificationsWins(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.Reply{Delay: 5 * time.Second, Body: response(`<SpeakSentence>First</SpeakSentence>`)},
			scenario.BXML(response(`<SpeakSentence>Second</SpeakSentence>`)))
		c := b.call(response(hour))
		e := b.app.Expect("initiate")
		b.modify(e, 200, `{"redirectUrl":"http://app.example/first","tag":"kept"}`)
		b.app.Expect("/first")
		b.modify(e, 200, `{"redirectUrl":"http://app.example/second"}`)
		b.app.Expect("/second").Check(map[string]any{"tag": "kept"})
		c.Expect("BYE")
		b.disconnect("hangup", "")
		assert.Equal(t, []string{"Second"}, b.speech.texts())
	})
}

func TestAPILeavesAPendingReferAlone(t *testing.T) { // docs/api.md, "When a call can be modified"
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("referComplete", scenario.BXML(response(says)))
		c := b.call(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`))
		e := b.app.Expect("initiate")
		refer := c.ExpectRefer()
		assert.Equal(t, notModifiable(e), b.modify(e, 409, redirect))
		refer.Reply(202)
		assert.Equal(t, notModifiable(e), b.modify(e, 409, redirect))
		assert.Equal(t, notModifiable(e), b.replace(e, 409, response("")))
		refer.Notify("SIP/2.0 486 Busy Here")
		b.app.Expect("referComplete").Check(map[string]any{"referCallStatus": "failure", "notifySipResponseCode": 486})
		synctest.Wait()
		b.replace(e, 204, response(`<Pause/>`)) // its outcome is known
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestAPIEndsACallWhoseReferIsPending(t *testing.T) { // docs/api.md, "When a call can be modified"
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("referComplete", scenario.Reply{Delay: 5 * time.Second, Body: response(says)})
		c := b.call(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>` + says))
		e := b.app.Expect("initiate")
		c.ExpectRefer().Reply(202)
		synctest.Wait()
		began := time.Now()
		b.modify(e, 200, completed)
		assert.Zero(t, since(began, c.Expect("BYE").Time), "the caller is not kept on the line for the application")
		b.app.Expect("referComplete").Check(map[string]any{
			"referCallStatus": "failure", "referSipResponseCode": 202, "notifySipResponseCode": scenario.Absent,
		})
		d := b.disconnect("hangup", "")
		r := b.record(d)
		require.Len(t, r.Refers, 1)
		assert.Equal(t, "interrupted", r.Refers[0].Evidence)
		assert.Zero(t, since(began, *r.EndTime))
		assert.Empty(t, b.speech.texts())
		assert.Len(t, c.Received("BYE"), 1)
	})
}

func TestAPIModifiesCallsDuringTheDrain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(hour))
		e := b.app.Expect("initiate")
		finish := b.drain()
		b.replace(e, 204, response(says+`<Pause duration="3"/>`))
		time.Sleep(3 * time.Second)
		b.modify(e, 200, completed)
		sounds(t, 3*time.Second, finish())
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestAModificationIsInTheJournalAndTheLadderAndNotInTheRecord(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.BXML(response(hour)))
		c := b.call(response(hour))
		e := b.app.Expect("initiate")
		synctest.Wait()
		before := b.record(e)
		time.Sleep(time.Second)
		b.modify(e, 200, `{"redirectUrl":"http://ada:lovelace@app.example/modified"}`)
		synctest.Wait()
		assert.Equal(t, before, b.record(e))
		b.replace(e, 204, response(hour))
		b.modify(e, 200, completed)
		c.Expect("BYE")
		d := b.disconnect("hangup", "")
		var ladder strings.Builder
		require.NoError(t, state.Ladder{}.Write(&ladder, b.journal(d)))
		for _, line := range []string{"API: redirect to /modified", "API: new document", "API: end the call", "Pause ends, new document"} {
			assert.Contains(t, ladder.String(), line)
		}
		_, journal := b.get("/api/v2/accounts/" + d.Text("accountId") + "/calls/" + d.Text("callId") + "/journal")
		assert.Contains(t, journal, `"call":{"event":"modified","change":"redirect","url":"http://***@app.example/modified"}`)
		assert.NotContains(t, journal, "lovelace")
		for _, l := range b.logs.FilterMessage("the call was modified through the API").All() {
			assert.Equal(t, d.Text("callId"), l.ContextMap()["call_id"])
		}
		m := b.metrics()
		assert.Equal(t, 2.0, m[`callengine_http_requests_total{code="200",method="POST",path="/calls/{callId}"}`])
		assert.Equal(t, 1.0, m[`callengine_http_requests_total{code="204",method="PUT",path="/calls/{callId}/bxml"}`])
	})
}
