package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// OutboxConfig says for how long and how often delivery is tried.
type OutboxConfig struct {
	MaxAge     time.Duration // after which an event is given up; 0: 24 h
	MinBackoff time.Duration // before the second attempt; it doubles with each; 0: 1 s
	MaxBackoff time.Duration // between attempts at most; 0: 5 min
}

// Outbox delivers asynchronous events: each is owed in the ledger until an application has taken it, in the order of its
// call. A call whose application is slow or away delays no other call's events. It is safe for concurrent use.
//
// An attempt that fails for a reason that may pass is repeated with growing pauses: no connection, a time-out, a broken
// reply, the statuses 408, 425, 429 (whose Retry-After is honoured) and 5xx. Any other status is final, as is the
// configuration's refusal, and the end of the event's age: the event is a dead letter then, logged at error.
type Outbox struct {
	client *Client
	ledger Ledger
	cfg    OutboxConfig
	log    *zap.Logger

	lifetime context.Context // ends with Close
	end      context.CancelFunc
	hurry    chan struct{} // closed by the first Drain: pauses are cut short from then on
	drain    sync.Once
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	queues map[string][]*debt // by call; the first of a queue is under way
	idle   chan struct{}      // closed when there is nothing owed any more; replaced when there is again
	dead   []DeadLetter
}

// OutboxOption replaces a default of [NewOutbox].
type OutboxOption func(*Outbox)

// WithOutboxLogger sets the logger. Default: none.
func WithOutboxLogger(l *zap.Logger) OutboxOption { return func(o *Outbox) { o.log = l } }

// NewOutbox makes an outbox that sends through c and keeps what it owes in l. A ledger that also has a method
// Failed(ctx, callID, seq, reason) error is told by it of the events that were given up, instead of by Delivered.
func NewOutbox(c *Client, l Ledger, cfg OutboxConfig, opts ...OutboxOption) *Outbox {
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = 24 * time.Hour
	}
	if cfg.MinBackoff <= 0 {
		cfg.MinBackoff = time.Second
	}
	if cfg.MaxBackoff <= 0 {
		cfg.MaxBackoff = 5 * time.Minute
	}
	cfg.MaxBackoff = max(cfg.MaxBackoff, cfg.MinBackoff)
	o := &Outbox{
		client: c, ledger: l, cfg: cfg, log: zap.NewNop(),
		hurry: make(chan struct{}), queues: map[string][]*debt{}, idle: make(chan struct{}),
	}
	close(o.idle)
	o.lifetime, o.end = context.WithCancel(context.Background())
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// debt is an event that is owed.
type debt struct {
	seq    uint64
	event  Event
	target Target
	since  time.Time
	values context.Context // of the sender, for who follows the requests; it ends nothing

	// Guarded by the outbox's lock.
	attempts int
	last     *DeliveryError // of the last attempt
	next     time.Time      // when the next one is due; zero: now
}

// envelope is a debt as the ledger keeps it: all that delivery needs.
type envelope struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	CallID string          `json:"callId"`
	Target Target          `json:"target"`
	Body   json.RawMessage `json:"body"`
}

// Send takes charge of an event: when it returns nil, the event is owed in the ledger and on its way. It does not wait
// for the application. After [Outbox.Close] the event is owed all the same, but nobody delivers it any more.
func (o *Outbox) Send(ctx context.Context, to Target, ev Event) error {
	packed, err := json.Marshal(envelope{ID: ev.ID, Type: ev.Type, CallID: ev.CallID, Target: to, Body: ev.Body})
	if err != nil {
		return fmt.Errorf("owe %s: %w", ev.Type, err)
	}
	seq, err := o.ledger.Owe(ctx, ev.CallID, packed)
	if err != nil {
		return fmt.Errorf("owe %s: %w", ev.Type, err)
	}
	o.queue(&debt{seq: seq, event: ev, target: to, since: time.Now(), values: context.WithoutCancel(ctx)})
	return nil
}

// queue puts a debt in its place: events leave in the order of the ledger, whoever came first to this line.
func (o *Outbox) queue(d *debt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queues) == 0 {
		o.idle = make(chan struct{})
	}
	q, busy := o.queues[d.event.CallID]
	at := len(q)
	for at > 1 && q[at-1].seq > d.seq {
		at--
	}
	o.queues[d.event.CallID] = slices.Insert(q, at, d)
	if !busy && !o.closed {
		o.running.Go(func() { o.deliverAll(d.event.CallID) })
	}
}

// deliverAll is the goroutine of a call that has events to deliver; it ends with the last of them.
func (o *Outbox) deliverAll(callID string) {
	grow(false)
	for d := o.first(callID); d != nil; d = o.after(callID) {
		if !o.settle(d) {
			return // it stays owed
		}
	}
}

func (o *Outbox) first(callID string) *debt {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queues[callID][0]
}

// after removes the first debt of a call and returns the next, or nil when there is none.
func (o *Outbox) after(callID string) *debt {
	o.mu.Lock()
	defer o.mu.Unlock()
	if q := o.queues[callID]; len(q) > 1 {
		q[0] = nil
		o.queues[callID] = q[1:]
		return q[1]
	}
	delete(o.queues, callID)
	if len(o.queues) == 0 {
		close(o.idle)
	}
	return nil
}

// Drain waits until nothing is owed any more, or ctx ends, and returns how many events are still undelivered, each of
// which it logs. Pauses between attempts are cut short from now on: there may be no later.
func (o *Outbox) Drain(ctx context.Context) (undelivered int) {
	o.drain.Do(func() { close(o.hurry) })
	for {
		o.mu.Lock()
		idle, owed := o.idle, len(o.queues) > 0
		o.mu.Unlock()
		if !owed {
			return 0
		}
		select {
		case <-idle:
			continue
		case <-ctx.Done():
		case <-o.lifetime.Done():
		}
		left := o.Pending()
		for _, p := range left {
			o.log.Warn("event not delivered", p.fields()...)
		}
		return len(left)
	}
}

// Close ends the attempts under way and returns when the outbox's goroutines have ended. What is undelivered stays owed
// in the ledger. It is idempotent.
func (o *Outbox) Close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.end()
	o.running.Wait()
}
