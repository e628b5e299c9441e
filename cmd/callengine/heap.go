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

	// often is how far apart collections may be: a busier node lets more garbage gather, up to mostGarbage.
	often       = 5 * time.Second
	mostGarbage = 256 << 20

	// calm is how long after a collection there is none in a node in which little happens, however many calls wait there.
	calm = 10 * time.Second
	// calmPercent holds then: collections are rare anyway.
	calmPercent = 25
	// lingering is how many times calm has to pass until a busier time has left nothing: what answers repetitions is kept for 32 s
	// (RFC 3261's timers J and L).
	lingering = 4
)

// collectFromFloor has garbage collected when the heap has doubled, as ever, but not before it is as large as heapFloor, less often
// in a node that makes much of it, and earlier once it is calm. It is for the process as a whole, once, and only where nobody has set GOGC.
func collectFromFloor() { newCollection(calm).watch() }

// percentFor is the percentage by which the heap may grow beyond what is alive, where so many bytes are allocated in a second.
func percentFor(alive, perSecond uint64) int {
	garbage := max(alive, min(perSecond*uint64(often/time.Second), mostGarbage))
	if alive < heapFloor {
		garbage = max(garbage, heapFloor-alive)
	}
	return max(usualPercent, int(garbage*100/max(alive, 1<<20)))
}

// collection sets the percentage anew after each collection of garbage.
type collection struct {
	calm time.Duration

	mu        sync.Mutex
	percent   int
	last      time.Time
	allocated uint64 // bytes, up to then
	settle    *time.Timer
	settled   bool // nothing is left to be given back
}

func newCollection(calm time.Duration) *collection {
	c := &collection{calm: calm, percent: percentFor(smallestHeap, 0), last: time.Now()}
	debug.SetGCPercent(c.percent)
	c.settle = time.AfterFunc(calm, c.giveBack)
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
	samples := [2]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples[:])
	alive, allocated := samples[0].Value.Uint64(), samples[1].Value.Uint64()
	c.mu.Lock()
	defer c.mu.Unlock()
	since := max(now.Sub(c.last), time.Millisecond)
	percent := percentFor(alive, uint64(float64(allocated-c.allocated)/since.Seconds()))
	c.allocated = allocated
	if since >= c.calm {
		percent = calmPercent
	}
	if percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent) // stops the world for a moment: not without need
	}
	c.last = now
	switch {
	case percent != calmPercent:
		c.settled = false
		c.settle.Reset(c.calm)
	case !c.settled:
		c.settle.Reset(lingering * c.calm)
	}
}

// giveBack collects once when it has become calm, and once more when nothing lingers, and returns to the system what memory is
// free then: in a node in which little happens there may be no collection for long.
func (c *collection) giveBack() {
	c.mu.Lock()
	c.settled = c.percent == calmPercent
	c.mu.Unlock()
	debug.FreeOSMemory()
}
