package sipstack

import (
	"net"
	"time"

	"github.com/emiago/sipgo/sip"
)

// sipgo answers a request on the connection that it came on, and where that has gone it opens one by itself, to wherever
// the Via says, past the network that the stack was given; what is opened so late in a stack's life nobody closes. So a
// connection that ends leaves a stand-in of its own type in sipgo's table, on which nothing can be written, for the
// requests that are still on their way to a handler.

// deadFor is how long the stand-in for a closed TCP connection stays.
const deadFor = 5 * time.Second

// manyUsers keeps sipgo, which counts the users of a connection, from closing a stand-in.
const manyUsers = 1 << 30

func deadStream(local, remote net.Addr) *sip.TCPConnection {
	c := &sip.TCPConnection{Conn: &deadConn{local: local, remote: remote}}
	c.Ref(manyUsers)
	return c
}

func deadPackets(local net.Addr) *sip.UDPConnection {
	c := &sip.UDPConnection{PacketConn: &deadPacketConn{local: local}, PacketAddr: local.String(), Listener: true}
	c.Ref(manyUsers)
	return c
}

// deadConn is a connection that has ended.
type deadConn struct {
	net.Conn // nothing else of it is used
	local    net.Addr
	remote   net.Addr
}

func (c *deadConn) Write([]byte) (int, error) { return 0, net.ErrClosed }
func (c *deadConn) LocalAddr() net.Addr       { return c.local }
func (c *deadConn) RemoteAddr() net.Addr      { return c.remote }
func (c *deadConn) Close() error              { return nil }

// deadPacketConn is a socket that was closed.
type deadPacketConn struct {
	net.PacketConn // nothing else of it is used
	local          net.Addr
}

func (c *deadPacketConn) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrClosed }
func (c *deadPacketConn) LocalAddr() net.Addr                   { return c.local }
func (c *deadPacketConn) Close() error                          { return nil }

// recent remembers the peers of the newest packets: those whose packets may still be on their way to a handler.
type recent struct {
	peers [256]net.Addr
	next  int
}

func (r *recent) add(peer net.Addr) {
	r.peers[r.next] = peer
	r.next = (r.next + 1) % len(r.peers)
}
