package media

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSessionAtAnotherAddress(t *testing.T) {
	network := newMemory()
	e, err := New(Config{Ports: PortRange{20000, 20009}, BindIP: netip.MustParseAddr("192.0.2.1")}, WithListenPacket(network.ListenPacket))
	require.NoError(t, err)
	defer e.Close()
	for at, want := range map[string]string{"": "192.0.2.1", "2001:db8::1": "2001:db8::1"} {
		ip, _ := netip.ParseAddr(at)
		s, err := e.OpenAt("c-1", ip)
		require.NoError(t, err)
		assert.Equal(t, want, s.rtp.local().Addr().String())
		assert.Equal(t, want, s.rtcp.local().Addr().String())
	}
}
