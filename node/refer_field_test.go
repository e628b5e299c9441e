package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the lines of "What goes wrong in the field", in their order.

func TestReferFieldAcceptedIsNotSuccess(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer int
		frag   string
		want   result
	}{
		"202, then 486":                  {202, busy, wasBusy},
		"a 200 is an acceptance":         {200, connected, result{"success", 200, 200, "final-notify", true}},
		"a sipfrag 202 is a success":     {202, "SIP/2.0 202 Accepted", result{"success", 202, 202, "final-notify", true}},
		"a 200, and a sipfrag 204":       {200, "SIP/2.0 204 No Notification", result{"success", 200, 204, "final-notify", true}},
		"a sipfrag 300 is no success":    {202, "SIP/2.0 300 Multiple Choices", result{"failure", 202, 300, "final-notify", true}},
		"a sipfrag without a phrase":     {202, "SIP/2.0 486", wasBusy},
		"a sipfrag with an empty phrase": {202, "SIP/2.0 200 ", succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(tc.answer)
				time.Sleep(5 * time.Second)
				assert.Empty(t, s.app.EventsOf("referComplete"))
				call.Never("BYE")
				refer.Notify(tc.frag)
				s.referComplete(tc.want)
				call.Expect("BYE")
				s.disconnected("hangup")
				s.recorded(call, tc.want)
			})
		})
	}
}

func TestReferFieldTheWaitHasItsBounds(t *testing.T) {
	t.Parallel()
	t.Run("it starts with the acceptance and has an end", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(referWithURL)
			time.Sleep(31 * time.Second) // longer than the clock; the phone rings its owner first
			refer.Reply(202)
			s.at(61*time.Second, s.referComplete(timedOut).Time, "referComplete")
			s.recovers(call)
		})
	})
	t.Run("a direct 4xx does not wait for a NOTIFY", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(referWithURL)
			refer.Reply(405)
			s.at(0, s.referComplete(result{"failure", 405, 0, "rejected", false}).Time, "referComplete")
			s.recovers(call)
		})
	})
}

func TestReferFieldNotifyOvertakesTheAcceptance(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{phone: scenario.PhoneConfig{Transport: transport}}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Notify(trying)
				refer.Notify(connected)
				// Nothing is blocked until the 202 is in.
				call.Do(call.New("OPTIONS", "", nil), 200)
				call.Hold()
				s.at(0, time.Now(), "no time has passed")
				time.Sleep(time.Second)
				refer.Reply(202)
				s.at(time.Second, s.referComplete(succeeded).Time, "referComplete")
				s.disconnected("hangup")
				s.recorded(call, succeeded)
			})
		})
	}
}

func TestReferFieldNotifyAndByeInOneBurst(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		for name, frags := range map[string][]string{
			"final NOTIFY":             {connected},
			"all NOTIFYs":              {trying, "SIP/2.0 180 Ringing", connected},
			"a failure, which is told": {trying, busy},
		} {
			t.Run(transport+" "+name, func(t *testing.T) {
				t.Parallel()
				onStage(t, settings{phone: scenario.PhoneConfig{Transport: transport}}, func(t *testing.T, s *stage) {
					call, refer := s.refer(referWithURL)
					var burst []*scenario.Message
					if transport == "udp" { // over TCP the answer may take another connection
						burst = append(burst, s.phone.Response(refer.Request, 202))
					} else {
						refer.Reply(202)
					}
					for _, frag := range frags {
						burst = append(burst, call.NewNotify(scenario.Notify{Frag: frag, ID: refer.CSeq()}))
					}
					call.Send(append(burst, call.New("BYE", "", nil))...)
					for range frags {
						call.Expect("200 NOTIFY")
					}
					want := succeeded
					if frags[len(frags)-1] == busy {
						want = wasBusy
					}
					s.referComplete(want)
					s.disconnected("hangup")
					s.recorded(call, want)
				})
			})
		}
	}
}

func TestReferFieldLateNotifyOfTheFirstDoesNotCompleteTheSecond(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, first := s.refer(referWithURL)
		s.app.On("referComplete",
			scenario.BXML(`<Response><Refer referCompleteUrl="/complete"><SipUri>sip:carol@example.com</SipUri></Refer></Response>`),
			scenario.Reply{})
		first.Reply(202)
		s.referComplete(timedOut)
		second := call.ExpectRefer()
		call.Notify(scenario.Notify{Frag: connected, ID: first.CSeq()}, 481) // before the second is answered
		second.Reply(202)
		call.Notify(scenario.Notify{Frag: connected, ID: first.CSeq()}, 481) // and after
		time.Sleep(time.Second)
		s.recorded(call, result{"pending", 202, 0, "", true})
		call.Notify(scenario.Notify{Frag: busy, ID: second.CSeq()}, 200)
		s.referComplete(wasBusy)
		s.disconnected("hangup")
		refers := s.record(call).Refers
		require.Len(t, refers, 2)
		assert.Equal(t, "notify-timeout", refers[0].Evidence, "the second has not overwritten the first")
		assert.Zero(t, refers[0].NotifySIPResponseCode)
	})
}

func TestReferFieldFormsOfASipfrag(t *testing.T) {
	t.Parallel()
	headers := "To: <sip:bob@example.com>;tag=1\r\nServer: bob's phone\r\n"
	for name, n := range map[string]scenario.Notify{
		"without a closing CRLF":             {Body: []byte("SIP/2.0 486 Busy Here")},
		"with LF alone":                      {Body: []byte("SIP/2.0 486 Busy Here\n")},
		"with header lines":                  {Body: []byte(busy + "\r\n" + headers)},
		"with header lines and an empty one": {Body: []byte(busy + "\r\n" + headers + "\r\n")},
		"with a body of its own":             {Body: []byte(busy + "\r\n" + headers + "Content-Length: 4\r\n\r\nbody")},
		"with version":                       {Frag: busy, ContentType: "message/sipfrag;version=2.0"},
		"with version after a blank":         {Frag: busy, ContentType: "message/sipfrag; version=2.0"},
		"with a quoted version":              {Frag: busy, ContentType: `message/sipfrag;version="2.0"`},
		"without version":                    {Frag: busy, ContentType: "message/sipfrag"},
		"in capitals":                        {Frag: busy, ContentType: "Message/SIPFrag;Version=2.0"},
		"status line in small letters":       {Frag: "sip/2.0 486 busy here"},
		"event in capitals":                  {Frag: busy, Event: "Refer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				call.Notify(n, 200)
				s.referComplete(wasBusy)
				s.recovers(call)
				s.recorded(call, wasBusy)
			})
		})
	}
}

func TestReferFieldCompactHeaderForms(t *testing.T) {
	t.Parallel()
	short := map[string]string{
		"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Content-Type": "c", "Event": "o", "Content-Length": "l",
	}
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{phone: scenario.PhoneConfig{Transport: transport}}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(202)
				m := call.NewNotify(scenario.Notify{Frag: busy, ID: refer.CSeq()})
				m.Set("Content-Length", fmt.Sprint(len(m.Body)))
				for i, h := range m.Headers {
					if name, ok := short[h.Name]; ok {
						m.Headers[i].Name = name
					}
				}
				call.Do(m, 200)
				s.referComplete(wasBusy)
				s.recovers(call)
			})
		})
	}
}

func TestReferFieldChallengeIsNoSilentEnd(t *testing.T) {
	t.Parallel()
	t.Run("with credentials it goes on", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{node: credentials}, func(t *testing.T, s *stage) {
			call, first := s.refer(referWithURL)
			first.Challenge(scenario.Challenge{Nonce: "old", QOP: "auth"})
			second := call.ExpectRefer()
			second.Challenge(scenario.Challenge{Nonce: "new", QOP: "auth", Stale: true})
			third := call.ExpectRefer()
			require.NoError(t, scenario.VerifyDigest(third.Request, "Authorization", "new", "node", "secret"))
			assert.Equal(t, []uint32{first.CSeq() + 1, first.CSeq() + 2}, []uint32{second.CSeq(), third.CSeq()})
			third.Reply(202)
			third.Notify(connected)
			s.referComplete(succeeded)
			s.disconnected("hangup")
		})
	})
	t.Run("without them it is told", func(t *testing.T) {
		t.Parallel()
		onStage(t, settings{}, func(t *testing.T, s *stage) {
			call, refer := s.refer(referWithURL)
			refer.Challenge(scenario.Challenge{Proxy: true})
			want := result{"failure", 407, 0, "auth-failed", false}
			s.referComplete(want)
			s.recovers(call)
			s.recorded(call, want)
		})
	})
}

func TestReferFieldByeAtOnceAfterSuccessAndNeverBefore(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.Reply{Delay: exchange}) // the BYE does not wait for it
		refer.Reply(202)
		for _, frag := range []string{trying, "SIP/2.0 180 Ringing", "SIP/2.0 183 Session Progress"} {
			time.Sleep(5 * time.Second)
			refer.Notify(frag)
		}
		time.Sleep(5 * time.Second)
		call.Never("BYE")
		refer.Notify(connected)
		s.at(20*time.Second, call.Expect("BYE").Time, "BYE")
		s.inOrder(call, "in NOTIFY", "out 200 NOTIFY", "out BYE")
		s.disconnected("hangup")
	})
}

func TestReferFieldAFailedTransferDoesNotHangUp(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(call *scenario.ScriptedCall, refer *scenario.ScriptedRefer){
		"rejected": func(_ *scenario.ScriptedCall, r *scenario.ScriptedRefer) { r.Reply(603) },
		"busy":     func(_ *scenario.ScriptedCall, r *scenario.ScriptedRefer) { r.Reply(202); r.Notify(busy) },
		"silent":   func(_ *scenario.ScriptedCall, r *scenario.ScriptedRefer) { r.Reply(202); time.Sleep(30 * time.Second) },
		"subscription ended": func(call *scenario.ScriptedCall, r *scenario.ScriptedRefer) {
			r.Reply(202)
			call.Notify(scenario.Notify{NoBody: true, State: "terminated;reason=rejected"}, 200)
		},
		"no answer": func(*scenario.ScriptedCall, *scenario.ScriptedRefer) { time.Sleep(32 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				s.app.On("referComplete", scenario.BXML(`<Response><Pause duration="20"/><SpeakSentence>Still here</SpeakSentence></Response>`))
				end(call, refer)
				time.Sleep(10 * time.Second)
				call.Never("BYE")
				assert.Empty(t, s.app.EventsOf("disconnect"))
				call.Do(call.New("OPTIONS", "", nil), 200)
				call.Listen(func(heard scenario.Sound) bool { return heard.Length() >= time.Second }) // the sentence
				call.Expect("BYE")
				s.disconnected("hangup")
			})
		})
	}
}

func TestReferFieldASlowWebhookBlocksNothing(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		s.app.On("referComplete", scenario.Reply{Body: recovery, Delay: exchange})
		refer.Reply(202)
		refer.Notify(busy)
		time.Sleep(time.Second)
		for range 3 {
			call.Do(call.New("OPTIONS", "", nil), 200)
			call.Do(call.New("INFO", "application/dtmf-relay", []byte("Signal=1\r\nDuration=100\r\n")), 200)
			call.Hold()
			call.Resume()
			call.Notify(scenario.Notify{Frag: connected, ID: refer.CSeq()}, 481)
		}
		s.at(time.Second, time.Now(), "every answer came at once")
		call.Bye()
		s.at(time.Second, time.Now(), "the BYE's, too")
		s.referComplete(wasBusy)
		s.disconnected("hangup")
	})
}
