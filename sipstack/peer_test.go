package sipstack

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

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
	buf  []byte
}

func (w *packetWire) write(text string) { _, _ = w.conn.WriteTo([]byte(text), w.to) }

func (w *packetWire) read() (string, bool) {
	if w.buf == nil {
		w.buf = make([]byte, 65536)
	}
	n, _, err := w.conn.ReadFrom(w.buf)
	return string(w.buf[:n]), err == nil
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
	t         testing.TB
	wire      wire
	transport string // as in Via
	in        chan string
	done      chan struct{}
	contact   string // URI; empty: its own address
}

func newPhone(t testing.TB, w wire, transport string) *phone {
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
			seen = append(seen[max(0, len(seen)-20):], first)
		case <-timer.C:
			require.FailNow(p.t, fmt.Sprintf("%q did not come, but %q", starts, seen))
			return ""
		}
	}
}

// drain throws away what has come, in a bubble.
func (p *phone) drain() {
	for synctest.Wait(); len(p.in) > 0; synctest.Wait() {
		for len(p.in) > 0 {
			<-p.in
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
