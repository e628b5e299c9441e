package main

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheHeapDoublesButNotBelowItsFloor(t *testing.T) {
	for name, tc := range map[string]struct {
		alive   uint64
		percent int
	}{
		"nothing":                {0, 6400},
		"a node that idles":      {4 << 20, 1500},
		"half the floor":         {heapFloor / 2, 100},
		"somewhat less":          {heapFloor / 4, 300},
		"as much as the floor":   {heapFloor, 100},
		"many calls":             {1 << 30, 100},
		"a little below the top": {heapFloor - 1, 100},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.percent, percentFor(tc.alive)) })
	}
}

// The percentage is the process's own, so nothing runs beside this test.
func TestThePercentageFollowsTheHeap(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	percent := func() int {
		sample := [1]metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample[:])
		return int(sample[0].Value.Uint64())
	}
	collectFromFloor()
	require.Equal(t, percentFor(smallestHeap), percent())

	kept := make([]byte, 2*heapFloor)
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() == usualPercent }, 10*time.Second, 10*time.Millisecond,
		"with much alive the heap doubles")
	kept[0] = 1
	kept = nil
	require.Eventually(t, func() bool { debug.FreeOSMemory(); return percent() > usualPercent }, 10*time.Second, 10*time.Millisecond,
		"with little it grows to the floor")
}
