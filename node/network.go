package node

import (
	"context"
	"net"
)

// Network opens every socket of a node: SIP and RTP packets, SIP and HTTP listeners, and the connections of webhooks and
// audio files. A test puts a network in memory in its place, so that a whole node runs without a real socket.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}
