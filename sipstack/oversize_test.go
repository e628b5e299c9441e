package sipstack

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longTarget makes a REFER too long for UDP.
var longTarget = "sip:" + strings.Repeat("x", maxDatagram) + "@example.com"

// listenAt listens for TCP where a phone has its UDP socket; another program may have that port.
func listenAt(t *testing.T, n *node) (*phone, net.Listener) {
	t.Helper()
	for range 100 {
		p := n.udpPhone()
		if l, err := net.Listen("tcp", p.wire.local().String()); err == nil {
			return p, l
		}
		p.close()
	}
	require.FailNow(t, "no port that is free for UDP and TCP")
	return nil, nil
}

func TestRequestTooLongForUDPGoesByTCP(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	p, home := listenAt(t, n)
	defer p.close()
	defer home.Close()
	c := p.call()
	l := n.leg()
	<-l.confirmed
	r, err := l.Refer(context.Background(), longTarget)
	require.NoError(t, err)
	conn, err := home.Accept()
	require.NoError(t, err)
	q := newPhone(t, &streamWire{conn: conn}, "TCP")
	defer q.close()
	refer := q.expect("REFER")
	assert.Contains(t, field(refer, "Via"), "SIP/2.0/TCP "+n.Addrs()[1].String()+";")
	assert.Equal(t, c.target, strings.Trim(field(refer, "Contact"), "<>"), "unaffected")
	q.reply(refer, 202, "")
	c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
	c.expect("SIP/2.0 200") // over UDP, as it was asked for
	<-r.Done()
	assert.Equal(t, ReferSuccess, r.Result().Status)
	assert.Equal(t, Oversized{TCP: 1}, n.Oversized())
	n.rec.mu.Lock()
	defer n.rec.mu.Unlock()
	for _, m := range n.rec.sip {
		want := "udp"
		if m.Method == "REFER" {
			want = "tcp"
		}
		assert.Equal(t, want, m.Transport, m.Method)
	}
}

// RFC 3261 section 18.1.1: 1300 octets where the MTU of the path is not known. Without TCP what is longer is counted as fragments.
func TestUpTo1300OctetsARequestIsADatagram(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		l := n.leg()
		<-l.confirmed
		refer := func(target string) (octets int) {
			r, err := l.Refer(context.Background(), target)
			require.NoError(t, err)
			refer := p.expect("REFER")
			p.reply(refer, 603, "")
			<-r.Done()
			return len(refer)
		}
		const short = "sip:x@example.com"
		target := "sip:" + strings.Repeat("x", 1300-refer(short)+1) + "@example.com"
		require.Equal(t, 1300, refer(target))
		assert.Zero(t, n.Oversized())
		require.Equal(t, 1301, refer(strings.Replace(target, "x", "xx", 1)))
		assert.Equal(t, Oversized{Fragments: 1}, n.Oversized())
	})
}

// deaf is a network on which nobody takes TCP connections.
type deaf struct {
	*hub
	refuses bool
	dialled atomic.Int64
}

func (d *deaf) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	d.dialled.Add(1)
	if d.refuses {
		return nil, syscall.ECONNREFUSED
	}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (d *deaf) Listen(context.Context, string, string) (net.Listener, error) {
	return &idleListener{closed: make(chan struct{})}, nil
}

// idleListener is a listener to which nobody comes.
type idleListener struct{ closed chan struct{} }

func (l *idleListener) Accept() (net.Conn, error) { <-l.closed; return nil, net.ErrClosed }
func (l *idleListener) Close() error              { close(l.closed); return nil }
func (l *idleListener) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5060} }

func TestRequestTooLongForUDPGoesInFragmentsWithoutTCP(t *testing.T) {
	for name, tc := range map[string]struct {
		listeners []Listener
		refuses   bool
		dials     int64
		wait      time.Duration
	}{
		"refused":        {bothTransports.Listeners, true, 1, 0},
		"no answer":      {bothTransports.Listeners, false, 1, oversizeConnect},
		"no TCP of ours": {[]Listener{{"udp", "127.0.0.1:5060"}}, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &deaf{hub: newHub(), refuses: tc.refuses}
				n := startNode(t, network, Config{Listeners: tc.listeners}).answering()
				p := n.udpPhone()
				c := p.call()
				l := n.leg()
				<-l.confirmed
				start := time.Now()
				for range 2 {
					r, err := l.Refer(context.Background(), longTarget)
					require.NoError(t, err)
					refer := p.expect("REFER")
					assert.Contains(t, field(refer, "Via"), "SIP/2.0/UDP ")
					assert.Equal(t, tc.wait, time.Since(start), "the second waits for nothing")
					p.reply(refer, 603, "")
					<-r.Done()
				}
				assert.Equal(t, tc.dials, network.dialled.Load())
				time.Sleep(withoutTCP)
				start = time.Now()
				r, err := l.Refer(context.Background(), longTarget)
				require.NoError(t, err)
				p.reply(p.expect("REFER"), 603, "")
				<-r.Done()
				assert.Equal(t, tc.wait, time.Since(start))
				assert.Equal(t, 2*tc.dials, network.dialled.Load(), "asked again after a while")
				assert.Equal(t, Oversized{Fragments: 3}, n.Oversized())
				c.inDialog("BYE", "", "")
				p.expect("SIP/2.0 200")
				n.stop()
				p.close()
				time.Sleep(70 * time.Second)
			})
		})
	}
}
