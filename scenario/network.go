package scenario

import (
	"context"
	"net"
)

// Network opens sockets. Every socket of a node, a phone and an application is opened through one.
type Network interface {
	// ListenPacket opens a "udp" socket. A port of 0 is chosen.
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	// Listen opens a "tcp" listener. A port of 0 is chosen.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// DialContext opens a "tcp" connection.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// System is the host's network.
type System struct{}

var (
	_ Network = System{}
	_ Network = (*Memory)(nil)
)

// ListenPacket implements [Network].
func (System) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return (&net.ListenConfig{}).ListenPacket(ctx, network, address)
}

// Listen implements [Network].
func (System) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

// DialContext implements [Network].
func (System) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}
