package media

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ofNet opens sockets as an engine does that was given another way to.
func ofNet(at netip.Addr, port int) (socket, error) {
	network := "udp"
	if at.Is4() {
		network = "udp4"
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), network, address(at, port))
	if err != nil {
		return nil, err
	}
	return newPacketSocket(conn), nil
}

// bySocket runs a test with each kind of socket.
func bySocket(t *testing.T, test func(t *testing.T, open func(at string) socket)) {
	host := newHostSockets()
	for name, kind := range map[string]func(at netip.Addr, port int) (socket, error){"host": host.open, "net": ofNet} {
		t.Run(name, func(t *testing.T) {
			test(t, func(at string) socket {
				ip, _ := netip.ParseAddr(at)
				s, err := kind(ip, freePort(t))
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, s.Close()) })
				return s
			})
		})
	}
	host.wait()
}

// freePort is one that is free on all addresses.
func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{})
	require.NoError(t, err)
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// dial opens a socket that sends to a port of this host; nil: the host has not that family.
func dial(t *testing.T, network string, port uint16) *net.UDPConn {
	t.Helper()
	to := map[string]string{"udp4": "127.0.0.1", "udp6": "::1"}[network]
	c, err := net.Dial(network, net.JoinHostPort(to, strconv.Itoa(int(port))))
	if err != nil {
		t.Logf("no %s here: %v", network, err)
		return nil
	}
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c.(*net.UDPConn)
}

func TestSocketsTakeTheFamiliesThatTheyAreBoundTo(t *testing.T) {
	bySocket(t, func(t *testing.T, open func(at string) socket) {
		for name, tc := range map[string]struct {
			at    string
			takes []string
			not   string
		}{
			"all addresses":     {"", []string{"udp4", "udp6"}, ""},
			"all of IPv6":       {"::", []string{"udp4", "udp6"}, ""},
			"all of IPv4":       {"0.0.0.0", []string{"udp4"}, "udp6"},
			"loopback":          {"127.0.0.1", []string{"udp4"}, "udp6"},
			"loopback, IPv6":    {"::1", []string{"udp6"}, "udp4"},
			"mapped, from IPv4": {"::ffff:127.0.0.1", []string{"udp4"}, "udp6"},
		} {
			t.Run(name, func(t *testing.T) {
				if tc.at == "::1" && dial(t, "udp6", 9) == nil {
					return
				}
				s := open(tc.at)
				type packet struct {
					text string
					from netip.AddrPort
				}
				got := make(chan packet, 10)
				s.listen(handler{packet: func(a *arrival) { got <- packet{string(a.data), a.from} }, lost: func(err error) { t.Error(err) }})
				for _, network := range tc.takes {
					c := dial(t, network, s.local().Port())
					if c == nil {
						continue
					}
					_, err := c.Write([]byte(network))
					require.NoError(t, err)
					from := c.LocalAddr().(*net.UDPAddr).AddrPort()
					require.Equal(t, packet{network, from}, <-got)

					require.NoError(t, s.write([]byte("back"), from))
					var b [10]byte
					n, err := c.Read(b[:])
					require.NoError(t, err)
					assert.Equal(t, "back", string(b[:n]))
				}
				if c := (*net.UDPConn)(nil); tc.not != "" {
					if c = dial(t, tc.not, s.local().Port()); c != nil {
						_, _ = c.Write([]byte("not for it"))
						_, err := c.Read(make([]byte, 10))
						assert.Error(t, err, "nobody is there")
					}
				}
				assert.Empty(t, got)
			})
		}
	})
}

func TestSocketsSayWhatTheyCannotDo(t *testing.T) {
	bySocket(t, func(t *testing.T, open func(at string) socket) {
		s := open("127.0.0.1")
		assert.Error(t, s.write([]byte("x"), netip.MustParseAddrPort("[2001:db8::1]:4000")), "of another family")
		assert.Error(t, s.write(make([]byte, 70000), netip.MustParseAddrPort("127.0.0.1:4000")), "too long")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "once more")
		s.listen(handler{packet: func(*arrival) { t.Error("after Close") }})
	})
}

func TestAPortThatIsHeldIsAnError(t *testing.T) {
	host := newHostSockets()
	held, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer held.Close()
	_, err = host.open(netip.MustParseAddr("127.0.0.1"), held.LocalAddr().(*net.UDPAddr).Port)
	assert.ErrorContains(t, err, "address already in use")
	_, err = host.open(netip.MustParseAddr("192.0.2.1"), 20000)
	assert.ErrorContains(t, err, "192.0.2.1:20000")
}

// TestNothingIsHandledAfterClose closes sockets while packets pour in: the handler of a closed one is not called, though
// others share its goroutine and its descriptor is used again.
func TestNothingIsHandledAfterClose(t *testing.T) {
	bySocket(t, func(t *testing.T, open func(at string) socket) {
		for range 50 {
			s := open("127.0.0.1")
			flood, err := net.Dial("udp4", s.local().String())
			require.NoError(t, err)
			var handled atomic.Int64
			var closed atomic.Bool
			s.listen(handler{packet: func(*arrival) {
				handled.Add(1)
				assert.False(t, closed.Load())
			}, lost: func(error) {}})
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for !closed.Load() {
					_, _ = flood.Write([]byte("x"))
				}
			}()
			require.Eventually(t, func() bool { return handled.Load() > 10 }, 10*time.Second, time.Millisecond)
			require.NoError(t, s.Close())
			closed.Store(true)
			<-ended
			require.NoError(t, flood.Close())
		}
	})
}
