package sipstack

import (
	"context"
	"net"
	"net/netip"
)

// hostNetwork opens the operating system's sockets. One on 0.0.0.0 is of IPv4 alone: Go would take IPv6 there, too, which
// who wrote 0.0.0.0 has not asked for and may not have a firewall for.
type hostNetwork struct{}

// ListenPacket implements [Network].
func (hostNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, ofFamily(network, address), address)
	if err != nil {
		return nil, err
	}
	return withoutWaiting(conn), nil
}

// Listen implements [Network].
func (hostNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, ofFamily(network, address), address)
}

// ofFamily narrows a network to that of an IPv4 address.
func ofFamily(network, address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return network + "4"
	}
	return network
}
