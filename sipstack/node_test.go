package sipstack

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler))
	sip.UDPMTUSize = 65507 + 200 // as the program has it
	sip.Timer_L = sip.T1
	goleak.VerifyTestMain(m)
}

// recorder is an observer.
type recorder struct {
	mu      sync.Mutex
	sip     []told
	timers  []string
	refers  []ReferState
	media   []media.Params
	digits  []media.Digit
	late    int
	dialogs map[string][]byte // the newest of each call
	panics  []any
	broken  map[string]bool // messages at which it panics, as a ladder has them, but for the direction
}

type told struct {
	callID string
	Message
}

func (r *recorder) SIP(callID string, m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sip = append(r.sip, told{callID, m})
	if what := strings.TrimPrefix(fmt.Sprint(m.Code, " ", m.Method), "0 "); r.broken[what] {
		panic(what)
	}
}

func (r *recorder) Timer(_, name, event string, d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timers = append(r.timers, fmt.Sprintf("%s %s %v", name, event, d))
}

func (r *recorder) Refer(_ string, s ReferState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refers = append(r.refers, s)
}

func (r *recorder) Media(_ string, p media.Params) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.media = append(r.media, p)
}

func (r *recorder) Digit(_ string, d media.Digit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.digits = append(r.digits, d)
}

func (r *recorder) Dialog(callID string, snapshot []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dialogs == nil {
		r.dialogs = map[string][]byte{}
	}
	r.dialogs[callID] = snapshot
}

func (r *recorder) Await(string) {}

func (r *recorder) LateNotify(string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late++
}

func (r *recorder) Panic(_ string, v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics = append(r.panics, v)
}

// ladder returns what was told of a call: "> INVITE", "< 200 INVITE".
func (r *recorder) ladder(callID string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for _, m := range r.sip {
		if m.callID != callID {
			continue
		}
		line := "< "
		if m.In {
			line = "> "
		}
		if m.Code != 0 {
			line += strconv.Itoa(m.Code) + " "
		}
		lines = append(lines, line+m.Method)
	}
	return lines
}

func (r *recorder) timerEvents() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.timers...)
}

// node is a stack under test, with calls that a test serves.
type node struct {
	*Stack
	t     testing.TB
	net   Network
	rec   *recorder
	legs  chan *Leg
	ends  chan error // of all legs
	sound *media.Engine

	mu     sync.Mutex
	admit  func(Invitation) error
	hold   chan struct{} // Serve returns when it is closed
	left   int           // calls abandoned
	serve  func(*Leg)
	closed bool
}

// start starts a stack. Its calls are handed to leg() and stay until the test ends.
func startNode(t testing.TB, network Network, cfg Config, opts ...Option) *node {
	t.Helper()
	n := &node{
		t: t, net: network, rec: &recorder{}, legs: make(chan *Leg, 1000), ends: make(chan error, 1000),
		hold: make(chan struct{}),
	}
	mediaOpts := []media.Option{}
	if network != nil {
		mediaOpts = append(mediaOpts, media.WithListenPacket(network.ListenPacket))
	}
	var err error
	n.sound, err = media.New(media.Config{BindIP: netip.MustParseAddr("127.0.0.1"), Ports: media.PortRange{Min: 20000, Max: 29999}}, mediaOpts...)
	require.NoError(t, err)
	if len(cfg.Listeners) == 0 {
		cfg.Listeners = []Listener{{"udp", "127.0.0.1:0"}}
	}
	all := []Option{WithObserver(n.rec)}
	if network != nil {
		all = append(all, WithNetwork(network))
	}
	n.Stack, err = New(cfg, n.sound, append(all, opts...)...)
	require.NoError(t, err)
	n.OnInvite(func(inv Invitation) (Admission, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.admit != nil {
			if err := n.admit(inv); err != nil {
				return nil, err
			}
		}
		return &testCall{node: n, id: "c-" + inv.SIPCallID}, nil
	})
	require.NoError(t, n.Start(context.Background()))
	return n
}

// stop ends the node, and checks that nothing of it panicked.
func (n *node) stop() {
	n.t.Helper()
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	n.mu.Unlock()
	if closed {
		return
	}
	close(n.hold)
	require.NoError(n.t, n.Close())
	require.NoError(n.t, n.sound.Close())
	require.Empty(n.t, n.rec.panics)
}

func (n *node) leg() *Leg {
	n.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case l := <-n.legs:
		return l
	case <-timer.C:
		require.FailNow(n.t, "no call came")
		return nil
	}
}

func (n *node) end() error {
	n.t.Helper()
	timer := time.NewTimer(2 * time.Minute)
	defer timer.Stop()
	select {
	case err := <-n.ends:
		return err
	case <-timer.C:
		require.FailNow(n.t, "no call ended")
		return nil
	}
}

// answering has every call answered at once.
func (n *node) answering() *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.serve = func(l *Leg) { _ = l.Answer(context.Background()) }
	return n
}

type testCall struct {
	node *node
	id   string
}

func (c *testCall) CallID() string { return c.id }

func (c *testCall) Serve(l *Leg) {
	l.OnEnd(func(err error) { c.node.ends <- err })
	c.node.mu.Lock()
	serve := c.node.serve
	c.node.mu.Unlock()
	c.node.legs <- l
	if serve != nil {
		serve(l)
	}
	select {
	case <-c.node.hold:
	case <-c.node.living.Done():
	}
}

func (c *testCall) Abandon() {
	c.node.mu.Lock()
	defer c.node.mu.Unlock()
	c.node.left++
}

// udpPhone is a phone on a node's network.
func (n *node) udpPhone() *phone { return n.udpPhoneAt("127.0.0.1:0") }

func (n *node) udpPhoneAt(address string) *phone {
	n.t.Helper()
	listen := (&net.ListenConfig{}).ListenPacket
	if n.net != nil {
		listen = n.net.ListenPacket
	}
	conn, err := listen(context.Background(), "udp", address)
	require.NoError(n.t, err)
	return newPhone(n.t, &packetWire{conn: conn, to: n.Addrs()[0]}, "UDP")
}

// tcpPhone is a phone with a connection to the node's listener of that number.
func (n *node) tcpPhone(listener int) *phone {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.Addrs()[listener].String())
	require.NoError(n.t, err)
	return newPhone(n.t, &streamWire{conn: conn}, "TCP")
}
