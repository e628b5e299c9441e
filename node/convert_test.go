package node

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANameInTheConfigurationStandsForAnAddressOfTheListenersFamily(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	mapped := netip.MustParseAddr("::ffff:192.0.2.1")
	for name, tc := range map[string]struct {
		found    []netip.Addr
		listener string
		want     netip.Addr
	}{
		"IPv4":                        {[]netip.Addr{v6, mapped}, "10.0.0.1", v4},
		"IPv6":                        {[]netip.Addr{mapped, v6}, "2001:db8::2", v6},
		"all of IPv4":                 {[]netip.Addr{v6, v4}, "0.0.0.0", v4},
		"all of both":                 {[]netip.Addr{v6, v4}, "::", v4},
		"IPv4, and the name has IPv6": {[]netip.Addr{v6}, "10.0.0.1", v6},
		"IPv6, and the name has IPv4": {[]netip.Addr{mapped}, "::1", v4},
	} {
		assert.Equal(t, tc.want, ofFamily(tc.found, netip.MustParseAddr(tc.listener)), name)
	}
}
