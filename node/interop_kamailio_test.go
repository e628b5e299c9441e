package node_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kamailio is a proxy (Debian's kamailio) that records its route, and turns away what comes past it in a dialog.
type kamailio struct {
	program *program
	address string
}

// newKamailio starts a proxy on UDP and TCP that sends what is for "desk" to the next hop, a SIP URI.
func newKamailio(t *testing.T, next string) *kamailio {
	t.Helper()
	port := freePort(t)
	template, err := os.ReadFile(testdata(t, "kamailio/proxy.cfg"))
	require.NoError(t, err)
	dir := t.TempDir()
	config := filepath.Join(dir, "proxy.cfg")
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer("PORT", port, "NEXT", next).Replace(string(template))), 0o600))
	// In the foreground, with little memory, and with nothing kept outside of the test's folder.
	p := run(t, "kamailio", "kamailio", "-f", config, "-DD", "-E", "-m", "16", "-M", "4", "-Y", dir, "-w", dir)
	p.await(t, "the proxy is ready")
	return &kamailio{program: p, address: "127.0.0.1:" + port}
}

func (k *kamailio) uri(transport string) string {
	return "sip:" + k.address + ";transport=" + transport
}

// chain starts proxies between a phone and the node, each but the phone's reached over one of the transports, and the node
// over the last. It returns them in the order of the phone.
func (l *live) chain(t *testing.T, transports ...string) []*kamailio {
	t.Helper()
	last := transports[len(transports)-1]
	next := "sip:" + l.address(last) + ";transport=" + last
	proxies := make([]*kamailio, len(transports))
	for i := range slices.Backward(proxies) {
		proxies[i] = newKamailio(t, next)
		if i > 0 {
			next = proxies[i].uri(transports[i-1])
		}
	}
	return proxies
}

var passedLine = regexp.MustCompile(`PASSED (\S+) over (\S+) to (\S+) along \[(.*)\]`)

// passage is a request as a proxy got it.
type passage struct {
	over, to string
	along    []string
}

// passed returns the requests of a method in the order in which the proxy got them.
func (k *kamailio) passed(method string) (all []passage) {
	for _, m := range passedLine.FindAllStringSubmatch(k.program.all(), -1) {
		if m[1] != method {
			continue
		}
		p := passage{over: m[2], to: m[3]}
		if m[4] != "" && m[4] != "<null>" {
			p.along = listed([]string{m[4]})
		}
		all = append(all, p)
	}
	return all
}

// hadPassed returns the requests of a method when there are so many, and no more. What the proxy writes is read later than what it
// sends.
func (k *kamailio) hadPassed(t *testing.T, method string, times int) []passage {
	t.Helper()
	require.Eventually(t, func() bool { return len(k.passed(method)) >= times }, patience, 10*time.Millisecond, "%s: %s", method, k.program)
	got := k.passed(method)
	require.Len(t, got, times, "%s: %s", method, k.program)
	return got
}

// A path is the transports between a phone and the node: the phone's own first, the node's last.
var paths = map[string][]string{
	"one proxy, UDP":                    {"udp", "udp"},
	"one proxy, TCP":                    {"tcp", "tcp"},
	"one proxy, from UDP to TCP":        {"udp", "tcp"},
	"one proxy, from TCP to UDP":        {"tcp", "udp"},
	"two proxies, UDP":                  {"udp", "udp", "udp"},
	"two proxies, TCP":                  {"tcp", "tcp", "tcp"},
	"two proxies, UDP but between them": {"udp", "tcp", "udp"},
	"two proxies, TCP but between them": {"tcp", "udp", "tcp"},
}

// hops are the Route headers on the way to the phone, from the node: a proxy that changes the transport records itself
// twice, once for each side.
func hops(path []string, proxies int) (n int) {
	for i := range proxies {
		n++
		if path[i] != path[i+1] {
			n++
		}
	}
	return n
}

func TestKamailioCarriesAReferral(t *testing.T) {
	failed := func(code int) state.Refer {
		return state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: code, Billable: true, Evidence: "final-notify",
		}
	}
	for name, path := range paths {
		for outcome, want := range map[string]state.Refer{"SIP/2.0 200 OK": answeredReferral, "SIP/2.0 486 Busy Here": failed(486)} {
			t.Run(name+", "+outcome, func(t *testing.T) {
				l := onLoopback(t, nil)
				l.refers("sip:bob@example.com")
				proxies := l.chain(t, path[1:]...)
				phone := l.phones[path[0]]
				call := phone.Invite(scenario.Invite{
					To: "sip:desk@" + l.address(path[len(path)-1]), Peer: proxies[0].address, Proxied: true,
				})
				res := call.Answered()
				recorded := listed(res.All("Record-Route"))
				require.Len(t, recorded, hops(path, len(proxies)), "each side of each proxy")
				refer := call.ExpectRefer()
				refer.Reply(202)
				refer.Notify("SIP/2.0 100 Trying")
				refer.Notify(outcome)
				call.Expect("BYE")
				l.referred(want)

				for method, times := range map[string]int{"REFER": 1, "BYE": 1} {
					got := proxies[len(proxies)-1].hadPassed(t, method, times)
					assert.Equal(t, path[len(path)-1], got[0].over, method)
					assert.Equal(t, phone.URI(), got[0].to, "%s: a loose route leaves the Request-URI alone", method)
					assert.Equal(t, recorded, got[0].along, "%s: the whole route, as recorded", method)
					near := proxies[0].hadPassed(t, method, times)[0]
					assert.Equal(t, recorded[len(recorded)-hops(path, 1):], near.along, "%s: what is left of it", method)
				}
				assert.False(t, refer.Request.Has("Route"), "none is left")
				for _, k := range proxies {
					k.hadPassed(t, "NOTIFY", 2)
					k.hadPassed(t, "ACK", 1)
					assert.NotContains(t, k.program.all(), "ASTRAY")
				}
			})
		}
	}
}

func TestKamailioCarriesTheCallersHangup(t *testing.T) {
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			l := onLoopback(t, nil)
			l.app.On("initiate", scenario.BXML(response(`<Pause duration="60"/>`)))
			proxies := l.chain(t, path[1:]...)
			call := l.phones[path[0]].Invite(scenario.Invite{
				To: "sip:desk@" + l.address(path[len(path)-1]), Peer: proxies[0].address, Proxied: true,
			})
			call.Answered()
			call.Hold()
			call.Resume()
			call.Bye()
			l.disconnect("hangup")
			for _, k := range proxies {
				k.hadPassed(t, "INVITE", 3)
				k.hadPassed(t, "BYE", 1)
				assert.NotContains(t, k.program.all(), "ASTRAY")
			}
		})
	}
}

func TestKamailioCarriesACancel(t *testing.T) {
	l := onLoopback(t, nil)
	l.app.On("initiate", scenario.BXML(response(`<Ring answerCall="false" duration="60"/>`)))
	proxies := l.chain(t, "tcp", "udp")
	call := l.phones["udp"].Invite(scenario.Invite{To: "sip:desk@" + l.address("udp"), Peer: proxies[0].address, Proxied: true})
	call.Expect("180")
	call.Cancel()
	call.Rejected(487)
	assert.Nil(t, l.disconnect("cancel").AnswerTime)
}

func TestKamailioCarriesSIPp(t *testing.T) {
	for name, want := range map[string]state.Refer{
		"refer-succeeds": answeredReferral,
		"refer-busy": {
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Billable: true, Evidence: "final-notify",
		},
		"refer-405": {Status: state.ReferFailure, ReferSIPResponseCode: 405, Evidence: "rejected"},
	} {
		for _, path := range [][]string{{"udp", "tcp"}, {"tcp", "udp"}, {"udp", "udp", "udp"}, {"tcp", "udp", "tcp"}} {
			t.Run(name+" over "+strings.Join(path, ", "), func(t *testing.T) {
				l := onLoopback(t, nil)
				l.refers("sip:bob@example.com")
				proxies := l.chain(t, path[1:]...)
				l.sippCalls(t, path[0], "-rsa", proxies[0].address, "-sf", testdata(t, "sipp/"+name+".xml"), "-m", "1").succeeds(t)
				l.referred(want)
				for _, k := range proxies {
					k.hadPassed(t, "REFER", 1)
					assert.NotContains(t, k.program.all(), "ASTRAY")
				}
			})
		}
	}
}

func TestKamailioCarriesBaresip(t *testing.T) {
	for name, tc := range map[string]struct {
		callee string
		want   state.Refer
	}{
		"the destination answers": {"callee-answers", answeredReferral},
		"the destination is busy": {"callee-busy", state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Billable: true, Evidence: "final-notify",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := onLoopback(t, nil)
			callee, port := sipp(t, "-sf", testdata(t, "sipp/"+tc.callee+".xml"), "-m", "1")
			l.refers("sip:bob@127.0.0.1:" + port)
			proxies := l.chain(t, "tcp", "udp")
			phone := newBaresip(t, "udp", `outbound="sip:`+proxies[0].address+`"`)
			phone.order("dial", "sip:desk@"+l.address("udp"))
			phone.expect("TRANSFER", "desk")
			l.referred(tc.want)
			phone.expect("CALL_CLOSED", "desk")
			if tc.want.Status == state.ReferSuccess {
				phone.order("hangup", "")
			}
			callee.succeeds(t)
			proxies[1].hadPassed(t, "REFER", 1)
			for _, k := range proxies {
				assert.NotContains(t, k.program.all(), "ASTRAY")
			}
		})
	}
}
