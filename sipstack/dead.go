package sipstack

import (
	"net"
	"time"

	"github.com/emiago/sipgo/sip"
)

// deadConn stands in sipgo's table for a peer whose connection has just been closed. sipgo answers a request on the
// connection that it came on, and where that has gone it opens one by itself, to wherever the Via says, past the network
// that the stack was given; what is opened so late in a stack's life nobody closes. A request that was on its way to its
// handler finds this instead.
type deadConn struct{ local net.Addr }

var _ sip.Connection = (*deadConn)(nil)

// LocalAddr implements [sip.Connection].
func (c *deadConn) LocalAddr() net.Addr { return c.local }

// WriteMsg implements [sip.Connection].
func (c *deadConn) WriteMsg(sip.Message) error { return net.ErrClosed }

// Ref implements [sip.Connection]. It is never closed by counting.
func (c *deadConn) Ref(int) int { return 1 }

// TryClose implements [sip.Connection].
func (c *deadConn) TryClose() (int, error) { return 1, nil }

// Close implements [sip.Connection].
func (c *deadConn) Close() error { return nil }

// deadFor is how long the stand-in for a closed TCP connection stays.
const deadFor = 5 * time.Second

// recent remembers the peers of the newest packets: those whose packets may still be on their way to a handler.
type recent struct {
	peers [256]net.Addr
	next  int
}

func (r *recent) add(peer net.Addr) {
	r.peers[r.next] = peer
	r.next = (r.next + 1) % len(r.peers)
}
