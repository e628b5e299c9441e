package node_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the rows of the specification's table "While it is pending" that speak of NOTIFYs.

func TestReferNotifyBeforeAccepted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frag string
		want result
	}{"success": {connected, succeeded}, "failure": {busy, wasBusy}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Notify(trying)
				answer := refer.Notify(tc.frag)
				s.at(0, answer.Time, "the NOTIFY is answered while the REFER's answer is still to come")
				time.Sleep(5 * time.Second)
				assert.Empty(t, s.app.EventsOf("referComplete"), "it is held")
				refer.Reply(202)
				e := s.referComplete(tc.want)
				s.at(5*time.Second, e.Time, "then it counts")
				s.disconnected("hangup")
				s.recorded(call, tc.want)
			})
		})
	}
}

func TestReferNotifyBeforeARejectionDoesNotCount(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Notify(connected)
		refer.Reply(603)
		want := result{"failure", 603, 0, "rejected", false}
		s.referComplete(want)
		s.recovers(call)
		s.recorded(call, want)
	})
}

func TestReferProgressDoesNotRestartTheClock(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		time.Sleep(10 * time.Second)
		refer.Notify(trying)
		time.Sleep(19 * time.Second)
		refer.Notify("SIP/2.0 180 Ringing")
		s.recorded(call, result{"pending", 202, 0, "", true})
		e := s.referComplete(timedOut)
		s.at(30*time.Second, e.Time, "referComplete")
		s.recovers(call)
		s.inOrder(call, "in NOTIFY", "out 200 NOTIFY", "in NOTIFY", "out 200 NOTIFY")
	})
}

func TestReferSucceeds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frag string
		code int
	}{
		"200": {connected, 200}, "202": {"SIP/2.0 202 Accepted", 202}, "204": {"SIP/2.0 204 No Notification", 204}, "299": {"SIP/2.0 299 Fine", 299},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				refer.Notify(trying)
				time.Sleep(7 * time.Second)
				refer.Notify(tc.frag)
				want := result{"success", 202, tc.code, "final-notify", true}
				e := s.referComplete(want)
				s.at(7*time.Second, e.Time, "referComplete")
				call.Expect("BYE")
				s.disconnected("hangup")
				s.unused("/recovered", "/next")
				r := s.recorded(call, want)
				s.at(7*time.Second, *r.EndTime, "end")
			})
		})
	}
}

func TestReferFailsByNotify(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frag string
		code int
	}{
		"302": {"SIP/2.0 302 Moved Temporarily", 302}, "404": {"SIP/2.0 404 Not Found", 404}, "408": {"SIP/2.0 408 Request Timeout", 408},
		"481": {"SIP/2.0 481 Call/Transaction Does Not Exist", 481}, "486": {busy, 486},
		"503": {"SIP/2.0 503 Service Unavailable", 503}, "603": {"SIP/2.0 603 Decline", 603}, "699": {"SIP/2.0 699 Other", 699},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				time.Sleep(time.Second)
				refer.Notify(tc.frag)
				want := result{"failure", 202, tc.code, "final-notify", true}
				e := s.referComplete(want)
				s.at(time.Second, e.Time, "referComplete")
				s.recovers(call)
				s.recorded(call, want)
			})
		})
	}
}

func TestReferSubscriptionTerminatedWithoutFinalCode(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]scenario.Notify{
		"no body":          {NoBody: true, State: "terminated;reason=timeout"},
		"provisional code": {Frag: trying, State: "terminated;reason=giveup"},
		"letter case":      {NoBody: true, State: "Terminated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				time.Sleep(time.Second)
				call.Notify(n, 200)
				want := result{"failure", 202, 0, "subscription-ended", true}
				e := s.referComplete(want)
				s.at(time.Second, e.Time, "at once")
				s.recovers(call)
				s.recorded(call, want)
			})
		})
	}
}

func TestReferNotifyThatCannotBeReadIsIgnored(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		notify scenario.Notify
		code   int
	}{
		"no Event":                       {scenario.Notify{Frag: connected, NoEvent: true}, 489},
		"another event package":          {scenario.Notify{Frag: connected, Event: "dialog"}, 489},
		"body of another type":           {scenario.Notify{Body: []byte("{}"), ContentType: "application/json", State: "terminated"}, 415},
		"sipfrag without status line":    {scenario.Notify{Body: []byte("To: <sip:a@b>\r\n"), State: "terminated"}, 400},
		"sipfrag with a request line":    {scenario.Notify{Frag: "INVITE sip:a@b SIP/2.0", State: "terminated"}, 400},
		"sipfrag with code out of range": {scenario.Notify{Frag: "SIP/2.0 999 Nonsense", State: "terminated"}, 400},
		"sipfrag of another version":     {scenario.Notify{Frag: "HTTP/1.1 200 OK", State: "terminated"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				call.Notify(tc.notify, tc.code)
				time.Sleep(time.Second)
				s.recorded(call, result{"pending", 202, 0, "", true})
				refer.Notify(busy)
				s.referComplete(wasBusy)
				s.recovers(call)
			})
		})
	}
}

func TestReferNotifyWithTheIDOfAnotherRefer(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("/again", scenario.BXML(`<Response><Refer referCompleteUrl="/complete2"><SipUri>sip:carol@example.com</SipUri></Refer></Response>`))
		s.app.On("/recovered", scenario.Reply{Redirect: "/again"})
		s.app.On("/complete2", scenario.Reply{})
		call, first := s.refer(referWithURL)
		first.Reply(202)
		call.Notify(scenario.Notify{Frag: busy, ID: first.CSeq()}, 200)
		s.referComplete(wasBusy)
		second := call.ExpectRefer()
		require.Equal(t, "<sip:carol@example.com>", second.Target())
		require.Greater(t, second.CSeq(), first.CSeq())
		second.Reply(202)
		call.Notify(scenario.Notify{Frag: connected, ID: first.CSeq()}, 481)       // that one is over
		call.Notify(scenario.Notify{Frag: connected, ID: second.CSeq() + 50}, 481) // there never was one
		time.Sleep(time.Second)
		s.recorded(call, result{"pending", 202, 0, "", true})
		call.Notify(scenario.Notify{Frag: "SIP/2.0 404 Not Found", ID: second.CSeq()}, 200)
		s.app.Expect("/complete2").Check(map[string]any{"notifySipResponseCode": 404})
		s.disconnected("hangup")
		refers := s.record(call).Refers
		require.Len(t, refers, 2)
		assert.Equal(t, 486, refers[0].NotifySIPResponseCode)
		assert.Equal(t, target, refers[0].Target)
		assert.Equal(t, 404, refers[1].NotifySIPResponseCode)
		assert.Equal(t, "sip:carol@example.com", refers[1].Target)
	})
}

func TestReferNotifyWithoutID(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("/recovered", scenario.BXML(`<Response><Pause duration="60"/></Response>`))
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		call.Notify(scenario.Notify{Frag: busy}, 200)
		s.referComplete(wasBusy)
		s.app.Expect("/recovered")
		call.Notify(scenario.Notify{Frag: connected}, 481) // none is pending
		s.disconnected("hangup")
		s.recorded(call, wasBusy)
	})
}

func TestReferNotifyBeforeAnyReferIsRefused(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.BXML(`<Response><Ring duration="5"/></Response>`))
		call := s.phone.Call(appURI)
		call.Notify(scenario.Notify{Frag: connected}, 481)
		s.disconnected("hangup")
	})
}

func TestReferNotifyWithoutSubscriptionState(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		call.Notify(scenario.Notify{Frag: trying, NoState: true}, 200)
		call.Notify(scenario.Notify{NoBody: true, NoState: true}, 200)
		time.Sleep(time.Second)
		s.recorded(call, result{"pending", 202, 0, "", true}) // active
		call.Notify(scenario.Notify{Frag: busy, NoState: true}, 200)
		s.referComplete(wasBusy)
		s.recovers(call)
	})
}

func TestReferNotifyRetransmitted(t *testing.T) {
	t.Parallel()
	onStage(t, settings{phone: scenario.PhoneConfig{Manual: true}}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.BXML(referWithURL))
		s.app.On("referComplete", scenario.BXML(recovery))
		call := s.phone.Invite(scenario.Invite{To: appURI})
		call.Ack(call.Expect("200 INVITE"))
		refer := call.ExpectRefer()
		refer.Reply(202)
		m := call.NewNotify(scenario.Notify{Frag: busy})
		for range 2 { // before its answer, a copy would be dropped (RFC 3261 section 17.2.2)
			call.Send(m)
			call.Expect("200 NOTIFY")
		}
		s.referComplete(wasBusy)
		call.Respond(call.Expect("BYE"), 200)
		call.Send(m)
		call.Expect("200 NOTIFY") // the same answer, after all is over
		s.disconnected("hangup")
		time.Sleep(time.Minute)
		assert.Len(t, s.app.EventsOf("referComplete"), 1)
		s.recorded(call, wasBusy)
	})
}

func TestReferNotifyOutOfOrder(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		call.Notify(scenario.Notify{Frag: trying, CSeq: 20}, 200)
		call.Notify(scenario.Notify{Frag: connected, CSeq: 19}, 500) // RFC 3261 section 12.2.2
		call.Notify(scenario.Notify{Frag: connected, CSeq: 20}, 200) // answered, counted once
		time.Sleep(time.Second)
		s.recorded(call, result{"pending", 202, 0, "", true})
		call.Notify(scenario.Notify{Frag: busy, CSeq: 21}, 200)
		s.referComplete(wasBusy)
		s.recovers(call)
	})
}

func TestReferNotifyTimeout(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("/recovered", scenario.BXML(`<Response><Pause duration="60"/></Response>`))
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		e := s.referComplete(timedOut)
		s.at(30*time.Second, e.Time, "referComplete")
		s.app.Expect("/recovered")
		answer := call.Notify(scenario.Notify{Frag: connected, ID: refer.CSeq()}, 481)
		s.at(30*time.Second, answer.Time, "a late NOTIFY")
		e = s.disconnected("hangup")
		s.at(90*time.Second, e.Time, "the late NOTIFY has changed nothing")
		s.recorded(call, timedOut)
		assert.Len(t, s.app.EventsOf("referComplete"), 1)
	})
}

func TestReferNotifyAtTheLastMomentCounts(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(202)
		time.Sleep(30*time.Second - time.Nanosecond)
		refer.Notify(connected)
		s.referComplete(succeeded)
		s.disconnected("hangup")
		s.recorded(call, succeeded)
	})
}
