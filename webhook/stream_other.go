//go:build !linux

package webhook

import "net"

// withoutWaiting is for Linux.
func withoutWaiting(conn net.Conn) net.Conn { return conn }
