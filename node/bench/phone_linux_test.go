package bench_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// phone is many callers behind one socket. Each is referred, and notes when: by the kernel's clock, as the phone shares its core
// with the application and may be late.
type phone struct {
	conn  *net.UDPConn
	node  net.Addr
	local string
	ended chan struct{} // one value per call that was hung up

	mu       sync.Mutex
	referred map[string]time.Time // when the REFER was on the wire, by From
	notified map[string]time.Time // when the final NOTIFY was sent
	byes     map[string]bool
}

func newPhone(b testing.TB, node string, calls int) *phone {
	b.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	raw, err := conn.SyscallConn()
	require.NoError(b, err)
	require.NoError(b, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }))
	require.NoError(b, err)
	to, err := net.ResolveUDPAddr("udp4", node)
	require.NoError(b, err)
	p := &phone{
		conn: conn, node: to, local: conn.LocalAddr().String(), ended: make(chan struct{}, calls),
		referred: map[string]time.Time{}, notified: map[string]time.Time{}, byes: map[string]bool{},
	}
	go p.serve()
	return p
}

// from is the From URI of the nth call, as webhooks tell it.
func (p *phone) from(n int) string { return fmt.Sprintf("sip:caller%d@%s", n, p.local) }

// call sends the nth INVITE.
func (p *phone) call(n int) {
	sdp := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
	p.send("INVITE sip:bench@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%d\r\nMax-Forwards: 70\r\nFrom: <%s>;tag=f%d\r\n"+
		"To: <sip:bench@%s>\r\nCall-ID: bench-%d\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		p.node, p.local, n, p.from(n), n, p.node, n, p.local, len(sdp), sdp)
}

func (p *phone) send(format string, args ...any) {
	_, _ = p.conn.WriteTo(fmt.Appendf(nil, format, args...), p.node)
}

func (p *phone) serve() {
	buf, control := make([]byte, 65536), make([]byte, 256)
	for {
		n, o, _, _, err := p.conn.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			return
		}
		if at, ok := timestamp(control[:o]); ok {
			p.message(string(buf[:n]), at)
		}
	}
}

// message reacts to what the node sent, and when.
func (p *phone) message(m string, at time.Time) {
	var call int
	if _, err := fmt.Sscanf(header(m, "Call-ID"), "bench-%d", &call); err != nil {
		return
	}
	from := p.from(call)
	dialog := func(method string, cseq int, to string) string {
		return fmt.Sprintf("%s sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%d-%d\r\nMax-Forwards: 70\r\nFrom: <%s>;tag=f%d\r\nTo: %s\r\n"+
			"Call-ID: bench-%d\r\nCSeq: %d %s\r\nContact: <sip:%s>\r\n", method, p.node, p.local, method, cseq, call, from, call, to, call, cseq, method, p.local)
	}
	notify := func(cseq int, to, state, frag string) {
		p.send("%sEvent: refer\r\nSubscription-State: %s\r\nContent-Type: message/sipfrag\r\nContent-Length: %d\r\n\r\n%s",
			dialog("NOTIFY", cseq, to), state, len(frag), frag)
	}
	cseq := header(m, "CSeq")
	switch {
	case strings.HasPrefix(m, "SIP/2.0 200") && strings.HasSuffix(cseq, "INVITE"):
		p.send("%sContent-Length: 0\r\n\r\n", dialog("ACK", 1, header(m, "To")))
	case strings.HasPrefix(m, "REFER "):
		p.mu.Lock()
		_, again := p.referred[from]
		if !again {
			p.referred[from] = at
		}
		p.mu.Unlock()
		p.send("SIP/2.0 202 Accepted\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: bench-%d\r\nCSeq: %s\r\nContact: <sip:%s>\r\nContent-Length: 0\r\n\r\n",
			header(m, "Via"), header(m, "From"), header(m, "To"), call, cseq, p.local)
		if !again {
			notify(2, header(m, "From"), "active;expires=60", "SIP/2.0 100 Trying\r\n")
		}
	case strings.HasPrefix(m, "SIP/2.0 200") && strings.HasPrefix(cseq, "2 "):
		p.mu.Lock()
		p.notified[from] = time.Now()
		p.mu.Unlock()
		notify(3, header(m, "To"), "terminated;reason=noresource", "SIP/2.0 200 OK\r\n")
	case strings.HasPrefix(m, "BYE "):
		p.send("SIP/2.0 200 OK\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: bench-%d\r\nCSeq: %s\r\nContent-Length: 0\r\n\r\n",
			header(m, "Via"), header(m, "From"), header(m, "To"), call, cseq)
		p.mu.Lock()
		again := p.byes[from]
		p.byes[from] = true
		p.mu.Unlock()
		if !again {
			p.ended <- struct{}{}
		}
	}
}
