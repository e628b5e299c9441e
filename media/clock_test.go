package media

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// several opens sessions of an engine whose phones are one. They share one clock.
func several(t *testing.T, n int) (*bench, []*Session) {
	t.Helper()
	b := newBench(t)
	b.engine.clocks.all = b.engine.clocks.all[:1]
	require.NoError(t, b.Session.Close())
	var all []*Session
	for range n {
		s, err := b.engine.Open("c-1")
		require.NoError(t, err)
		s.clock = b.engine.clocks.all[0]
		all = append(all, s)
	}
	return b, all
}

// TestSessionsKeepTheirPhase has sessions that share a clock begin at different times, and with different packets.
func TestSessionsKeepTheirPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := several(t, 4)
		begun := map[string]time.Time{}
		period := map[string]time.Duration{}
		for i, s := range all {
			p := params()
			p.PTime = time.Duration(i+1) * 10 * time.Millisecond
			begun[s.rtp.local().String()], period[s.rtp.local().String()] = time.Now(), p.PTime
			s.Configure(p)
			time.Sleep(3 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		sent := map[string]int{}
		for _, d := range b.rtp.waiting() {
			from := d.from.String()
			require.Equal(t, begun[from].Add(time.Duration(sent[from])*period[from]), d.at, "packet %d of %s", sent[from], from)
			sent[from]++
		}
		require.Len(t, sent, 4)
		for from, n := range sent {
			assert.InDelta(t, 10*time.Second/period[from], n, 2)
		}
	})
}

func TestAPanicInOneSessionsPacketIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := several(t, 2)
		logs, entries := observer.New(zap.ErrorLevel)
		b.engine.log = zap.New(logs)
		counters := &panics{}
		b.engine.counters = counters
		stop := all[0].Listen(func(_, _ []int16) { panic("a listener") })
		for _, s := range all {
			s.Configure(params())
		}
		time.Sleep(time.Second - time.Millisecond)
		stop()
		sent := map[string]int{}
		for _, d := range b.rtp.waiting() {
			sent[d.from.String()]++
		}
		assert.Equal(t, 50, sent[all[1].rtp.local().String()])
		assert.Zero(t, sent[all[0].rtp.local().String()])
		assert.EqualValues(t, 50, counters.Load())
		require.Equal(t, 50, entries.Len())
		assert.Equal(t, "c-1", entries.All()[0].ContextMap()["call_id"])
		assert.Contains(t, entries.All()[0].ContextMap()["panic"], "a listener")

		time.Sleep(time.Second)
		after := 0
		for _, d := range b.rtp.waiting() {
			if d.from == all[0].rtp.local() {
				after++
			}
		}
		assert.Equal(t, 50, after, "it goes on")
	})
}

type panics struct {
	noCounters
	atomic.Int64
}

func (c *panics) PanicRecovered() { c.Add(1) }

// TestCloseWaitsForThePacketThatIsUnderWay closes a session while its clock is in the middle of it.
func TestCloseWaitsForThePacketThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, all := several(t, 2)
		release, entered := make(chan struct{}), make(chan struct{})
		var ended atomic.Bool
		all[0].Listen(func(_, _ []int16) {
			close(entered)
			<-release
			ended.Store(true)
		})
		for _, s := range all {
			s.Configure(params())
		}
		<-entered
		closed := make(chan error)
		go func() {
			err := all[0].Close()
			assert.True(t, ended.Load())
			closed <- err
		}()
		synctest.Wait()
		assert.Empty(t, closed)
		require.NoError(t, all[1].Close(), "another one need not wait")
		close(release)
		require.NoError(t, <-closed)
	})
}

// TestManySessionsComeAndGo has the clock's heap change in every way.
func TestManySessionsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var err error
		b.engine.ports.free = nil
		for port := 30000; port < 32000; port += 2 {
			b.engine.ports.free = append(b.engine.ports.free, port)
		}
		open := map[*Session]bool{}
		for i := range 2000 {
			var s *Session
			if s, err = b.engine.Open("c-1"); err != nil {
				break
			}
			s.Configure(params())
			open[s] = true
			time.Sleep(7 * time.Millisecond)
			for s := range open {
				if len(open) > 30+i%30 {
					require.NoError(t, s.Close())
					delete(open, s)
				}
			}
		}
		for s := range open {
			require.NoError(t, s.Close())
		}
		for _, c := range b.engine.clocks.all {
			assert.Empty(t, c.queue)
		}
		b.rtp.waiting()
		time.Sleep(time.Second)
		assert.Empty(t, b.rtp.waiting(), "nothing is sent after Close")
	})
}

// TestAClockEndsSoonAfterItsLastSession has it wait for another one meanwhile.
func TestAClockEndsSoonAfterItsLastSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := several(t, 2)
		c := b.engine.clocks.all[0]
		runs := func() bool {
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.running
		}
		all[0].Configure(params())
		time.Sleep(lingering + 5*time.Millisecond)
		require.NoError(t, all[0].Close())
		time.Sleep(lingering - 100*time.Millisecond)
		require.True(t, runs())

		begun := time.Now()
		all[1].Configure(params())
		require.True(t, runs())
		sent := b.rtp.waiting()
		require.NotEmpty(t, sent)
		assert.Equal(t, begun, sent[len(sent)-1].at, "a session that comes meanwhile begins at once")
		time.Sleep(5 * time.Millisecond)
		require.NoError(t, all[1].Close())
		time.Sleep(lingering + 100*time.Millisecond)
		assert.False(t, runs())
	})
}
