package scenario

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMemoryLooksUpNames(t *testing.T) {
	ctx := context.Background()
	m := NewMemory()
	four, six := netip.MustParseAddr("10.1.1.1"), netip.MustParseAddr("2001:db8::1")
	m.AddHost("Two.Example", four, six)
	m.AddService("sip", "udp", "example.com", &net.SRV{Target: "two.example.", Port: 5070})

	for network, want := range map[string][]netip.Addr{"ip": {four, six}, "ip4": {four}, "ip6": {six}} {
		addrs, err := m.LookupNetIP(ctx, network, "two.example.")
		require.NoError(t, err)
		assert.Equal(t, want, addrs, network)
	}
	name, records, err := m.LookupSRV(ctx, "sip", "udp", "EXAMPLE.com")
	require.NoError(t, err)
	assert.Equal(t, "_sip._udp.example.com.", name)
	assert.Equal(t, []*net.SRV{{Target: "two.example.", Port: 5070}}, records)

	for _, f := range []func() error{
		func() error { _, err := m.LookupNetIP(ctx, "ip", "none.example"); return err },
		func() error { _, err := m.LookupNetIP(ctx, "ip6", "app.example"); return err },
		func() error { _, _, err := m.LookupSRV(ctx, "sip", "tcp", "example.com"); return err },
	} {
		var unknown *net.DNSError
		require.ErrorAs(t, f(), &unknown)
		assert.True(t, unknown.IsNotFound)
	}
}
