package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A node that begins and ends calls leaves 50 MB of garbage a second and keeps little. Measured by what it keeps, as Go does it, it
// would collect all the time; and where it keeps many calls, what it keeps would lie scattered among as much garbage again, which
// holds the memory when it is collected. So it is the time that collections take which counts.
const (
	// interval is how far apart collections are for each MiB that is alive. To find it takes half a millisecond: a hundredth.
	interval = 50 * time.Millisecond
	// relaxed is up to how many bytes are allocated in a second where a collection delays next to nobody. It takes a quarter of a
	// processor or more while it lasts. Where that is in use, calls queue up behind it, so the busier a node is the rarer they are.
	relaxed = 8 << 20
	// A collection has its price even if next to nothing is alive, and little gathers in a node in which little happens; in a busy
	// one garbage is bounded, unless as much is alive.
	leastGarbage = 4 << 20
	mostGarbage  = 512 << 20
	// leastPercent of what is alive may gather in any case.
	leastPercent = 25

	// sweeping is how long a busy node's garbage is swept for, with one processor, and glance how often its sockets are looked at
	// meanwhile: a message waits for no longer.
	sweeping = 50 * time.Millisecond
	glance   = 500 * time.Microsecond

	// firstPerSecond is how much is allocated in a second as long as that is not known.
	firstPerSecond = 32 << 20
	// sustained is how long much has to be allocated until a node is a busy one: a moment of haste makes none.
	sustained = 4 * time.Second

	// calm is how long after a collection there is none in a node in which little happens, however many calls wait there.
	calm = 10 * time.Second
	// lingering is how many times calm has to pass until a busier time has left nothing: what answers repetitions is kept for 32 s
	// (RFC 3261's timer J).
	lingering = 4
)

// collectInTime has garbage collected so often that it takes a hundredth of a processor at most, and what is free returned to the
// system once it is calm. It is for the process as a whole, once, and only where nobody has set GOGC.
func collectInTime() {
	c := newCollection(calm, debug.FreeOSMemory)
	if runtime.GOMAXPROCS(0) == 1 {
		c.swept = lookAtSockets
	}
	c.watch()
}

// lookAtSockets has Go look at the sockets while it sweeps. Its sweeper yields to all that can run, but not to what has come from the
// network: with one processor that is looked at when nothing else can run, or else every 10 ms. It is also looked at when the world
// goes on after a stop, and a stop in which nothing is done takes some microseconds.
func lookAtSockets() {
	for end := time.Now().Add(sweeping); time.Now().Before(end); time.Sleep(glance) {
		runtime.Stack(nil, true)
	}
}

// percentFor is the percentage by which the heap may grow beyond what is alive, where rate bytes were allocated in a second of
// late, and usual ones are by and large.
func percentFor(alive, rate, usual uint64) int {
	alive = max(alive, 1<<20)
	garbage := float64(rate) * interval.Seconds() * float64(alive>>20) * max(1, float64(usual)/relaxed)
	garbage = min(max(garbage, leastGarbage), float64(max(alive, mostGarbage)))
	return max(leastPercent, int(math.Round(garbage*100/float64(alive))))
}

// collection sets the percentage anew after each collection of garbage.
type collection struct {
	calm  time.Duration
	free  func()                           // collects, and returns what is free to the system
	swept func()                           // called when much has been collected and is going to be swept; may be nil
	read  func() (alive, allocated uint64) // bytes: that have to be looked through, and that were allocated ever

	mu        sync.Mutex
	percent   int
	last      time.Time
	allocated uint64  // bytes, up to then
	usual     float64 // bytes in a second
	settle    *time.Timer
	remaining int // times that memory is given back until a busier time has left nothing
}

func newCollection(calm time.Duration, free func()) *collection {
	c := &collection{
		calm: calm, free: free, read: readHeap, percent: percentFor(leastGarbage, firstPerSecond, 0), last: time.Now(), remaining: lingering,
	}
	_, c.allocated = c.read()
	debug.SetGCPercent(c.percent)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle = time.AfterFunc(calm, c.giveBack)
	return c
}

// watch is told of the next collection by being garbage of it.
func (c *collection) watch() {
	runtime.SetFinalizer(&garbage{of: c}, func(g *garbage) {
		busy := g.of.collected(time.Now())
		g.of.watch()
		if busy && g.of.swept != nil {
			g.of.swept()
		}
	})
}

// garbage is what nobody refers to.
type garbage struct{ of *collection }

// collected takes note of a collection. One that comes long after the one before says that it is calm. busy: much was allocated of
// late.
func (c *collection) collected(now time.Time) (busy bool) {
	alive, allocated := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	since := now.Sub(c.last)
	rate := perSecond(allocated-c.allocated, since)
	c.usual += (float64(rate) - c.usual) * min(1, since.Seconds()/sustained.Seconds())
	percent := percentFor(alive, rate, uint64(c.usual))
	c.last, c.allocated = now, allocated
	if percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent) // stops the world for a moment: not without need
	}
	if since < c.calm || rate > relaxed {
		c.remaining = lingering
	}
	if c.remaining > 0 {
		c.settle.Reset(c.calm)
	}
	return rate > relaxed
}

// giveBack collects when it has become calm, and again and again until nothing lingers, and returns to the system what memory is
// free then: in a node in which little happens there may be no collection for long. In a busy one there may be none either.
func (c *collection) giveBack() {
	_, allocated := c.read()
	c.mu.Lock()
	if perSecond(allocated-c.allocated, time.Since(c.last)) > relaxed {
		c.settle.Reset(c.calm)
		c.mu.Unlock()
		return
	}
	c.remaining--
	c.mu.Unlock()
	c.free()
}

func perSecond(bytes uint64, d time.Duration) uint64 {
	return uint64(float64(bytes) / max(d, time.Millisecond).Seconds())
}

// readHeap reads how many bytes a collection looks through, of which GOGC is a percentage, and how many have ever been allocated.
func readHeap() (alive, allocated uint64) {
	samples := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples[:])
	for _, s := range samples[:3] {
		alive += s.Value.Uint64()
	}
	return alive, samples[3].Value.Uint64()
}
