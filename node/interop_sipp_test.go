package node_test

import (
	"fmt"
	"testing"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
)

// sipp starts SIPp (Debian's sip-tester) with calls to the node, or for calls to itself, and returns its port. Its exit status
// is bad when one message of one call was another than its scenario says.
func sipp(t *testing.T, args ...string) (p *program, port string) {
	t.Helper()
	port = freePort(t)
	args = append([]string{
		"-i", "127.0.0.1", "-p", port, "-nostdin", "-timeout", fmt.Sprint(int(patience.Seconds())), "-timeout_error",
		"-trace_err", "-error_file", "/dev/stderr",
	}, args...)
	return run(t, "sip-tester", "sipp", args...), port
}

// sippCalls has SIPp place calls to the node.
func (l *live) sippCalls(t *testing.T, transport string, args ...string) *program {
	t.Helper()
	option := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
	p, _ := sipp(t, append([]string{"-t", option, "-s", "desk", l.address(transport)}, args...)...)
	return p
}

func TestSIPpPlacesAHundredCalls(t *testing.T) {
	l := onLoopback(t, nil)
	l.app.On("initiate", scenario.BXML(response(`<Pause duration="30"/>`)))
	udp := l.sippCalls(t, "udp", "-sn", "uac", "-m", "100", "-r", "20", "-d", "200")
	tcp := l.sippCalls(t, "tcp", "-sn", "uac", "-m", "100", "-r", "20", "-d", "200")
	udp.succeeds(t)
	tcp.succeeds(t)
	for range 200 {
		r := l.disconnect("hangup")
		assert.NotNil(t, r.AnswerTime)
		assert.NotNil(t, r.EndTime)
	}
}

func TestSIPpIsReferred(t *testing.T) {
	for name, want := range map[string]state.Refer{
		"refer-succeeds": answeredReferral,
		"refer-busy": {
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Billable: true, Evidence: "final-notify",
		},
		"refer-405":    {Status: state.ReferFailure, ReferSIPResponseCode: 405, Evidence: "rejected"},
		"record-route": {Status: state.ReferFailure, ReferSIPResponseCode: 405, Evidence: "rejected"},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				l := onLoopback(t, nil)
				l.refers("sip:bob@example.com")
				l.sippCalls(t, transport, "-sf", testdata(t, "sipp/"+name+".xml"), "-m", "1").succeeds(t)
				l.referred(want)
			})
		}
	}
}

func TestSIPpHoldsAndResumes(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			l := onLoopback(t, nil)
			l.app.On("initiate", scenario.BXML(response(`<Pause duration="60"/>`)))
			l.sippCalls(t, transport, "-sf", testdata(t, "sipp/hold.xml"), "-m", "1").succeeds(t)
			l.disconnect("hangup")
		})
	}
}

func TestSIPpRingsReliablyAndRefreshesTheSession(t *testing.T) { // RFC 3262, RFC 3311, RFC 4028
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			l := onLoopback(t, nil)
			l.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="0.3"/><Pause duration="60"/>`)))
			l.sippCalls(t, transport, "-sf", testdata(t, "sipp/reliable.xml"), "-m", "1").succeeds(t)
			assert.NotNil(t, l.disconnect("hangup").AnswerTime)
		})
	}
}

func TestSIPpGivesUp(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			l := onLoopback(t, nil)
			l.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="60"/>`)))
			l.sippCalls(t, transport, "-sf", testdata(t, "sipp/cancel.xml"), "-m", "1").succeeds(t)
			assert.Nil(t, l.disconnect("cancel").AnswerTime)
		})
	}
}
