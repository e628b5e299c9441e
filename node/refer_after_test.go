package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the rows and columns of the specification's table "After it", and the rules below it.

// exchange is how long the application takes for referComplete where the order of events is looked at.
const exchange = 10 * time.Second

func TestReferSuccessWithURL(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]scenario.Reply{
		"BXML":           {Body: recovery},
		"malformed BXML": {Body: "<Response><Refer"},
		"unknown verb":   {Body: "<Response><Fly/></Response>"},
		"no body":        {},
		"an error":       {Status: 500},
		"no reply":       {Hang: true},
		"dropped":        {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				s.app.On("referComplete", reply)
				refer.Reply(202)
				refer.Notify(connected)
				bye := call.Expect("BYE")
				s.at(0, bye.Time, "at once")
				s.referComplete(succeeded)
				s.disconnected("hangup").Check(map[string]any{"errorMessage": scenario.Absent, "errorId": scenario.Absent})
				time.Sleep(time.Minute)
				s.unused("/recovered", "/next")
				s.inOrder(call, "in NOTIFY", "out 200 NOTIFY", "out BYE")
				s.recorded(call, succeeded)
			})
		})
	}
}

func TestReferSuccessWithoutURL(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithoutURL)
		refer.Reply(202)
		refer.Notify(connected)
		call.Expect("BYE")
		s.disconnected("hangup")
		time.Sleep(time.Minute)
		s.order("/status")
		s.recorded(call, succeeded)
	})
}

func TestReferFailureWithURLReplacesTheDocument(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply scenario.Reply
		runs  []string // requests after referComplete
		cause string
	}{
		"BXML":             {scenario.Reply{Body: recovery}, []string{"/recovered", "/status"}, "hangup"},
		"204":              {scenario.Reply{}, []string{"/status"}, "hangup"},
		"empty Response":   {scenario.Reply{Body: "<Response/>"}, []string{"/status"}, "hangup"},
		"Hangup":           {scenario.Reply{Body: "<Response><Hangup/></Response>"}, []string{"/status"}, "hangup"},
		"invalid BXML":     {scenario.Reply{Body: "<Response><Fly/></Response>"}, []string{"/status"}, "invalid-bxml"},
		"malformed BXML":   {scenario.Reply{Body: "<Response>"}, []string{"/status"}, "invalid-bxml"},
		"speech, and more": {scenario.Reply{Body: `<Response><SpeakSentence>Busy</SpeakSentence><Redirect redirectUrl="/recovered"/></Response>`}, []string{"/recovered", "/status"}, "hangup"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				s.app.On("referComplete", tc.reply)
				refer.Reply(202)
				refer.Notify(busy)
				s.referComplete(wasBusy)
				call.Expect("BYE")
				e := s.disconnected(tc.cause)
				assert.Equal(t, tc.cause != "hangup", e.Has("errorMessage"))
				s.order(append([]string{"/complete"}, tc.runs...)...)
				s.recorded(call, wasBusy)
			})
		})
	}
}

func TestReferFailureWithURLThatCannotBeReached(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply    scenario.Reply
		attempts int
		after    time.Duration
	}{
		"500":     {scenario.Reply{Status: 500}, 1, 0},
		"404":     {scenario.Reply{Status: 404}, 1, 0},
		"hanging": {scenario.Reply{Hang: true}, 1, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				s.app.On("referComplete", tc.reply)
				refer.Reply(603)
				e := s.disconnected("callback-error")
				s.at(tc.after, e.Time, "disconnect")
				call.Expect("BYE")
				assert.Len(t, s.app.EventsOf("referComplete"), tc.attempts)
				s.unused("/next")
				s.recorded(call, result{"failure", 603, 0, "rejected", false})
			})
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(strings.Replace(referWithURL, "/complete", "http://backup.example/complete", 1))
			refer.Reply(603)
			s.disconnected("callback-error")
			call.Expect("BYE")
		})
	})
}

func TestReferFailureWithoutURL(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"the verbs after it run":    referWithoutURL,
		"an empty URL counts as no": strings.Replace(referWithURL, "/complete", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(document)
				refer.Reply(202)
				refer.Notify(busy)
				s.app.Expect("/next")
				call.Expect("BYE")
				s.disconnected("hangup")
				s.order("/next", "/status")
				s.recorded(call, wasBusy)
			})
		})
	}
	t.Run("no verb after it", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(`<Response><Refer><SipUri>` + target + `</SipUri></Refer></Response>`)
			refer.Reply(603)
			call.Expect("BYE") // the implicit Hangup
			s.disconnected("hangup")
			s.order("/status")
		})
	})
}

func TestReferFailureOfACallThatIsGone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		document string
		want     []string
	}{
		"with URL":    {referWithURL, []string{"/status", "/complete"}},
		"without URL": {referWithoutURL, []string{"/status"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(tc.document)
				refer.Reply(202)
				call.Bye()
				time.Sleep(time.Second)
				refer.Notify(busy)
				time.Sleep(time.Minute)
				s.order(tc.want...) // the reply's BXML is ignored
				call.Never("BYE")
				s.recorded(call, wasBusy)
			})
		})
	}
}

func TestReferCallerHangsUpWhileReferCompleteIsDelivered(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.Reply{Body: recovery, Delay: exchange})
		refer.Reply(202)
		refer.Notify(busy)
		time.Sleep(2 * time.Second)
		call.Bye()
		s.referComplete(wasBusy)
		e := s.disconnected("hangup")
		s.at(exchange, e.Time, "a referComplete under way is not cut off")
		s.at(2*time.Second, *s.record(call).EndTime, "the dialog's end")
		s.order("/complete", "/status")
	})
}

func TestReferCompleteProperties(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"POST", "GET", "get"} {
		for name, tag := range map[string]string{"no tag": "", "a tag": "order-1182"} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				onStage(t, settings{}, func(t *testing.T, s *stage) {
					attributes := fmt.Sprintf(`referCompleteUrl="/complete?kept=1" referCompleteMethod=%q`, method)
					if tag != "" {
						attributes += fmt.Sprintf(` tag=%q`, tag)
					}
					call, refer := s.refer(`<Response><Refer ` + attributes + `><SipUri>` + target + `</SipUri></Refer></Response>`)
					refer.Reply(202)
					time.Sleep(time.Second)
					refer.Notify(busy)
					e := s.app.Expect("referComplete")
					assert.Equal(t, strings.ToUpper(method), e.Method)
					assert.Equal(t, "1", e.Query.Get("kept"))
					record := s.record(call)
					want := map[string]any{
						"eventType": "referComplete", "eventTime": "2000-01-01T00:00:01.000Z",
						"accountId": "5555555", "applicationId": "shop",
						"from": s.phone.URI(), "to": appURI, "direction": "inbound",
						"callId":    record.CallID,
						"callUrl":   "http://127.0.0.1:8088/api/v2/accounts/5555555/calls/" + record.CallID,
						"startTime": "2000-01-01T00:00:00.000Z", "answerTime": "2000-01-01T00:00:00.000Z",
						"referCallStatus": "failure", "referSipResponseCode": 202, "notifySipResponseCode": 486,
						"tag": tag,
					}
					if tag == "" {
						delete(want, "tag")
					}
					e.Check(want)
					for property := range e.Properties {
						if property != "kept" {
							assert.Contains(t, want, property, "nothing else")
						}
					}
					assert.NotEmpty(t, e.ID())
					s.disconnected("hangup")
				})
			})
		}
	}
}

func TestReferTagTakesEffectBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tag  string
		want any
	}{"set": {`tag="new"`, "new"}, "cleared": {`tag=""`, scenario.Absent}, "not named": {``, "first"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				_, refer := s.refer(`<Response><Tag>first</Tag><Refer referCompleteUrl="/complete" ` + tc.tag + `><SipUri>` + target + `</SipUri></Refer></Response>`)
				refer.Reply(603)
				s.app.Expect("referComplete").Check(map[string]any{"tag": tc.want})
				s.app.Expect("/recovered").Check(map[string]any{"tag": tc.want})
				s.disconnected("hangup").Check(map[string]any{"tag": tc.want})
			})
		})
	}
}

func TestReferOrderOnSuccess(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.Reply{Delay: exchange})
		refer.Reply(202)
		time.Sleep(time.Second)
		refer.Notify(connected)
		s.at(time.Second, call.Expect("BYE").Time, "BYE")
		s.at(time.Second, s.referComplete(succeeded).Time, "referComplete")
		e := s.disconnected("hangup")
		s.at(time.Second+exchange, e.Time, "disconnect, when the exchange has ended")
		s.inOrder(call, "in NOTIFY", "out 200 NOTIFY", "out BYE", "in 200 BYE")
		e.Check(map[string]any{"endTime": "2000-01-01T00:00:01.000Z"})
		s.at(time.Second, *s.record(call).EndTime, "the dialog's end")
	})
}

func TestReferOrderWhenTheDialogIsLost(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.Reply{Body: recovery, Delay: exchange})
		time.Sleep(time.Second)
		refer.Reply(481)
		s.at(time.Second, s.referComplete(result{"failure", 481, 0, "rejected", false}).Time, "referComplete")
		e := s.disconnected("error")
		s.at(time.Second+exchange, e.Time, "disconnect, when the exchange has ended")
		e.Check(map[string]any{"endTime": "2000-01-01T00:00:01.000Z"})
		call.Never("BYE")
		s.order("/complete", "/status")
	})
}

func TestReferOrderWhenTheCallerHangsUpFirst(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		time.Sleep(time.Second)
		call.Bye()
		time.Sleep(time.Second)
		refer.Notify(connected)
		e := s.disconnected("hangup")
		s.at(time.Second, e.Time, "disconnect at once")
		s.at(2*time.Second, s.referComplete(succeeded).Time, "referComplete later")
		assert.NotEqual(t, e.ID(), s.app.EventsOf("referComplete")[0].ID())
	})
}

// A delivery that failed on the way is repeated with the same id and body.
func TestReferCompleteIsOneEventHoweverOftenItIsDelivered(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete",
			scenario.Reply{Redirect: "/complete"}, // 307: once more, to itself
			scenario.BXML(recovery))
		refer.Reply(603)
		s.recovers(call)
		events := s.app.EventsOf("referComplete")
		require.Len(t, events, 2)
		assert.Equal(t, events[0].ID(), events[1].ID())
		assert.Equal(t, string(events[0].Body), string(events[1].Body))
	})
}

func TestReferCompleteURLIsRelativeToTheDocument(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.Reply{Status: http.StatusTemporaryRedirect, Redirect: "/deep/down/document"})
		s.app.On("/deep/down/document", scenario.BXML(strings.Replace(referWithURL, "/complete", "../up", 1)))
		call := s.phone.Call(appURI)
		call.ExpectRefer().Reply(603)
		s.app.Expect("/deep/up")
		s.disconnected("hangup")
	})
}

// Two Refers on one call each have their own events and their own lines in the record.
func TestReferTwiceOnOneCall(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		second := `<Response><Refer referCompleteUrl="/complete"><SipUri>sip:carol@example.com</SipUri></Refer></Response>`
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.BXML(second), scenario.Reply{})
		refer.Reply(405)
		s.referComplete(result{"failure", 405, 0, "rejected", false})
		again := call.ExpectRefer()
		assert.Equal(t, "<sip:carol@example.com>", again.Target())
		assert.Equal(t, refer.CSeq()+1, again.CSeq())
		again.Reply(202)
		call.Notify(scenario.Notify{Frag: connected, ID: again.CSeq()}, 200)
		s.referComplete(succeeded)
		s.disconnected("hangup")
		refers := s.record(call).Refers
		require.Len(t, refers, 2)
		assert.Equal(t, []string{"failure", "success"}, []string{refers[0].Status, refers[1].Status})
		assert.Equal(t, []bool{false, true}, []bool{refers[0].Billable, refers[1].Billable})
		assert.NotEqual(t, s.app.EventsOf("referComplete")[0].ID(), s.app.EventsOf("referComplete")[1].ID())
	})
}
