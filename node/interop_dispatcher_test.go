package node_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// startNATS starts a NATS server with JetStream, and returns its URL.
func startNATS(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s.ClientURL()
}

// pair is two nodes that share a NATS server and an application.
type pair struct {
	t     *testing.T
	nodes []*node.Node
	app   *scenario.ScriptedApplication
	phone *scenario.ScriptedPhone
}

func newPair(t *testing.T) *pair {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	url := startNATS(t)
	script := scenario.NewScript(t, scenario.System{}, patience)
	p := &pair{t: t, app: script.Application(scenario.ApplicationConfig{}), phone: script.Phone(scenario.PhoneConfig{Address: "127.0.0.1:0"})}
	for i := range 2 {
		cfg := loopbackConfig()
		cfg.State.NATSURL, cfg.State.Node, cfg.State.Lease = url, fmt.Sprintf("node-%d", i+1), time.Second
		cfg.Recordings.Dir = t.TempDir()
		cfg.Applications = []node.Application{application("app", strings.TrimSuffix(p.app.URL("/"), "/"))}
		n, err := node.New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, n.Close()) })
		require.NoError(t, n.Start(t.Context()))
		p.nodes = append(p.nodes, n)
	}
	return p
}

// calls returns what a node tells of the calls of both.
func (p *pair) calls(n *node.Node) (all []state.Record) {
	records, _, err := n.Store().Records(p.t.Context(), state.Query{})
	require.NoError(p.t, err)
	return records
}

// newDispatcher starts a dispatcher in front of the nodes.
func newDispatcher(t *testing.T, nodes ...*node.Node) *kamailio {
	t.Helper()
	var at []string
	for _, n := range nodes {
		at = append(at, n.SIPAddrs()[0].String())
	}
	return newDispatcherTo(t, at...)
}

// newDispatcherTo starts a dispatcher (Debian's kamailio) in front of these addresses.
func newDispatcherTo(t *testing.T, nodes ...string) *kamailio {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	template, err := os.ReadFile(testdata(t, "kamailio/dispatcher.cfg"))
	require.NoError(t, err)
	var list strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&list, "1 sip:%s\n", n)
	}
	config, listed := filepath.Join(dir, "dispatcher.cfg"), filepath.Join(dir, "nodes.list")
	require.NoError(t, os.WriteFile(listed, []byte(list.String()), 0o600))
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer("PORT", port, "LIST", listed).Replace(string(template))), 0o600))
	p := run(t, "kamailio", "kamailio", "-f", config, "-DD", "-E", "-m", "16", "-M", "4", "-Y", dir, "-w", dir)
	p.await(t, "the dispatcher is ready")
	return &kamailio{program: p, address: "127.0.0.1:" + port}
}

var dispatchedLine = regexp.MustCompile(`DISPATCHED (\S+) \d+ to sip:(\S+)`)

// dispatched returns to which nodes requests of a method went.
func (k *kamailio) dispatched(method string) map[string]int {
	to := map[string]int{}
	for _, m := range dispatchedLine.FindAllStringSubmatch(k.program.all(), -1) {
		if m[1] == method {
			to[m[2]]++
		}
	}
	return to
}

func TestTwoNodesBehindADispatcherThatKeepsNothing(t *testing.T) {
	p := newPair(t)
	k := newDispatcher(t, p.nodes...)
	p.app.On("initiate", scenario.BXML(response(`<Refer referCompleteUrl="/complete"><SipUri>sip:bob@example.com</SipUri></Refer>`)))
	const calls = 4
	for range calls {
		call := p.phone.Invite(scenario.Invite{To: "sip:desk@" + k.address, Peer: k.address, Proxied: true})
		call.Answered()
		refer := call.ExpectRefer()
		refer.Reply(202)
		refer.Notify("SIP/2.0 100 Trying")
		refer.Notify("SIP/2.0 180 Ringing")
		refer.Notify("SIP/2.0 200 OK")
		call.Expect("BYE")
		p.app.Expect("/complete").Check(map[string]any{"referCallStatus": "success", "notifySipResponseCode": 200})
		p.app.Expect("disconnect").Check(map[string]any{"cause": "hangup"})
	}
	for _, method := range []string{"INVITE", "NOTIFY"} {
		assert.Eventually(t, func() bool { return len(k.dispatched(method)) == 2 }, patience, 10*time.Millisecond, "both nodes got some: %s", k.program)
	}
	for _, n := range p.nodes {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			all := p.calls(n)
			assert.Len(c, all, calls, "each node tells of the calls of both")
			for _, r := range all {
				assert.Equal(c, state.StateDisconnected, r.State)
			}
		}, patience, 50*time.Millisecond)
	}
}

func TestEitherNodeChangesACall(t *testing.T) {
	p := newPair(t)
	p.app.On("initiate", scenario.BXML(response(`<Pause duration="600"/>`)))
	for _, n := range p.nodes {
		call := p.phone.Invite(scenario.Invite{To: "sip:desk@" + p.nodes[0].SIPAddrs()[0].String()})
		call.Answered()
		id := p.app.Expect("initiate").Text("callId")
		url := "http://" + n.APIAddr().String() + "/api/v2/accounts/" + loopbackConfig().AccountID + "/calls/" + id
		for _, step := range []struct {
			method, path, kind, body string
			want                     int
		}{
			{"GET", "", "", "", 200},
			{"GET", "/journal", "", "", 200},
			{"PUT", "/bxml", "application/xml", "<Response><Nonsense/></Response>", 400},
			{"PUT", "/bxml", "application/xml", `<Response><Pause duration="500"/></Response>`, 204},
			{"POST", "", "application/json", `{"state":"completed"}`, 200},
		} {
			require.EventuallyWithT(t, func(c *assert.CollectT) { // the nodes hear of each other within a lease
				req, err := http.NewRequestWithContext(t.Context(), step.method, url+step.path, strings.NewReader(step.body))
				require.NoError(c, err)
				req.Header.Set("Content-Type", step.kind)
				client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
				res, err := client.Do(req)
				require.NoError(c, err)
				require.NoError(c, res.Body.Close())
				assert.Equal(c, step.want, res.StatusCode, "%s %s", step.method, step.path)
			}, patience, 100*time.Millisecond)
		}
		call.Expect("BYE")
		p.app.Expect("disconnect").Check(map[string]any{"callId": id, "cause": "hangup"})
	}
}

func TestEitherNodeTellsOfARecording(t *testing.T) {
	p := newPair(t)
	p.app.On("initiate", scenario.BXML(response(`<Record maxDuration="1" recordingAvailableUrl="/available"/>`)))
	call := p.phone.Invite(scenario.Invite{To: "sip:desk@" + p.nodes[0].SIPAddrs()[0].String()})
	call.Answered()
	call.SendTone(700, time.Second)
	call.Expect("BYE")
	available := p.app.Expect("recordingAvailable")
	p.app.Expect("disconnect")
	account, calls := "/api/v2/accounts/"+loopbackConfig().AccountID, "/calls/"+available.Text("callId")+"/recordings"
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for _, path := range []string{"/recordings", calls, calls + "/" + available.Text("recordingId"), calls + "/" + available.Text("recordingId") + "/media"} {
		require.EventuallyWithT(t, func(c *assert.CollectT) { // the nodes hear of each other within a lease
			var told []string
			for _, n := range p.nodes {
				res, err := client.Get("http://" + n.APIAddr().String() + account + path)
				require.NoError(c, err)
				body, err := io.ReadAll(res.Body)
				require.NoError(c, errors.Join(err, res.Body.Close()))
				require.Equal(c, http.StatusOK, res.StatusCode, "%s", body)
				told = append(told, string(body))
			}
			assert.Equal(c, told[0], told[1])
			assert.Greater(c, len(told[1]), len("[]\n"))
		}, patience, 100*time.Millisecond)
	}
}
