package sipstack

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mutated changes a message in a few random places.
func mutated(r *rand.Rand, text string) string {
	b := []byte(text)
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		switch r.IntN(4) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b = append(b[:i], b[min(len(b), i+1+r.IntN(20)):]...)
		case 2: // a line twice, or one of its parts
			end := min(len(b), i+1+r.IntN(60))
			b = append(b[:end:end], b[i:]...)
		case 3:
			lines := strings.Split(string(b), "\r\n")
			j := r.IntN(len(lines))
			b = []byte(strings.Join(append(lines[:j:j], lines[j+1:]...), "\r\n"))
		}
	}
	return string(b)
}

func TestRandomPacketsEndNothing(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 300 {
			d := p.newCall()
			seeds := []string{
				d.request("INVITE", d.uri, 1, newBranch(), "Record-Route: <sip:127.0.0.1:9;lr>\r\nDiversion: <sip:x@y>;a=b\r\nRequire: x\r\n", offerLine),
				d.request("INVITE", d.uri, 1, newBranch(), "P-Asserted-Identity: <sip:+1;verstat=x@y>\r\nUser-To-User: a, \"b\r\n", offerLine),
				c.request("NOTIFY", c.target, 1000+i, newBranch(), finalNotify, "SIP/2.0 200 OK\r\n"),
				c.request("INVITE", c.target, 1000+i, newBranch(), "", offerLine),
				c.request("ACK", c.target, 1000+i, newBranch(), "", offerLine),
				c.request("INFO", c.target, 1000+i, newBranch(), "", "x"),
				d.request("CANCEL", d.uri, 1, newBranch(), "", ""),
				d.request("OPTIONS", d.uri, 1, newBranch(), "", ""),
				replyTo(d.request("OPTIONS", d.uri, 1, newBranch(), "", ""), 200, ""),
			}
			for _, seed := range seeds {
				p.send(mutated(r, seed))
			}
			p.drain()
			time.Sleep(time.Millisecond) // fake
		}
		synctest.Wait()
		n.rec.mu.Lock()
		assert.Empty(t, n.rec.panics)
		n.rec.mu.Unlock()
		time.Sleep(10 * time.Minute) // fake: whatever was begun has ended
		synctest.Wait()
		n.mu.Lock()
		n.serve = nil
		n.mu.Unlock()
		p.drain()
		d := p.newCall()
		d.sendInvite("", offerLine)
		d.expect("SIP/2.0 100")
		synctest.Wait()
		assert.Less(t, len(n.tap.threads), 300, "what is over is forgotten")
	})
}

func TestManyStreamsOfGarbage(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		p := n.tcpPhone(1)
		for range 10 {
			p.send(mutated(r, p.newCall().request("OPTIONS", "sip:node", 1, newBranch(), "", "")))
		}
		p.close()
	}
	p := n.tcpPhone(1)
	defer p.close()
	p.call()
}

func TestPeerThatDoesNotReadEndsItsConnectionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		c := &observedConn{Conn: a, raw: a, listener: newStreamListener("tcp", nil, nil, newTap(nobody{}), nil, nil)}
		start := time.Now()
		_, err := c.Write([]byte("SIP/2.0 200 OK\r\n\r\n"))
		require.Error(t, err)
		assert.Equal(t, writeTimeout, time.Since(start))
		_, err = b.Read(make([]byte, 1))
		require.Error(t, err, "closed")
	})
}

func TestIPv6(t *testing.T) {
	cfg := Config{Listeners: []Listener{{"udp", "[::1]:5060"}}, MediaAddress: netip.MustParseAddr("127.0.0.1")}
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), cfg).answering()
		p := n.udpPhoneAt("[::1]:0")
		c := p.newCall()
		c.sendInvite("", offerLine)
		ok := c.expect("SIP/2.0 200")
		assert.Equal(t, "<sip:bob@[::1]:5060>", field(ok, "Contact"))
		c.established(ok)
		c.ack("")
		done := make(chan error, 1)
		go func() { done <- n.leg().Bye(context.Background()) }()
		bye := c.expect("BYE")
		assert.Contains(t, field(bye, "Via"), "SIP/2.0/UDP [::1]:5060;")
		p.reply(bye, 200, "")
		require.NoError(t, <-done)
		n.stop()
		p.close()
		time.Sleep(70 * time.Second) // fake
	})
}
