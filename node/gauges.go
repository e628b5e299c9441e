package node

import (
	"math"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"sync"
	"time"
)

// memoryGauge looks at how much of GOMEMLIMIT is in use.
type memoryGauge struct {
	read func() (used, limit uint64)

	mu     sync.Mutex
	looked time.Time
	over   bool
}

const (
	// memoryFull is the part of GOMEMLIMIT above which no call is let in: beyond it the garbage collector runs all the
	// time.
	memoryFull = 0.8
	// memoryEvery is how old a reading may be.
	memoryEvery = 100 * time.Millisecond
)

func newMemoryGauge() *memoryGauge { return &memoryGauge{read: readMemory} }

func (g *memoryGauge) full(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.looked.IsZero() || now.Sub(g.looked) >= memoryEvery {
		used, limit := g.read()
		g.over, g.looked = float64(used) > memoryFull*float64(limit), now
	}
	return g.over
}

// readMemory returns what is in use of the memory that GOMEMLIMIT bounds: what the garbage collector found alive when it
// last looked, and all that is no heap. Garbage that waits for it is none of it.
func readMemory() (used, limit uint64) {
	limit = uint64(debug.SetMemoryLimit(-1))
	if limit == math.MaxInt64 {
		return 0, limit
	}
	samples := []runtimemetrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	runtimemetrics.Read(samples)
	used = samples[0].Value.Uint64() + samples[1].Value.Uint64()
	for _, s := range samples[2:] {
		used -= min(used, s.Value.Uint64())
	}
	return used, limit
}

// backlogGauge looks at how much work waits for a processor: goroutines that could run. The node's own work does that when
// it is too much; what waits for an application or a phone never does. nil: nobody looks.
//
// A call that finds too much waiting is let in as long as no more of the calls before it did than did not. A burst, a collection of
// garbage or a neighbour who takes the processor for a moment are forgiven by that, below the capacity all of them are. Beyond it
// most calls find too much waiting, and from then on every one of these is turned away until there are fewer again: those that are
// let in wait for nobody but each other. So is a call whose INVITE waited for long itself: others come that need not have, and callers
// that are let in are answered soon. It is calls that are counted, not time: under overload the socket is read in batches, before
// each of which all seems calm. When the processors have time left it is over all the same: calls that come many at a time find others
// waiting, however few they are.
type backlogGauge struct {
	waiting func() uint64
	most    uint64         // that may wait
	strict  uint64         // … under overload
	burst   int            // calls that are let in although they find more waiting
	left    func() float64 // the part of the processors' time that was left of late

	mu   sync.Mutex
	owed int  // calls that found too much waiting, less those that did not: from 0 to burst
	over bool // too much is asked of the node
}

const (
	// backlogPerCPU is how many goroutines may wait for each processor; the wait behind them is half a millisecond or so.
	backlogPerCPU = 3
	// strictPerCPU is how many may under overload.
	strictPerCPU = 2
	// backlogBurst is how many calls per processor may come in a burst beyond that.
	backlogBurst = 48
	// longestWait is how long an INVITE may have lain in its socket under overload.
	longestWait = time.Millisecond
	// sparePart is the part of the processors' time that has to be left for an overload to be over: while calls are turned away some is.
	sparePart = 0.3
)

func newBacklogGauge() *backlogGauge {
	cpus := runtime.GOMAXPROCS(0)
	return &backlogGauge{
		waiting: runnable, most: uint64(backlogPerCPU * cpus), strict: uint64(strictPerCPU * cpus), burst: backlogBurst * cpus,
		left: newSpareGauge().left,
	}
}

// runnable returns how many goroutines wait for a processor.
func runnable() uint64 {
	sample := [1]runtimemetrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}}
	runtimemetrics.Read(sample[:])
	return sample[0].Value.Uint64()
}

// full reports whether a call that has come, and whose INVITE has waited in the socket, is to be turned away.
func (g *backlogGauge) full(waited time.Duration) bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	over := g.over
	g.mu.Unlock()
	rested := over && g.left() > sparePart // what the system says is read without the lock
	g.mu.Lock()
	defer g.mu.Unlock()
	if rested {
		g.over, g.owed = false, 0
	}
	if !g.tooMuch() && !(g.over && waited > longestWait) {
		g.owed = max(0, g.owed-1)
		if g.owed <= g.burst/2 {
			g.over = false
		}
		return false
	}
	g.over = g.spent()
	g.owed = min(g.burst, g.owed+1)
	return g.over
}

// tooMuch reports whether more waits than may. It is called with the lock held.
func (g *backlogGauge) tooMuch() bool {
	if g.over {
		return g.waiting() > g.strict
	}
	return g.waiting() > g.most
}

// spent reports whether no more calls are let in than find little waiting. It is called with the lock held.
func (g *backlogGauge) spent() bool { return g.over || g.owed >= g.burst }

// refuses reports whether a call would be turned away if it came now. Asking changes nothing.
func (g *backlogGauge) refuses() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tooMuch() && g.spent()
}

// webhookGauge is how long an application took of late to answer the event of a new call.
type webhookGauge struct {
	most time.Duration // 0: it may take any time

	average time.Duration
	newest  time.Time // sample
	probe   time.Time // when a call was let in to see whether it is better
}

const (
	// webhookWeight is the weight of the newest sample in the average.
	webhookWeight = 0.2
	// webhookProbe is how often a call is let in while an application is too slow: without one nobody would know when it
	// is well again.
	webhookProbe = time.Second
	// webhookForget is how old the newest sample may be to say anything.
	webhookForget = 30 * time.Second
)

func (g *webhookGauge) add(d time.Duration, now time.Time) {
	if now.Sub(g.newest) > webhookForget {
		g.average = 0
	}
	g.average += time.Duration(webhookWeight * float64(d-g.average))
	g.newest = now
}

// full reports whether a call is to be refused. Every webhookProbe it lets one in.
func (g *webhookGauge) full(now time.Time) bool {
	if g.most == 0 || g.average <= g.most || now.Sub(g.newest) > webhookForget {
		return false
	}
	if now.Sub(g.probe) >= webhookProbe {
		g.probe = now
		return false
	}
	return true
}
