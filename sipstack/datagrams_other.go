//go:build !linux

package sipstack

import "net"

// withoutWaiting is for Linux.
func withoutWaiting(conn net.PacketConn) net.PacketConn { return conn }
