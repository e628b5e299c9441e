package node

import (
	"context"
	"time"

	"github.com/callengine/callengine/verbs"
	"go.uber.org/zap"
)

// The events of what a drain had to end get drainGrace more. The first half of it belongs to the synchronous ones still
// on their way (a referComplete), so that the disconnect events after them have the other half.
const (
	drainGrace  = 5 * time.Second
	drainCutoff = drainGrace / 2

	// recordingsGrace is for the recordings of the calls that ended to reach their place, and their events the outbox.
	recordingsGrace = time.Second
)

// Drain stops taking calls and returns when the live ones have ended and their events are delivered. Calls that are up
// when drain_timeout is over are hung up, with the cause "error"; undelivered events get five seconds more, and what is
// then left is logged: with durable state it stays owed. The end of ctx ends every wait at once.
func (n *Node) Drain(ctx context.Context) {
	idle := n.gate.drain()
	n.log.Info("draining", zap.Duration("drain_timeout", n.cfg.DrainTimeout))
	wait(ctx, idle, n.cfg.DrainTimeout)

	grace, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	n.drainIt(verbs.ErrDrained)
	wait(grace, idle, drainCutoff)
	n.closeIt(errClosed)
	wait(grace, idle, drainGrace)
	if left := n.scribe.owed.wait(grace); left > 0 {
		n.log.Warn("what was said last on calls is not transcribed before the node ends", zap.Int("transcriptions", left))
	}
	settled, enough := context.WithTimeout(grace, recordingsGrace) // a store that is down must not take the events' time
	defer enough()
	if left := n.keeper.idle(settled); left > 0 {
		n.log.Warn("recordings wait for their store, until the next start", zap.Int("recordings", left))
	}
	switch left := n.outbox.Drain(grace); {
	case left == 0:
	case n.durable != nil:
		n.log.Warn("events stay owed until the node starts again", zap.Int("events", left))
	default:
		n.log.Error("events were not delivered before the node ended", zap.Int("events", left))
	}
	n.tracing.flush(grace)
	n.log.Info("drained")
}

// wait waits until done is closed, ctx has ended, or d has passed.
func wait(ctx context.Context, done <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}
