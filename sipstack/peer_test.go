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
	goleak.VerifyTestMain(m)
}

// wire is what a peer writes its messages to, as text, and reads them from: it uses nothing of sipgo.
type wire interface {
	write(text string)
	read() (text string, ok bool) // false when it is closed
	local() netip.AddrPort
	close()
}

type packetWire struct {
	conn net.PacketConn
	to   net.Addr
}

func (w *packetWire) write(text string) { _, _ = w.conn.WriteTo([]byte(text), w.to) }

func (w *packetWire) read() (string, bool) {
	b := make([]byte, 65536)
	n, _, err := w.conn.ReadFrom(b)
	return string(b[:n]), err == nil
}

func (w *packetWire) local() netip.AddrPort { return addrPort(w.conn.LocalAddr()) }
func (w *packetWire) close()                { _ = w.conn.Close() }

type streamWire struct {
	conn   net.Conn
	frames framer
	ready  []string
}

func (w *streamWire) write(text string) { _, _ = w.conn.Write([]byte(text)) }

func (w *streamWire) read() (string, bool) {
	b := make([]byte, 4096)
	for len(w.ready) == 0 {
		n, err := w.conn.Read(b)
		if err != nil {
			return "", false
		}
		w.frames.write(b[:n], func(raw []byte) { w.ready = append(w.ready, string(raw)) })
	}
	text := w.ready[0]
	w.ready = w.ready[1:]
	return text, true
}

func (w *streamWire) local() netip.AddrPort { return addrPort(w.conn.LocalAddr()) }
func (w *streamWire) close()                { _ = w.conn.Close() }

// phone is a scripted peer.
type phone struct {
	t         *testing.T
	wire      wire
	transport string // as in Via
	in        chan string
	done      chan struct{}
	contact   string // URI; empty: its own address
}

func newPhone(t *testing.T, w wire, transport string) *phone {
	p := &phone{t: t, wire: w, transport: transport, in: make(chan string, 1000), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			text, ok := w.read()
			if !ok {
				return
			}
			p.in <- text
		}
	}()
	return p
}

func (p *phone) close() {
	p.wire.close()
	<-p.done
}

// send sends a message; lines end in CRLF on the wire.
func (p *phone) send(text string) { p.wire.write(text) }

const patience = 10 * time.Second

// next returns the next message, whatever it is.
func (p *phone) next() string {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case text := <-p.in:
		return text
	case <-timer.C:
		require.FailNow(p.t, "nothing came")
		return ""
	}
}

// expect returns the next message whose start line begins with one of these; others are passed over.
func (p *phone) expect(starts ...string) string {
	p.t.Helper()
	var seen []string
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case text := <-p.in:
			for _, s := range starts {
				if strings.HasPrefix(text, s) {
					return text
				}
			}
			first, _, _ := strings.Cut(text, "\r\n")
			seen = append(seen, first)
		case <-timer.C:
			require.FailNow(p.t, fmt.Sprintf("%q did not come, but %q", starts, seen))
			return ""
		}
	}
}

// silent checks that nothing comes for a while.
func (p *phone) silent(d time.Duration) {
	p.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case text := <-p.in:
		require.FailNow(p.t, "unexpected: "+text)
	case <-timer.C:
	}
}

// field returns a header's value; "" when there is none.
func field(text, name string) string {
	all := fields(text, name)
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

func fields(text, name string) []string {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	var all []string
	for line := range strings.SplitSeq(head, "\r\n") {
		n, v, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(n), name) {
			all = append(all, strings.TrimSpace(v))
		}
	}
	return all
}

func bodyOf(text string) string {
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	return body
}

func tagIn(value string) string {
	_, tag, _ := strings.Cut(value, "tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

func startOf(text string) string {
	first, _, _ := strings.Cut(text, "\r\n")
	return first
}

// dialogue is a call as the phone has it.
type dialogue struct {
	*phone
	callID, from, to string // header values
	uri              string // Request-URI of the INVITE
	cseq             int    // of the newest request
	branch           string // of the INVITE
	target           string // Contact of the node
	invite           string
}

var dialogues struct {
	sync.Mutex
	n int
}

func number() int {
	dialogues.Lock()
	defer dialogues.Unlock()
	dialogues.n++
	return dialogues.n
}

const offerLine = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\n"

func (p *phone) newCall() *dialogue {
	n := number()
	return &dialogue{
		phone: p, callID: fmt.Sprintf("call-%d@peer", n), from: fmt.Sprintf("<sip:alice@peer.example>;tag=a%d", n),
		to: "<sip:bob@node.example>", uri: "sip:bob@node.example;x=y", cseq: 100,
	}
}

// request writes a request. Lines of extra are headers; body, if any, is SDP unless extra has a Content-Type.
func (c *dialogue) request(method, uri string, cseq int, branch, extra, body string) string {
	contact := c.contact
	if contact == "" {
		contact = fmt.Sprintf("sip:alice@%s", c.wire.local())
		if c.transport == "TCP" {
			contact += ";transport=tcp"
		}
	}
	if body != "" && !strings.Contains(extra, "Content-Type") {
		extra += "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %d %s\r\nContact: <%s>\r\n%sContent-Length: %d\r\n\r\n%s",
		method, uri, c.transport, c.wire.local(), branch, c.from, c.to, c.callID, cseq, method, contact, extra, len(body), body)
}

func newBranch() string { return "z9hG4bK" + strconv.Itoa(number()) }

// sendInvite sends the INVITE.
func (c *dialogue) sendInvite(extra, body string) {
	c.branch = newBranch()
	c.invite = c.request("INVITE", c.uri, c.cseq, c.branch, extra, body)
	c.send(c.invite)
}

// established takes what a 1xx or 2xx says of the dialog.
func (c *dialogue) established(res string) {
	c.to = field(res, "To")
	c.target = strings.Trim(field(res, "Contact"), "<>")
}

func (c *dialogue) ack(body string) { c.send(c.ackText(body)) }

func (c *dialogue) ackText(body string) string {
	text := c.request("ACK", c.target, c.cseq, newBranch(), "", body)
	return text
}

// inDialog sends the next request.
func (c *dialogue) inDialog(method, extra, body string) string {
	c.cseq++
	text := c.request(method, c.target, c.cseq, newBranch(), extra, body)
	c.send(text)
	return text
}

// call makes an answered call: INVITE, 200, ACK.
func (p *phone) call() *dialogue {
	p.t.Helper()
	c := p.newCall()
	c.sendInvite("", offerLine)
	c.established(c.expect("SIP/2.0 200"))
	c.ack("")
	return c
}

// reply answers a request of the node.
func (p *phone) reply(req string, code int, extra string) { p.send(replyTo(req, code, extra)) }

func replyTo(req string, code int, extra string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", code, phrase(code))
	for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
		for _, v := range fields(req, name) {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	b.WriteString(extra + "Content-Length: 0\r\n\r\n")
	return b.String()
}

// recorder is an observer.
type recorder struct {
	mu     sync.Mutex
	sip    []told
	timers []string
	refers []ReferState
	late   int
	panics []any
}

type told struct {
	callID string
	Message
}

func (r *recorder) SIP(callID string, m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sip = append(r.sip, told{callID, m})
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
	t     *testing.T
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
func startNode(t *testing.T, network Network, cfg Config, opts ...Option) *node {
	t.Helper()
	n := &node{
		t: t, net: network, rec: &recorder{}, legs: make(chan *Leg, 1000), ends: make(chan error, 1000),
		hold: make(chan struct{}),
	}
	mediaOpts := []media.Option{}
	if h, ok := network.(*hub); ok {
		mediaOpts = append(mediaOpts, media.WithListenPacket(h.ListenPacket))
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
	return newPhone(n.t, &packetWire{conn, n.Addrs()[0]}, "UDP")
}

// tcpPhone is a phone with a connection to the node's listener of that number.
func (n *node) tcpPhone(listener int) *phone {
	n.t.Helper()
	conn, err := net.Dial("tcp", n.Addrs()[listener].String())
	require.NoError(n.t, err)
	return newPhone(n.t, &streamWire{conn: conn}, "TCP")
}
