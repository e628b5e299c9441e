package node

import (
	"sync"
	"time"

	"github.com/callengine/callengine/sipstack"
)

// gate decides whether there is room for a new call, before anything is done for it, and counts those that were let in.
//
// It is asked twice: Full by the SIP stack, when an INVITE has come off the wire, and enter when the call is about to
// begin, which takes the room.
type gate struct {
	limits  gateLimits
	metrics *metrics
	memory  *memoryGauge
	backlog *backlogGauge

	mu         sync.Mutex
	draining   bool
	idle       chan struct{} // closed when draining and no call is left
	live       int
	unanswered int
	begun      []time.Time // when the newest calls began, in a ring of MaxCallsPerSecond
	oldest     int         // place in begun
	waits      map[string]*webhookGauge
}

// gateLimits is what users set; 0 is no limit.
type gateLimits struct {
	calls, perSecond, unanswered int
	webhook                      time.Duration
}

// Why a call is turned away, as metrics and /readyz have it.
const (
	fullDraining   = "draining"
	fullCalls      = "max_calls"
	fullRate       = "max_calls_per_second"
	fullUnanswered = "max_unanswered"
	fullMemory     = "memory"
	fullBacklog    = "overload"
	fullWebhook    = "webhook_latency"
)

// whyFull says it to people.
var whyFull = map[string]string{
	fullDraining: "draining", fullCalls: "sip.max_calls reached", fullRate: "sip.max_calls_per_second reached",
	fullUnanswered: "sip.max_unanswered reached", fullMemory: "memory is near GOMEMLIMIT",
	fullBacklog: "more work waits than can be done in time",
}

// retryAfter is how long, in seconds, a caller that was turned away for lack of room should wait.
const retryAfter = 5

func newGate(cfg Config, m *metrics) *gate {
	g := &gate{
		limits: gateLimits{
			calls: cfg.SIP.MaxCalls, perSecond: cfg.SIP.MaxCallsPerSecond, unanswered: cfg.SIP.MaxUnanswered,
			webhook: cfg.Webhook.MaxLatency,
		},
		metrics: m, memory: newMemoryGauge(), idle: make(chan struct{}), waits: map[string]*webhookGauge{},
	}
	g.begun = make([]time.Time, g.limits.perSecond)
	if cfg.SIP.OverloadControl {
		g.backlog = newBacklogGauge()
	}
	for _, app := range cfg.Applications {
		g.waits[app.ID] = &webhookGauge{most: g.limits.webhook}
	}
	return g
}

// Full implements [sipstack.Door].
func (g *gate) Full(waited time.Duration) int {
	reason := g.why(time.Now(), func() bool { return g.backlog.full(waited) })
	if reason == "" {
		return 0
	}
	g.metrics.refused(reason)
	return retryAfter
}

// Closing implements [sipstack.Door].
func (g *gate) Closing() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.draining
}

// reason says why no call would be let in now; "": one would. It may be asked as often as anybody likes.
func (g *gate) reason(now time.Time) string { return g.why(now, g.backlog.refuses) }

func (g *gate) why(now time.Time, backlog func() bool) string {
	g.mu.Lock()
	reason := g.counted(now)
	g.mu.Unlock()
	switch {
	case reason != "":
		return reason
	case g.memory.full(now):
		return fullMemory
	case backlog():
		return fullBacklog
	}
	return ""
}

// counted is what the counts say; it is called with the lock held.
func (g *gate) counted(now time.Time) string {
	switch l := g.limits; {
	case g.draining:
		return fullDraining
	case l.calls > 0 && g.live >= l.calls:
		return fullCalls
	case l.unanswered > 0 && g.unanswered >= l.unanswered:
		return fullUnanswered
	case l.perSecond > 0 && !g.begun[g.oldest].IsZero() && now.Sub(g.begun[g.oldest]) < time.Second:
		return fullRate
	}
	return ""
}

// enter takes room for a call of an application. Its error, the refusal, is for the caller.
func (g *gate) enter(application string, now time.Time) (*ticket, error) {
	g.mu.Lock()
	reason := g.counted(now)
	if w := g.waits[application]; reason == "" && w != nil && w.full(now) {
		reason = fullWebhook
	}
	if reason == "" {
		g.live++
		g.unanswered++
		if len(g.begun) > 0 {
			g.begun[g.oldest] = now
			g.oldest = (g.oldest + 1) % len(g.begun)
		}
	}
	g.mu.Unlock()
	if reason == "" {
		return &ticket{gate: g}, nil
	}
	g.metrics.refused(reason)
	return nil, &sipstack.StatusError{Method: "INVITE", Code: 503, RetryAfter: retryAfter}
}

// readmit takes room for a call that another process had let in, whatever the limits say.
func (g *gate) readmit(answered bool) *ticket {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live++
	if !answered {
		g.unanswered++
	}
	return &ticket{gate: g, answered: answered}
}

// waited tells how long an application took to answer the event of a new call.
func (g *gate) waited(application string, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w := g.waits[application]; w != nil {
		w.add(d, time.Now())
	}
}

// drain stops letting calls in. The channel is closed when the last one has ended.
func (g *gate) drain() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.draining {
		g.draining = true
		g.tellIdle()
	}
	return g.idle
}

// tellIdle is called with the lock held.
func (g *gate) tellIdle() {
	if g.draining && g.live == 0 {
		select {
		case <-g.idle:
		default:
			close(g.idle)
		}
	}
}

// ticket is the room of one call.
type ticket struct {
	gate     *gate
	answered bool // guarded by the gate's lock
}

// answer says that the call waits no longer.
func (t *ticket) answer() {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	if !t.answered {
		t.answered = true
		t.gate.unanswered--
	}
}

// leave gives the room back.
func (t *ticket) leave() {
	t.answer()
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	t.gate.live--
	t.gate.tellIdle()
}
