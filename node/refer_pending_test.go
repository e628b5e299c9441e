package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the rows of the specification's table "While it is pending" that speak of the REFER's answer.

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

func lostMessage(code int) string {
	return fmt.Sprintf("the caller's side no longer knows the call (REFER rejected: %d)", code)
}

func TestReferRejectedWith408Or481LosesTheDialog(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"408": 408, "481": 481} {
		t.Run(name+" without URL", func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				_, refer := s.refer(referWithoutURL)
				refer.Reply(code)
				s.disconnected("error").Check(map[string]any{"errorMessage": lostMessage(code)})
			})
		})
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				refer.Reply(code)
				want := result{"failure", code, 0, "rejected", false}
				s.referComplete(want)
				e := s.disconnected("error")
				assert.Equal(t, lostMessage(code), e.Text("errorMessage"))
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

func TestReferNoResponseWithinTheTimeConfigured(t *testing.T) {
	t.Parallel()
	short := func(cfg *node.Config) { cfg.SIP.TransactionTimeout = 2 * time.Second }
	onStage(t, settings{node: short}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		want := result{"failure", 0, 0, "no-response", false}
		e := s.referComplete(want)
		s.at(2*time.Second, e.Time, "transaction timeout")
		s.recovers(call)
		s.recorded(call, want)
		refer.Reply(202) // too late
		time.Sleep(time.Minute)
		assert.Len(t, call.Received("REFER"), 3, "after 0, 0.5 and 1.5 s, and never again")
		s.recorded(call, want)
	})
}

func TestReferTransportFails(t *testing.T) {
	t.Parallel()
	onStage(t, settings{phone: scenario.PhoneConfig{Transport: "tcp"}}, func(t *testing.T, s *stage) {
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
