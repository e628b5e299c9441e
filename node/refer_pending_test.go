package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the rows of the specification's table "While it is pending", in its order.

const (
	busy      = "SIP/2.0 486 Busy Here"
	connected = "SIP/2.0 200 OK"
	trying    = "SIP/2.0 100 Trying"
)

var (
	succeeded = result{"success", 202, 200, "final-notify", true}
	wasBusy   = result{"failure", 202, 486, "final-notify", true}
	timedOut  = result{"failure", 202, 0, "notify-timeout", true}
)

func TestReferProvisionalResponseKeepsWaiting(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		refer.Reply(100)
		time.Sleep(time.Second)
		refer.Reply(183)
		time.Sleep(19 * time.Second)
		s.recorded(call, result{"pending", 0, 0, "", false})
		refer.Reply(202)
		time.Sleep(25 * time.Second)
		refer.Notify(busy)
		e := s.referComplete(wasBusy)
		s.at(45*time.Second, e.Time, "referComplete")
		s.recovers(call)
		s.recorded(call, wasBusy)
	})
}

func TestReferAccepted(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"202": 202, "200": 200, "204": 204, "299": 299} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				time.Sleep(10 * time.Second)
				refer.Reply(code)
				time.Sleep(time.Second)
				pending := result{"pending", code, 0, "", true}
				r := s.recorded(call, pending) // billable from here
				s.at(0, r.SentTime, "sent")
				s.at(10*time.Second, *r.AcceptedTime, "accepted")
				assert.Nil(t, r.EndTime)
				// The clock started with the acceptance, not with the REFER.
				want := result{"failure", code, 0, "notify-timeout", true}
				e := s.referComplete(want)
				s.at(40*time.Second, e.Time, "referComplete")
				s.recovers(call)
				r = s.recorded(call, want)
				s.at(40*time.Second, *r.EndTime, "end")
			})
		})
	}
}

func TestReferRejected(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{
		"302": 302, "400": 400, "403": 403, "404": 404, "405": 405, "420": 420, "486": 486, "500": 500, "501": 501, "503": 503, "603": 603,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(code, scenario.Header{Name: "Contact", Value: "<sip:elsewhere@127.0.0.1:9>"})
				want := result{"failure", code, 0, "rejected", false}
				e := s.referComplete(want)
				s.at(0, e.Time, "at once")
				s.recovers(call)
				r := s.recorded(call, want)
				assert.Nil(t, r.AcceptedTime)
				assert.Len(t, call.Received("REFER"), 1, "a redirection is not followed")
			})
		})
	}
}

func TestReferRejectedWith408Or481LosesTheDialog(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"408": 408, "481": 481} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(code)
				want := result{"failure", code, 0, "rejected", false}
				s.referComplete(want)
				e := s.disconnected("error")
				assert.Contains(t, e.Text("errorMessage"), "no longer knows the call")
				time.Sleep(time.Minute)
				s.order("/complete", "/status")
				call.Never("BYE")
				s.recorded(call, want)
			})
		})
	}
}

func TestReferNoResponse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		transport string
		sent      int
	}{"udp": {"udp", 11}, "tcp": {"tcp", 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{phone: scenario.PhoneConfig{Transport: tc.transport}}, func(t *testing.T, s *stage) {
				call, _ := s.refer(referWithURL)
				want := result{"failure", 0, 0, "no-response", false}
				e := s.referComplete(want)
				s.at(32*time.Second, e.Time, "timer F")
				s.recovers(call) // the call stays up
				s.recorded(call, want)
				assert.Len(t, call.Received("REFER"), tc.sent)
			})
		})
	}
}

func TestReferTransportFails(t *testing.T) {
	t.Parallel()
	onStage(t, settings{phone: scenario.PhoneConfig{Transport: "tcp"}, unchecked: true}, func(t *testing.T, s *stage) {
		call, _ := s.refer(referWithURL)
		s.phone.Disconnect()
		want := result{"failure", 0, 0, "transport-error", false}
		e := s.referComplete(want)
		s.at(0, e.Time, "at once")
		s.app.Expect("/recovered") // the call stays up
		s.recorded(call, want)
		s.disconnected("hangup")
	})
}

func TestReferNoResponseButFinalNotifyHeld(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frag string
		want result
	}{
		"success": {connected, result{"success", 0, 200, "final-notify", true}},
		"failure": {busy, result{"failure", 0, 486, "final-notify", true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				time.Sleep(time.Second)
				refer.Notify(tc.frag)
				e := s.referComplete(tc.want)
				s.at(32*time.Second, e.Time, "timer F")
				s.disconnected("hangup")
				s.recorded(call, tc.want)
			})
		})
	}
}

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
		call.Send(m, m)
		call.Expect("200 NOTIFY")
		call.Expect("200 NOTIFY")
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

func TestReferByeBeforeTheReferIsAnswered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then func(s *stage, call *scenario.ScriptedCall, refer *scenario.ScriptedRefer)
		want result
		at   time.Duration
	}{
		"then rejected": {func(_ *stage, _ *scenario.ScriptedCall, refer *scenario.ScriptedRefer) {
			refer.Reply(405)
		}, result{"failure", 405, 0, "rejected", false}, 2 * time.Second},
		"then accepted and connected": {func(_ *stage, _ *scenario.ScriptedCall, refer *scenario.ScriptedRefer) {
			refer.Reply(202)
			time.Sleep(time.Second)
			refer.Notify(connected)
		}, succeeded, 3 * time.Second},
		"then accepted": {func(_ *stage, _ *scenario.ScriptedCall, refer *scenario.ScriptedRefer) {
			refer.Reply(202)
		}, timedOut, 32 * time.Second},
		"never answered": {func(*stage, *scenario.ScriptedCall, *scenario.ScriptedRefer) {},
			result{"failure", 0, 0, "no-response", false}, 32 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				time.Sleep(time.Second)
				call.Bye()
				e := s.disconnected("hangup")
				s.at(time.Second, e.Time, "disconnect at once")
				time.Sleep(time.Second)
				tc.then(s, call, refer)
				e = s.referComplete(tc.want)
				s.at(tc.at, e.Time, "referComplete")
				time.Sleep(time.Minute)
				s.order("/status", "/complete") // its reply cannot run any more
				call.Never("BYE")
				s.recorded(call, tc.want)
			})
		})
	}
}

func TestReferByeAfterTheReferIsAccepted(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		frag string // "": none comes
		want result
		at   time.Duration
	}{
		"then connected": {connected, succeeded, 5 * time.Second},
		"then busy":      {busy, wasBusy, 5 * time.Second},
		"then nothing":   {"", timedOut, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				time.Sleep(time.Second)
				call.Bye()
				e := s.disconnected("hangup")
				s.at(time.Second, e.Time, "disconnect at once")
				time.Sleep(4 * time.Second)
				if tc.frag != "" {
					refer.Notify(tc.frag)
				}
				e = s.referComplete(tc.want)
				s.at(tc.at, e.Time, "referComplete")
				time.Sleep(time.Minute)
				s.order("/status", "/complete")
				call.Never("BYE")
				s.recorded(call, tc.want)
				s.at(time.Second, *s.record(call).EndTime, "the dialog's end")
				call.Notify(scenario.Notify{Frag: connected, ID: refer.CSeq()}, 481) // now the dialog is gone
			})
		})
	}
}

func TestReferOtherRequestsWhilePending(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		call.Hold()
		refer.Reply(202)
		call.ReInvite(scenario.Offer{None: true})
		call.Do(call.New("INFO", "application/dtmf-relay", []byte("Signal=1\r\nDuration=100\r\n")), 200)
		call.Do(call.New("OPTIONS", "", nil), 200)
		call.Do(call.New("UPDATE", "application/sdp", call.Offer(scenario.SendRecv)), 405)
		call.Resume()
		time.Sleep(time.Second)
		s.recorded(call, result{"pending", 202, 0, "", true})
		refer.Notify(connected)
		s.referComplete(succeeded)
		call.Expect("BYE")
		s.disconnected("hangup")
	})
}

func TestReferNotifyAndByeInOneBurst(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		for name, byeFirst := range map[string]bool{"NOTIFY first": false, "BYE first": true} {
			for _, frag := range []string{connected, busy} {
				t.Run(transport+" "+name+" "+frag[8:11], func(t *testing.T) {
					t.Parallel()
					onStage(t, settings{phone: scenario.PhoneConfig{Transport: transport}}, func(t *testing.T, s *stage) {
						s.phone.Answer("BYE", 0) // an answer takes longer than the node's next step
						call, refer := s.refer(referWithURL)
						s.app.On("referComplete", scenario.Reply{Body: recovery, Delay: exchange})
						refer.Reply(202)
						synctest.Wait()
						want := succeeded
						if frag == busy {
							want = wasBusy
						}
						notify, bye := call.NewNotify(scenario.Notify{Frag: frag}), call.New("BYE", "", nil)
						if byeFirst {
							notify, bye = notify.Set("CSeq", "9 NOTIFY"), bye.Set("CSeq", "8 BYE")
							call.Send(bye, notify)
						} else {
							call.Send(notify, bye)
						}
						over := call.Expect("200 BYE").Time
						synctest.Wait()
						for _, crossing := range call.Received("BYE") {
							call.Respond(crossing, 200)
						}
						call.Expect("200 NOTIFY")
						s.referComplete(want)
						end := s.disconnected("hangup")
						s.recorded(call, want)
						time.Sleep(time.Minute)
						s.unused("/recovered", "/next")
						if byeFirst {
							assert.Equal(t, over, end.Time, "at once")
							call.Never("BYE")
						} else {
							assert.Equal(t, over.Add(exchange), end.Time, "when the referComplete exchange has ended")
						}
					})
				})
			}
		}
	}
}

func TestReferSubFalse(t *testing.T) {
	t.Parallel()
	header := scenario.Header{Name: "Refer-Sub", Value: "false"}
	t.Run("the clock decides", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(referWithURL)
			assert.False(t, refer.Request.Has("Refer-Sub"), "we never ask for it")
			refer.Reply(202, header)
			e := s.referComplete(timedOut)
			s.at(30*time.Second, e.Time, "referComplete")
			s.recovers(call)
			s.recorded(call, timedOut)
		})
	})
	t.Run("the BYE ends the call first", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(referWithURL)
			refer.Reply(202, header)
			time.Sleep(2 * time.Second)
			call.Bye()
			e := s.disconnected("hangup")
			s.at(2*time.Second, e.Time, "disconnect")
			e = s.referComplete(timedOut)
			s.at(30*time.Second, e.Time, "referComplete")
			s.recorded(call, timedOut)
		})
	})
}

func TestReferPendingWhenTheDrainIsOver(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code int // answer to the REFER; 0: none
		want result
	}{
		"accepted":     {202, result{"failure", 202, 0, "interrupted", true}},
		"not answered": {0, result{"failure", 0, 0, "interrupted", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			drain := func(cfg *node.Config) { cfg.DrainTimeout = 10 * time.Second }
			onStage(t, settings{node: drain}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				if tc.code != 0 {
					refer.Reply(tc.code)
				}
				s.node.Drain(t.Context())
				e := s.referComplete(tc.want)
				s.at(10*time.Second, e.Time, "referComplete")
				s.disconnected("error")
				s.order("/complete", "/status") // the reply is ignored
				call.Expect("BYE")
				s.recorded(call, tc.want)
			})
		})
	}
}
