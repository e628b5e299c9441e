package node_test

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// patience is how long anything may take on a busy machine that takes far less on an idle one.
const patience = 40 * time.Second

// live is a whole node on the host's loopback address, with an application, for phones that are none of ours.
type live struct {
	t      *testing.T
	node   *node.Node
	app    *scenario.ScriptedApplication
	phones map[string]*scenario.ScriptedPhone // that do nothing wrong, by transport
	api    *url.Userinfo                      // credentials; nil: none are asked for
}

// onLoopback starts a node on free ports. At the end of the test every call must be over, its application must have been told
// so once, and nothing of the node may be left.
func onLoopback(t *testing.T, change func(*node.Config), opts ...node.Option) *live {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	l := &live{t: t, phones: map[string]*scenario.ScriptedPhone{}}
	script := scenario.NewScript(t, scenario.System{}, patience)
	l.app = script.Application(scenario.ApplicationConfig{})
	for _, transport := range []string{"udp", "tcp"} {
		l.phones[transport] = script.Phone(scenario.PhoneConfig{Address: "127.0.0.1:0", Transport: transport})
	}
	cfg := loopbackConfig()
	app := application("app", strings.TrimSuffix(l.app.URL("/"), "/"))
	good := app
	good.ID, good.Match, good.CallInitiatedCallbackURL = "good", []string{"good"}, l.app.URL("/good")
	l.app.On("/good", scenario.BXML(response(`<Pause duration="0.1"/>`)))
	cfg.Applications = []node.Application{good, app}
	if change != nil {
		change(&cfg)
	}
	if cfg.API.Username != "" {
		l.api = url.UserPassword(cfg.API.Username, cfg.API.Password)
	}
	n, err := node.New(cfg, opts...)
	require.NoError(t, err)
	l.node = n
	t.Cleanup(func() {
		defer func() { assert.NoError(t, n.Close()) }()
		l.settle()
		if t.Failed() {
			l.ladders()
		}
	})
	require.NoError(t, n.Start(t.Context()))
	return l
}

func loopbackConfig() node.Config {
	anyPort := netip.MustParseAddrPort("127.0.0.1:0")
	cfg := node.DefaultConfig()
	cfg.State.Dir = ""
	cfg.SIP.SilenceAfter = 0        // tests break rules on purpose
	cfg.SIP.OverloadControl = false // the machine has other work
	cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: anyPort}, {Network: "tcp", Addr: anyPort}}
	cfg.API.Listen, cfg.API.PublicURL = "127.0.0.1:0", ""
	cfg.Media.RTPPorts = node.PortRange{Min: 12000, Max: 15999}
	cfg.DrainTimeout = patience
	return cfg
}

// address is where the node speaks SIP over a transport.
func (l *live) address(transport string) string {
	if transport == "tcp" {
		return l.node.SIPAddrs()[1].String()
	}
	return l.node.SIPAddrs()[0].String()
}

// disconnect waits for the next disconnect event, checks its cause and returns the call's record.
func (l *live) disconnect(cause string) state.Record {
	l.t.Helper()
	e := l.app.Expect("disconnect")
	require.Equal(l.t, cause, e.Text("cause"), e.String())
	r, err := l.node.Store().Record(l.t.Context(), e.Text("callId"))
	require.NoError(l.t, err)
	return r
}

// refers has the application refer its next calls. Where that fails it redirects, to show that its reply runs.
func (l *live) refers(target string) {
	l.app.On("initiate", scenario.BXML(response(`<Refer referCompleteUrl="/complete"><SipUri>`+target+`</SipUri></Refer>`)))
	l.app.On("/complete", scenario.BXML(response(`<Redirect redirectUrl="/recovered"/>`)))
}

// answeredReferral is a Refer whose destination has answered.
var answeredReferral = state.Refer{
	Status: state.ReferSuccess, ReferSIPResponseCode: 202, NotifySIPResponseCode: 200, Billable: true, Evidence: "final-notify",
}

// referred waits for the end of a call with one Refer. Its record and its referComplete must be as wanted, and the
// application's reply to that must have run if the Refer failed, and then alone.
func (l *live) referred(want state.Refer) {
	l.t.Helper()
	r := l.disconnect("hangup")
	require.Len(l.t, r.Refers, 1)
	got := r.Refers[0]
	assert.Equal(l.t, want.Billable, got.AcceptedTime != nil)
	assert.NotNil(l.t, got.EndTime)
	got.ID, got.Target, got.SentTime, got.AcceptedTime, got.EndTime = "", "", want.SentTime, nil, nil
	assert.Equal(l.t, want, got)
	e := l.app.Expect("/complete").Check(map[string]any{
		"eventType": "referComplete", "referCallStatus": want.Status,
		"referSipResponseCode": code(want.ReferSIPResponseCode), "notifySipResponseCode": code(want.NotifySIPResponseCode),
	})
	var recoveries int
	for _, event := range l.app.EventsOf("redirect") {
		if event.Text("callId") == e.Text("callId") {
			recoveries++
		}
	}
	assert.Equal(l.t, want.Status == state.ReferFailure, recoveries == 1, "%d recoveries", recoveries)
}

// code is the value that a property with a SIP code must have.
func code(c int) any {
	if c == 0 {
		return scenario.Absent
	}
	return c
}

// goodCall places a call with a phone that does nothing wrong, to an application of its own.
func (l *live) goodCall(transport string) {
	l.t.Helper()
	l.phones[transport].Call("sip:good@" + l.address(transport)).Expect("BYE")
}

// settle waits for the end of every call and of every event, and checks that nothing was left out or came twice.
func (l *live) settle() {
	l.t.Helper()
	idle := map[string]float64{
		`callengine_calls_active{direction="inbound"}`: 0, "callengine_refers_pending": 0, "callengine_rtp_ports_in_use": 0,
		"callengine_panics_recovered_total": 0,
	}
	assert.EventuallyWithT(l.t, func(c *assert.CollectT) { assert.Subset(c, l.metrics(), idle) }, patience, 50*time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l.node.Drain(ctx)
	told := map[string]string{} // event ids by call
	for _, e := range l.app.EventsOf("disconnect") {
		id, again := told[e.Text("callId")]
		assert.False(l.t, again && id != e.ID(), "a second event: %s", e)
		told[e.Text("callId")] = e.ID()
	}
	var calls []string
	for _, r := range l.records(ctx) {
		calls = append(calls, r.CallID)
		assert.Equal(l.t, state.StateDisconnected, r.State)
		for _, refer := range r.Refers {
			assert.NotEqual(l.t, state.ReferPending, refer.Status)
		}
	}
	assert.ElementsMatch(l.t, calls, slices.Collect(maps.Keys(told)), "the calls, and those of which the end was told")
}

func (l *live) records(ctx context.Context) (all []state.Record) {
	l.t.Helper()
	for after := ""; ; {
		page, next, err := l.node.Store().Records(ctx, state.Query{After: after})
		require.NoError(l.t, err)
		all = append(all, page...)
		if next == "" {
			return all
		}
		after = next
	}
}

// ladders draws the journals of a few calls, those first that ended otherwise than with a hangup.
func (l *live) ladders() {
	var b strings.Builder
	ctx := context.Background()
	records := l.records(ctx)
	slices.SortStableFunc(records, func(a, b state.Record) int {
		return cmp.Compare(len(value(b.ErrorMessage)), len(value(a.ErrorMessage)))
	})
	for _, r := range records[:min(4, len(records))] {
		entries, err := l.node.Store().Journal(ctx, r.CallID)
		require.NoError(l.t, err)
		require.NoError(l.t, state.Ladder{}.Write(&b, entries))
	}
	l.t.Log("\n" + b.String())
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// metrics reads /metrics: values by name and labels, as they are written there.
func (l *live) metrics() map[string]float64 {
	l.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	metrics := url.URL{Scheme: "http", User: l.api, Host: l.node.APIAddr().String(), Path: "/metrics"}
	res, err := client.Get(metrics.String())
	require.NoError(l.t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, res.Body.Close())
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			values[line[:i]] = number(l.t, strings.TrimSpace(line[i:]))
		}
	}
	return values
}

// program is a program of another maker that a test runs.
type program struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done

	mu      sync.Mutex
	output  strings.Builder
	printed chan struct{} // closed and replaced with every output
}

// run starts a program of a Debian package in an empty folder. It ends with the test, or after patience.
func run(t *testing.T, pkg, name string, args ...string) *program {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name)) // which few users' PATH names
	}
	require.NoError(t, err, "please install the Debian package "+pkg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	p := &program{name: name, cancel: cancel, done: make(chan struct{}), printed: make(chan struct{})}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TERM=dumb", "HOME="+cmd.Dir)
	cmd.Stdout, cmd.Stderr = p, p
	// A program may have children, which end with it if it is asked to.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left; mostly nothing
	}()
	t.Cleanup(func() {
		p.cancel()
		<-p.done
		if t.Failed() {
			t.Log(p.String())
		}
	})
	return p
}

// Write keeps what the program prints.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.printed)
	p.printed = make(chan struct{})
	return p.output.Write(b)
}

// await waits until the program has printed something.
func (p *program) await(t *testing.T, text string) {
	t.Helper()
	for {
		p.mu.Lock()
		printed, seen := p.printed, strings.Contains(p.output.String(), text)
		p.mu.Unlock()
		if seen {
			return
		}
		select {
		case <-printed:
		case <-p.done:
			require.FailNow(t, "it ended too early", "%s", p)
		}
	}
}

// String is the program's name and the end of what it has printed.
func (p *program) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.output.String()
	return p.name + ":\n" + s[max(0, len(s)-16<<10):]
}

// all is what the program has printed.
func (p *program) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// succeeds waits for the program's end, which must be a good one.
func (p *program) succeeds(t *testing.T) {
	t.Helper()
	<-p.done
	require.NoError(t, p.err, "%s", p)
}

// freePort finds a port that is free for UDP and TCP, as the next one is, for programs that must be told one and that may
// take the next one, too, for TLS. It is none of those that systems give to whoever asks for any, lest it be gone before the
// program has it, and none that another call has returned, whose program may not have bound it yet.
func freePort(t testing.TB) string {
	t.Helper()
	const pairs = 7000
	for range pairs {
		port := 18000 + 2*((100*os.Getpid()+int(portsFound.Add(1)))%pairs) // other processes look elsewhere
		if isFree(t, port) && isFree(t, port+1) {
			return strconv.Itoa(port)
		}
	}
	require.FailNow(t, "no port is free")
	return ""
}

// portsFound counts the ports that freePort has looked at.
var portsFound atomic.Int32

func isFree(t testing.TB, port int) bool {
	t.Helper()
	addr := "127.0.0.1:" + strconv.Itoa(port)
	udp, err := scenario.System{}.ListenPacket(t.Context(), "udp", addr)
	if err != nil {
		return false
	}
	require.NoError(t, udp.Close())
	tcp, err := scenario.System{}.Listen(t.Context(), "tcp", addr)
	if err != nil {
		return false
	}
	require.NoError(t, tcp.Close())
	return true
}

// testdata is the absolute path of a file in testdata.
func testdata(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join("..", "testdata", path))
	require.NoError(t, err)
	return abs
}
