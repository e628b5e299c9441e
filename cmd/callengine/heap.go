package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// heapFloor is how large the heap, in bytes, becomes at least before garbage is collected. A node that begins and ends
	// calls leaves 50 MB of garbage a second and keeps little: measured by what it keeps, it would collect all the time.
	heapFloor = 64 << 20
	// usualPercent is GOGC's default: the heap may double.
	usualPercent = 100
	// smallestHeap is what Go takes the heap for before it has collected once, at the usual percentage.
	smallestHeap = 4 << 20

	// calm is how long after a collection there is none in a node in which little happens, however many calls wait there.
	calm = 10 * time.Second
	// calmPercent holds then: collections are rare anyway, and memory that a busier time has left goes back to the system.
	calmPercent = 25
)

// collectFromFloor has garbage collected when the heap has doubled, as ever, but not before it is as large as heapFloor, and
// earlier once it is calm. It is for the process as a whole, once, and only where nobody has set GOGC.
func collectFromFloor() { newCollection(calm).watch() }

// percentFor is the percentage of growth that leads from what is alive to the floor.
func percentFor(alive uint64) int {
	if alive >= heapFloor {
		return usualPercent
	}
	return max(usualPercent, int((heapFloor-alive)*100/max(alive, 1<<20)))
}

// collection sets the percentage anew after each collection of garbage.
type collection struct {
	calm time.Duration

	mu      sync.Mutex
	percent int
	last    time.Time
	settle  *time.Timer
}

func newCollection(calm time.Duration) *collection {
	c := &collection{calm: calm, percent: percentFor(smallestHeap), last: time.Now()}
	debug.SetGCPercent(c.percent)
	c.settle = time.AfterFunc(calm, c.settled)
	return c
}

// watch is told of the next collection by being garbage of it.
func (c *collection) watch() {
	runtime.SetFinalizer(&garbage{of: c}, func(g *garbage) {
		g.of.collected(time.Now())
		g.of.watch()
	})
}

// garbage is what nobody refers to.
type garbage struct{ of *collection }

// collected takes note of a collection. One that comes long after the one before says that it is calm.
func (c *collection) collected(now time.Time) {
	sample := [1]metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	percent := percentFor(sample[0].Value.Uint64())
	if now.Sub(c.last) >= c.calm {
		percent = calmPercent
	}
	if percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent) // stops the world for a moment: not without need
	}
	c.last = now
	c.settle.Reset(c.calm)
}

// settled collects once when it has become calm.
func (c *collection) settled() {
	c.mu.Lock()
	busy := c.percent != calmPercent
	c.mu.Unlock()
	if busy {
		runtime.GC()
	}
}
