package media

import (
	"context"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRTPOnAllOfIPv4IsNotOnIPv6(t *testing.T) {
	conn, err := listenPacket(context.Background(), "udp", "0.0.0.0:0")
	require.NoError(t, err)
	defer conn.Close()
	assert.True(t, addrPortOf(conn.LocalAddr()).Addr().Is4(), conn.LocalAddr().String())
}

func TestSessionAtAnotherAddress(t *testing.T) {
	network := newMemory()
	e, err := New(Config{Ports: PortRange{20000, 20009}, BindIP: netip.MustParseAddr("192.0.2.1")}, WithListenPacket(network.ListenPacket))
	require.NoError(t, err)
	defer e.Close()
	for at, want := range map[string]string{"": "192.0.2.1", "2001:db8::1": "2001:db8::1"} {
		ip, _ := netip.ParseAddr(at)
		s, err := e.OpenAt("c-1", ip)
		require.NoError(t, err)
		assert.Equal(t, want, addrPortOf(s.rtp.LocalAddr()).Addr().String())
		assert.Equal(t, want, addrPortOf(s.rtcp.LocalAddr()).Addr().String())
	}
}
