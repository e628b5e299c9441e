package node

import (
	"context"
	"net"
	"net/netip"
)

// Network opens every socket of a node: SIP and RTP packets, SIP and HTTP listeners, and the connections of webhooks and
// audio files. A test puts a network in memory in its place, so that a whole node runs without a real socket.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// listenHTTP opens a listener of the host. One on 0.0.0.0 is of IPv4 alone: Go would take IPv6 there, too.
func listenHTTP(ctx context.Context, network, address string) (net.Listener, error) {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		network += "4"
	}
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}
