package main

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheHeapDoublesButNotBelowItsFloorAndNotTooOften(t *testing.T) {
	for name, tc := range map[string]struct {
		alive, perSecond uint64
		percent          int
	}{
		"nothing":                              {0, 0, 6400},
		"a node that idles":                    {4 << 20, 0, 1500},
		"half the floor":                       {heapFloor / 2, 0, 100},
		"somewhat less":                        {heapFloor / 4, 0, 300},
		"as much as the floor":                 {heapFloor, 0, 100},
		"many calls":                           {1 << 30, 0, 100},
		"a little below the top":               {heapFloor - 1, 0, 100},
		"a few calls a second":                 {heapFloor / 4, 1 << 20, 300},
		"hundreds of calls a second":           {heapFloor, 32 << 20, 250},
		"more than that":                       {heapFloor, 256 << 20, 400},
		"more, and many are kept in mind":      {256 << 20, 1 << 30, 100},
		"hundreds of calls that do not linger": {heapFloor / 4, 32 << 20, 1000},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.percent, percentFor(tc.alive, tc.perSecond)) })
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

// now returns what a collection has set.
func (c *collection) now() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.percent
}

func TestThePercentageFollowsTheHeap(t *testing.T) {
	percent := own(t)
	newCollection(time.Hour).watch()
	require.Equal(t, percentFor(smallestHeap, 0), percent())

	kept := make([]byte, 2*heapFloor)
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() == usualPercent }, 10*time.Second, 10*time.Millisecond,
		"with much alive the heap doubles")
	kept[0] = 1
	kept = nil
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() > usualPercent }, 10*time.Second, 10*time.Millisecond,
		"with little it grows to the floor")
}

func TestLittleGarbageIsKeptWhenItIsCalm(t *testing.T) {
	percent := own(t)
	c := newCollection(time.Hour)
	at := c.last
	for _, step := range []struct {
		after time.Duration
		calm  bool
	}{{time.Second, false}, {time.Hour, true}, {time.Hour, true}, {time.Hour - time.Second, false}, {time.Hour, true}} {
		at = at.Add(step.after)
		c.collected(at)
		assert.Equal(t, step.calm, c.now() == calmPercent, "%v after the collection before", step.after)
		assert.Equal(t, c.now(), percent())
	}
}

func TestMemoryIsGivenBackOnceItIsCalmAndAgainWhenNothingLingers(t *testing.T) {
	_ = own(t)
	collections := func() uint64 {
		sample := [1]metrics.Sample{{Name: "/gc/cycles/forced:gc-cycles"}}
		metrics.Read(sample[:])
		return sample[0].Value.Uint64()
	}
	before := collections()
	c := newCollection(10 * time.Millisecond)
	c.watch()
	require.Eventually(t, func() bool { return c.now() == calmPercent }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.settled }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return collections() >= before+2 }, 10*time.Second, time.Millisecond)

	busy := newCollection(time.Hour) // which nobody tells of collections but this test
	busy.settled = true
	busy.collected(busy.last.Add(time.Millisecond))
	assert.False(t, busy.settled)
}
