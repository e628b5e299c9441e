package node_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the rows of the specification's table "While it is pending" in which the caller hangs up, asks
// for something else, or the node ends.

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
		call.Do(call.New("UPDATE", "application/sdp", call.Offer(scenario.SendRecv)), 200)
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
					for range 10 { // which goroutine comes first is chance
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
					}
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
