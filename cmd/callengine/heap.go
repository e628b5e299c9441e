package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// heapFloor is how large the heap, in bytes, becomes at least before garbage is collected. A node that begins and ends
	// calls leaves 50 MB of garbage a second and keeps little: measured by what it keeps, it would collect all the time.
	heapFloor = 64 << 20
	// usualPercent is GOGC's default: the heap may double.
	usualPercent = 100
	// smallestHeap is what Go takes the heap for before it has collected once, at the usual percentage.
	smallestHeap = 4 << 20
)

// collectFromFloor has garbage collected when the heap has doubled, as ever, but not before it is as large as heapFloor. It
// is for the process as a whole, once, and only where nobody has set GOGC.
func collectFromFloor() {
	debug.SetGCPercent(percentFor(smallestHeap))
	(&collection{percent: percentFor(smallestHeap)}).watch()
}

// percentFor is the percentage of growth that leads from what is alive to the floor.
func percentFor(alive uint64) int {
	if alive >= heapFloor {
		return usualPercent
	}
	return max(usualPercent, int((heapFloor-alive)*100/max(alive, 1<<20)))
}

// collection is garbage again and again: so it learns of each collection.
type collection struct{ percent int }

// watch sets the percentage anew after each collection.
func (c *collection) watch() {
	runtime.SetFinalizer(c, func(c *collection) {
		sample := [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(sample[:])
		if p := percentFor(sample[0].Value.Uint64()); p != c.percent {
			c.percent = p
			debug.SetGCPercent(p) // stops the world for a moment: not without need
		}
		c.watch()
	})
}
