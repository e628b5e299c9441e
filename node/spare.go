package node

import (
	"sync"
	"time"
)

// spareGauge tells whether the processors had time left of late: whether this process used little of them, and they had nothing to do
// for anybody else, a hypervisor that takes them away included.
type spareGauge struct {
	used, idle func() (d time.Duration, cpus int) // ever: CPU time of this process; time without work of the processors it may use. 0 cpus: not known

	mu         sync.Mutex
	work, rest share
}

// share is the part of the processors' time that something took of late.
type share struct {
	every time.Duration
	at    time.Time
	taken time.Duration // up to then
	part  float64       // of the time before that
}

const (
	// busyPart is the part of the processors that a busy process uses.
	busyPart = 0.85
	// workEvery is how often this process's own share is looked at, and restEvery how often that of everybody, which is counted in
	// hundredths of a second.
	workEvery, restEvery = 20 * time.Millisecond, 500 * time.Millisecond
	// stale is how long ago the last look may be at most for there to be a part.
	stale = time.Second
)

func newSpareGauge() *spareGauge {
	return &spareGauge{used: usedTime, idle: idleTime(), work: share{every: workEvery}, rest: share{every: restEvery}}
}

// left is the part of the processors' time that was left: none where that is not known, and none as soon as this process is busy. Who
// has not asked for a while has to ask again half a second later: what was before is of no interest.
func (g *spareGauge) left() float64 {
	now := time.Now()
	work, rest := g.look(&g.work, now, g.used), g.look(&g.rest, now, g.idle)
	if work >= busyPart {
		return 0
	}
	return rest
}

// look returns the part of a share, of which it reads more when it is time. One caller reads; those that come meanwhile do not wait.
func (g *spareGauge) look(s *share, now time.Time, read func() (time.Duration, int)) float64 {
	g.mu.Lock()
	since, before, part := now.Sub(s.at), s.taken, s.part
	if since < s.every {
		g.mu.Unlock()
		return part
	}
	s.at = now
	g.mu.Unlock()
	taken, cpus := read()
	if part = 0; cpus > 0 && since < stale {
		part = float64(taken-before) / float64(since) / float64(cpus)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.taken, s.part = taken, part
	return part
}
