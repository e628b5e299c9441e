//go:build !linux

package media

import (
	"context"
	"net"
	"net/netip"
)

// hostSockets opens sockets of the host. Here each has a goroutine of its own.
type hostSockets struct{}

func newHostSockets() *hostSockets { return &hostSockets{} }

func (*hostSockets) open(at netip.Addr, port int) (socket, error) {
	network := "udp"
	if at.Is4() {
		network = "udp4" // Go would take IPv6 on 0.0.0.0, too
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), network, address(at, port))
	if err != nil {
		return nil, err
	}
	return newPacketSocket(conn), nil
}

func (*hostSockets) wait() {}
