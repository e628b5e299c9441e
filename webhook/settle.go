package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

const (
	maxRetryAfter = time.Hour       // an application that asks for a longer pause is asked again then
	ledgerTime    = 5 * time.Second // for the ledger to note that a debt is settled
)

var (
	errExpired  = errors.New("too old")
	errInternal = errors.New("internal error")
)

// settle makes one attempt to deliver an event to its host. over: it is delivered, or given up; otherwise pause is how long to wait.
func (o *Outbox) settle(h *destination, d *debt) (pause time.Duration, over bool) {
	failed := o.attempt(d)
	if o.lifetime.Err() != nil && failed != nil {
		return 0, false
	}
	o.told(h, failed)
	switch {
	case failed == nil:
		o.note(d, "delivered", o.ledger.Delivered)
		return 0, true
	case !failed.temporary():
		o.giveUp(d, failed)
		return 0, true
	}
	left := o.cfg.MaxAge - time.Since(d.since)
	if left <= 0 {
		o.giveUp(d, fmt.Errorf("%w: %w", errExpired, failed))
		return 0, true
	}
	round := o.round(d)
	pause = min(o.pause(round, failed), left) // the last attempt is made when the time is over, not before
	o.logFailure(d, round, pause)
	return pause, false
}

// round counts the attempts with a pause behind them.
func (o *Outbox) round(d *debt) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	d.rounds++
	return d.rounds
}

// attempt sends an event to its URL, and if that fails to its fallback URL. The result is of the one that may still be
// worth another attempt.
func (o *Outbox) attempt(d *debt) (failed *DeliveryError) {
	defer func() {
		if v := recover(); v != nil { // an observer's; the other events are not to suffer from it
			o.log.Error("delivery failed inside the node", zap.String("call_id", d.event.CallID),
				zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
			failed = &DeliveryError{EventType: d.event.Type, Err: errInternal}
		}
		if failed != nil {
			o.mu.Lock()
			d.last = failed
			o.mu.Unlock()
		}
	}()
	ctx := o.lifetime
	if d.values != nil {
		ctx = valued{o.lifetime, d.values}
	}
	_, failed = o.client.deliver(ctx, d.target, d.event, manner{earlier: o.count(d)})
	if failed == nil || d.target.Fallback == nil || o.lifetime.Err() != nil {
		return failed
	}
	_, second := o.client.deliver(ctx, d.target.fallback(), d.event, manner{fallback: true, earlier: o.count(d)})
	if second == nil {
		return nil
	}
	second.Before = failed
	if failed.temporary() && !second.temporary() {
		return failed
	}
	return second
}

// count counts an attempt and returns how many there were before it.
func (o *Outbox) count(d *debt) (earlier int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d.attempts++
	return d.attempts - 1
}

// pause is how long to wait before the next attempt: doubled each time, of which the second half is random so that
// those who failed together do not come back together; at least what the application asked for.
func (o *Outbox) pause(round int, failed *DeliveryError) time.Duration {
	full := o.cfg.MinBackoff
	for range round - 1 {
		if full *= 2; full >= o.cfg.MaxBackoff {
			full = o.cfg.MaxBackoff
			break
		}
	}
	jittered := full/2 + rand.N(full/2+1)
	return max(jittered, min(failed.retryAfter, maxRetryAfter))
}

// failer is a ledger that tells an event that was given up from one that was delivered.
type failer interface {
	// Failed notes that the event owed under seq was given up, and why.
	Failed(ctx context.Context, callID string, seq uint64, reason string) error
}

func (o *Outbox) giveUp(d *debt, reason error) {
	o.mu.Lock()
	letter := d.pending()
	o.mu.Unlock()
	letter.LastError = reason.Error()
	o.log.Error("event given up", append(letter.fields(), zap.Time("owed", letter.Owed))...)
	f, ok := o.ledger.(failer)
	if !ok {
		o.note(d, "given up", o.ledger.Delivered) // it needs no more attempts
		return
	}
	o.note(d, "given up", func(ctx context.Context, callID string, seq uint64) error {
		return f.Failed(ctx, callID, seq, letter.LastError)
	})
}

// note tells the ledger what has become of a debt. When it cannot, the event may be delivered once more after a restart,
// which its id tells.
func (o *Outbox) note(d *debt, fate string, tell func(ctx context.Context, callID string, seq uint64) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.lifetime), ledgerTime)
	defer cancel()
	if err := tell(ctx, d.event.CallID, d.seq); err != nil {
		o.log.Error("the ledger could not be told of an event", zap.String("call_id", d.event.CallID),
			zap.String("event_id", d.event.ID), zap.String("fate", fate), zap.Error(err))
	}
}

// logFailure warns of an event's first failure; the others say nothing new.
func (o *Outbox) logFailure(d *debt, round int, pause time.Duration) {
	o.mu.Lock()
	p := d.pending()
	o.mu.Unlock()
	log := o.log.Debug
	if round == 1 {
		log = o.log.Warn
	}
	log("event not delivered yet", append(p.fields(), zap.Duration("next_in", pause))...)
}
