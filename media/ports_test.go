package media

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gauge remembers the last number of ports in use.
type gauge struct {
	noCounters
	ports int
}

func (g *gauge) PortsInUse(n int) { g.ports = n }

func portEngine(t *testing.T, r PortRange) (*Engine, *memory, *gauge) {
	t.Helper()
	network, g := newMemory(), &gauge{}
	e, err := New(Config{Ports: r, BindIP: netip.MustParseAddr("192.0.2.1")},
		WithListenPacket(network.ListenPacket), WithCounters(g))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e, network, g
}

func TestPortsArePairsFromTheRange(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		r    PortRange
		want []int
	}{
		"even to odd":           {PortRange{30000, 30005}, []int{30000, 30002, 30004}},
		"the borders are alone": {PortRange{30001, 30004}, []int{30002}},
	} {
		t.Run(name, func(t *testing.T) {
			e, network, g := portEngine(t, tc.r)
			var got []int
			for range tc.want {
				s, err := e.Open("c-1")
				require.NoError(t, err)
				got = append(got, s.Port())
				for _, port := range []int{s.Port(), s.Port() + 1} {
					assert.Contains(t, network.bound, netip.MustParseAddrPort("192.0.2.1:"+strconv.Itoa(port)))
				}
			}
			assert.ElementsMatch(t, tc.want, got)
			assert.Equal(t, len(tc.want), g.ports)
			_, err := e.Open("c-1")
			assert.ErrorIs(t, err, ErrNoPorts)
			require.NoError(t, e.Close())
			assert.Empty(t, network.bound)
			assert.Zero(t, g.ports)
			_, err = e.Open("c-1")
			assert.Error(t, err)
		})
	}
}

func TestPortRangeIsChecked(t *testing.T) {
	t.Parallel()
	for _, r := range []PortRange{{-2, 10}, {0, 10}, {20000, 70000}, {20001, 20002}, {20002, 20002}, {30000, 20000}} {
		_, err := New(Config{Ports: r})
		assert.Error(t, err, "%v", r)
	}
}

func TestNoCallIsTurnedAwayForAPortThatWasInUseAMomentAgo(t *testing.T) {
	t.Parallel()
	e, _, _ := portEngine(t, PortRange{30000, 30001})
	for range 3 {
		s, err := e.Open("c-1")
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}

func TestPortUsedTheLongestAgoComesFirst(t *testing.T) {
	t.Parallel()
	e, _, _ := portEngine(t, PortRange{30000, 30099})
	last := map[int]int{}
	for i := range 500 {
		s, err := e.Open("c-1")
		require.NoError(t, err)
		if before, ok := last[s.Port()]; ok {
			require.Equal(t, 50, i-before, "port %d", s.Port())
		}
		last[s.Port()] = i
		require.NoError(t, s.Close())
	}
}

func TestPortsHeldByOthersArePassedOver(t *testing.T) {
	t.Parallel()
	e, network, g := portEngine(t, PortRange{30000, 30005})
	network.peer("192.0.2.1:30000")
	network.peer("192.0.2.1:30005")
	s, err := e.Open("c-1")
	require.NoError(t, err)
	assert.Equal(t, 30002, s.Port())
	_, err = e.Open("c-1")
	require.ErrorIs(t, err, ErrNoPorts)
	assert.ErrorContains(t, err, "in use", "it says what the system said")
	assert.NotContains(t, network.bound, netip.MustParseAddrPort("192.0.2.1:30004"), "the half of a pair is closed")
	assert.Equal(t, 1, g.ports)
}

func TestAPortThatACallHadIsOpenedAgainIfItIsFree(t *testing.T) {
	t.Parallel()
	e, err := New(Config{BindIP: netip.MustParseAddr("127.0.0.1"), Ports: PortRange{Min: 20000, Max: 29999}})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	first, err := e.OpenAt("c-1", netip.MustParseAddr("127.0.0.1"))
	require.NoError(t, err)
	_, err = e.OpenAgain("c-1", netip.MustParseAddr("127.0.0.1"), first.Port())
	require.ErrorIs(t, err, ErrNoPorts, "it is in use")
	require.NoError(t, first.Close())
	again, err := e.OpenAgain("c-1", netip.MustParseAddr("127.0.0.1"), first.Port())
	require.NoError(t, err)
	require.Equal(t, first.Port(), again.Port())
	require.NoError(t, again.Close())
	for _, port := range []int{first.Port() + 1, 19998, 0} {
		_, err = e.OpenAgain("c-1", netip.MustParseAddr("127.0.0.1"), port)
		require.ErrorIs(t, err, ErrNoPorts)
	}
}
