package media

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAPollerWaitsForTheNextSocket has one socket come after the other, as those of short calls do.
func TestAPollerWaitsForTheNextSocket(t *testing.T) {
	host := newHostSockets()
	p := newPoller()
	host.pollers = []*poller{p}
	runs := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.epoll != nil
	}
	for range 3 {
		s, err := host.open(netip.MustParseAddr("127.0.0.1"), freePort(t))
		require.NoError(t, err)
		came := make(chan string, 1)
		s.listen(handler{packet: func(a *arrival) { came <- string(a.data) }, lost: func(err error) { t.Error(err) }})
		phone, err := net.Dial("udp4", s.local().String())
		require.NoError(t, err)
		_, err = phone.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, "x", <-came)
		require.NoError(t, phone.Close())

		closed := time.Now()
		require.NoError(t, s.Close())
		assert.True(t, runs() || time.Since(closed) >= lingering, "it ended at once")
	}
	require.Eventually(t, func() bool { return !runs() }, 10*time.Second, 10*time.Millisecond, "it ends in the end")
	host.wait()
}

// TestNoPollerOutlivesItsEngine closes an engine whose last session has just ended.
func TestNoPollerOutlivesItsEngine(t *testing.T) {
	e, err := New(Config{BindIP: netip.MustParseAddr("127.0.0.1")})
	require.NoError(t, err)
	s, err := e.Open("c-1")
	require.NoError(t, err)
	s.Configure(params())
	require.NoError(t, s.Close())
	require.NoError(t, e.Close())
	for _, p := range e.host.pollers {
		assert.Nil(t, p.epoll)
	}
	for _, c := range e.clocks.all {
		assert.False(t, c.running)
	}
}
