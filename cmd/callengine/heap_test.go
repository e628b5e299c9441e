package main

import (
	"net"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCollectionsTakeAHundredthOfTheTimeWithinBounds(t *testing.T) {
	for name, tc := range map[string]struct {
		alive, perSecond, usual uint64
		percent                 int
	}{
		"nothing":                            {0, 0, 0, 400},
		"a node that idles":                  {4 << 20, 0, 0, 100},
		"… with calls that wait":             {64 << 20, 0, 0, leastPercent},
		"a few calls a second":               {4 << 20, 1 << 20, 1 << 20, 100},
		"… and calls that wait":              {64 << 20, 1 << 20, 1 << 20, leastPercent},
		"calls come that stay":               {32 << 20, 8 << 20, 8 << 20, 40},
		"… and for a moment many of them":    {32 << 20, 32 << 20, 8 << 20, 160},
		"hundreds of calls a second":         {16 << 20, 32 << 20, 32 << 20, 640},
		"… and what is kept of them in mind": {40 << 20, 64 << 20, 64 << 20, 1280},
		"more than that":                     {64 << 20, 1 << 30, 1 << 30, 800},
		"… and many are kept in mind":        {1 << 30, 1 << 30, 1 << 30, 100},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.percent, percentFor(tc.alive, tc.perSecond, tc.usual)) })
	}
}

// own is the percentage of the process. Nothing runs beside these tests, and it is set back when the test ends.
func own(t *testing.T) func() int {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	return func() int {
		sample := [1]metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample[:])
		return int(sample[0].Value.Uint64())
	}
}

func TestThePercentageFollowsTheHeap(t *testing.T) {
	percent := own(t)
	newCollection(time.Hour, debug.FreeOSMemory).watch()
	require.Equal(t, percentFor(leastGarbage, firstPerSecond, 0), percent())

	kept := make([]byte, 16*leastGarbage)
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() == leastPercent }, 10*time.Second, 10*time.Millisecond,
		"little gathers beside much that is alive")
	kept[0] = 1
	kept = nil
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() > leastPercent }, 10*time.Second, 10*time.Millisecond,
		"a collection is not worth it for less")
}

func TestMemoryIsGivenBackWhileItIsCalmUntilNothingLingers(t *testing.T) {
	_ = own(t)
	for range 100 { // what was allocated before is no haste of now
		runtime.KeepAlive(make([]byte, 2<<20))
	}
	synctest.Test(t, func(t *testing.T) {
		began, due := time.Now(), make(chan struct{})
		c := newCollection(calm, func() { due <- struct{}{} })
		wait := func(d time.Duration) (given int) {
			over := time.After(d + time.Millisecond)
			for {
				select {
				case <-due:
					given++
					c.collected(time.Now())
				case <-over:
					return given
				}
			}
		}
		assert.Equal(t, 1, wait(calm))
		assert.Equal(t, lingering-1, wait(24*time.Hour))
		c.collected(time.Now())
		assert.Zero(t, wait(24*time.Hour), "little has happened")

		for range 10 {
			c.collected(time.Now())
			assert.Zero(t, wait(calm/2), "it is busy")
		}
		assert.Equal(t, lingering, wait(24*time.Hour))

		read, busy := c.read, time.Since(began)+10*calm+calm/4
		c.read = func() (alive, allocated uint64) {
			alive, allocated = read()
			return alive, allocated + uint64(2*relaxed*min(time.Since(began), busy).Seconds())
		}
		c.collected(time.Now())
		assert.Zero(t, wait(10*calm), "it is busy, if without a collection")
		assert.Equal(t, lingering, wait(24*time.Hour))
	})
}

func TestSocketsAreLookedAtWhileABusyNodeSweeps(t *testing.T) {
	_ = own(t)
	var allocated atomic.Uint64
	var busy atomic.Bool
	busy.Store(true)
	swept := make(chan struct{}, 100)
	c := newCollection(time.Hour, func() {})
	defer c.settle.Stop()
	c.swept = func() { swept <- struct{}{} }
	c.read = func() (uint64, uint64) {
		if busy.Load() {
			allocated.Add(1 << 40)
		}
		return leastGarbage, allocated.Load()
	}
	c.watch()
	require.Eventually(t, func() bool { runtime.GC(); return len(swept) > 0 }, 10*time.Second, 10*time.Millisecond)
	busy.Store(false)
	c.collected(time.Now())
	assert.False(t, c.collected(time.Now()), "little has happened since")
}

// BenchmarkSocketsWhileSwept is a datagram that comes while somebody yields and runs on all the time, as Go's sweeper does.
func BenchmarkSocketsWhileSwept(b *testing.B) {
	for name, look := range map[string]bool{"looked-at": true, "left-alone": false} {
		b.Run(name, func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
			require.NoError(b, err)
			var over atomic.Bool
			var wg sync.WaitGroup
			wg.Go(func() {
				for !over.Load() {
					runtime.Gosched()
				}
			})
			came := make(chan struct{})
			wg.Go(func() {
				room := make([]byte, 10)
				for {
					if _, _, err := conn.ReadFrom(room); err != nil {
						return
					}
					came <- struct{}{}
				}
			})
			if look {
				wg.Go(func() {
					for !over.Load() {
						lookAtSockets()
					}
				})
			}
			for b.Loop() {
				_, err := conn.WriteTo([]byte("x"), conn.LocalAddr())
				require.NoError(b, err)
				<-came
			}
			over.Store(true)
			_ = conn.Close()
			wg.Wait()
		})
	}
}

func TestAMomentOfHasteMakesNoBusyNode(t *testing.T) {
	_ = own(t)
	synctest.Test(t, func(t *testing.T) {
		const alive, rate = 32 << 20, 4 * relaxed
		began := time.Now()
		c := newCollection(calm, func() {})
		defer c.settle.Stop()
		c.read = func() (uint64, uint64) { return alive, uint64(rate * time.Since(began).Seconds()) }
		c.allocated = 0
		time.Sleep(sustained / 8)
		c.collected(time.Now())
		assert.Equal(t, percentFor(alive, rate, rate/8), c.percent)
		time.Sleep(sustained)
		c.collected(time.Now())
		assert.Equal(t, percentFor(alive, rate, rate), c.percent)
		assert.Greater(t, percentFor(alive, rate, rate), percentFor(alive, rate, rate/8))
	})
}
