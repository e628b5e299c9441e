package sipstack

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestResponsesSayWhereTheRequestCameFrom(t *testing.T) {
	for name, tc := range map[string]struct {
		via  string // %d: the phone's port
		want string
	}{
		"rport (RFC 3581)":           {"127.0.0.1:%d;rport", "received=127.0.0.1 rport=%d"},
		"rport behind a NAT":         {"10.0.0.7:5070;rport", "received=127.0.0.1 rport=%d"},
		"another address":            {"10.0.0.7:%d", "received=127.0.0.1"},
		"a name":                     {"phone.example:%d", "received=127.0.0.1"},
		"where it says to have been": {"127.0.0.1:%d", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := startNode(t, newHub(), Config{}).answering()
				p := n.udpPhone()
				port := p.wire.local().Port()
				expand := func(s string) string { return strings.ReplaceAll(s, "%d", fmt.Sprint(port)) }
				for _, method := range []string{"INVITE", "OPTIONS", "BYE", "REGISTER"} {
					c := p.newCall()
					text := c.request(method, c.uri, 1, newBranch(), "", "")
					mine := fmt.Sprintf("%s;branch", p.wire.local())
					via, params, _ := strings.Cut(expand(tc.via), ";")
					text = strings.Replace(strings.Replace(text, ";rport", "", 1), mine, via+";"+params+";branch", 1)
					text = strings.Replace(text, ";;", ";", 1)
					p.send(text)
					res := p.expect("SIP/2.0 ")
					got := map[string]string{}
					for param := range strings.SplitSeq(field(res, "Via"), ";") {
						k, v, _ := strings.Cut(param, "=")
						got[k] = v
					}
					want := map[string]string{}
					for _, param := range strings.Fields(expand(tc.want)) {
						k, v, _ := strings.Cut(param, "=")
						want[k] = v
					}
					for _, k := range []string{"received", "rport"} {
						assert.Equal(t, want[k], got[k], "%s %s", method, k)
					}
				}
				n.stop()
				p.close()
				time.Sleep(70 * time.Second)
			})
		})
	}
}

// TestNotifyRefreshesTheTarget: RFC 6665 section 4.4.1 and table 1.
func TestNotifyRefreshesTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), Config{}).answering()
		p, moved := n.udpPhone(), n.udpPhone()
		c := p.call()
		l := n.leg()
		<-l.confirmed
		r, err := l.Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.expect("REFER"), 202, "")
		c.contact = fmt.Sprintf("sip:elsewhere@%s", moved.wire.local())
		c.inDialog("NOTIFY", "Event: presence\r\nSubscription-State: active\r\n", "")
		p.expect("SIP/2.0 489")
		assert.NotContains(t, l.dialog.target.String(), "elsewhere", "one that is refused changes nothing")
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		p.expect("SIP/2.0 200")
		<-r.Done()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		bye := moved.expect("BYE")
		assert.Equal(t, fmt.Sprintf("BYE %s SIP/2.0", c.contact), startOf(bye))
		moved.reply(bye, 200, "")
		require.NoError(t, <-done)
		n.stop()
		p.close()
		moved.close()
		time.Sleep(70 * time.Second)
	})
}

func TestKeepAlivesBetweenMessages(t *testing.T) {
	a := newAuthority(t)
	cfg := a.node()
	cfg.Listeners = []Listener{{"udp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}}
	n := startNode(t, nil, cfg).answering()
	defer n.stop()
	conn, err := net.Dial("tcp", n.Addrs()[1].String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(conn)
	for range 2 {
		for _, piece := range []string{"\r\n", "\r\n"} { // RFC 5626 section 3.5.1
			_, err = conn.Write([]byte(piece))
			require.NoError(t, err)
		}
		got, err := in.ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "\r\n", got)
	}
	// A ping that stands right before and one right behind a message, which is answered, too.
	_, err = conn.Write([]byte("\r\n\r\nOPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKping\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:x@127.0.0.1>\r\nCall-ID: ping\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
	require.NoError(t, err)
	answered := 0
	for pongs := 0; pongs < 2 || answered == 0; {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		switch {
		case strings.HasPrefix(line, "SIP/2.0 "):
			answered++
			for line != "\r\n" {
				line, err = in.ReadString('\n')
				require.NoError(t, err)
			}
		case line == "\r\n":
			pongs++
		}
	}

	p := n.udpPhone()
	defer p.close()
	for _, stray := range []string{"\r\n\r\n", "\r\n", "\x00", "\x00\x00\x00\x00"} {
		p.send(stray)
	}
	c := p.call() // what comes first is its answer, and nothing else was told
	assert.Equal(t, "> INVITE", n.rec.ladder("c-" + c.callID)[0])
	assert.Equal(t, []string{"> OPTIONS", "< 200 OPTIONS"}, n.rec.ladder(""))
}

func TestTCPKeepsConnectionsAlive(t *testing.T) {
	l, err := hostNetwork{}.Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer dialled.Close()
	accepted, err := l.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	for _, conn := range []net.Conn{dialled, accepted} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			on, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
			assert.NoError(t, err)
			assert.NotZero(t, on)
		}))
	}
}

func TestSoundIsWhereTheCallCameIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}, {"udp", "[::1]:5060"}}}).answering()
		for _, l := range n.bound() {
			assert.Equal(t, addrPort(l.addr).Addr(), n.mediaBind(l))
		}
		p := n.udpPhone()
		p.call()
		<-n.leg().confirmed
		assert.Equal(t, p.wire.local().Addr(), n.rec.media[0].Source, "for the latching")
		n.stop()
		p.close()
		time.Sleep(70 * time.Second)
	})
}

func TestConnectionThatThePeerOpenedIsUsedFirst(t *testing.T) {
	a := newAuthority(t)
	home, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer home.Close()
	n := startNode(t, nil, a.node()).answering()
	defer n.stop()
	p := n.tlsPhone(&tls.Config{RootCAs: a.pool()})
	defer p.close()
	p.contact = fmt.Sprintf("sips:alice@%s", home.Addr())
	p.call()
	l := n.leg()
	<-l.confirmed
	done := make(chan error, 1)
	go func() { done <- l.Bye(context.Background()) }()
	p.reply(p.expect("BYE"), 200, "")
	require.NoError(t, <-done)
	assert.Zero(t, n.TLS().FailedHandshakes, "nobody has tried the Contact, where no TLS is")
}
