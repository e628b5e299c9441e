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
	PerHost    int           // requests under way to one host at most; 0: 256
}

// Outbox delivers asynchronous events: each is owed in the ledger until an application has taken it, in the order of its
// call. A call whose application is slow or away delays no other call's events; what is owed takes room, but a goroutine
// only while it is on its way. It is safe for concurrent use.
//
// An attempt that fails for a reason that may pass is repeated with growing pauses: no connection, a time-out, a broken
// reply, the statuses 408, 425, 429 (whose Retry-After is honoured) and 5xx. Any other status is final, as is the
// configuration's refusal, and the end of the event's age: the event is a dead letter then, logged at error. The ledger
// has it, and [Outbox.Resend] owes it anew.
type Outbox struct {
	client *Client
	ledger Ledger
	cfg    OutboxConfig
	log    *zap.Logger

	lifetime context.Context // ends with Close
	end      context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	hurry  bool                    // since the first Drain: pauses are short
	queues map[string]*queue       // by call
	hosts  map[string]*destination // by scheme and authority: those with events to deliver
	idle   chan struct{}           // closed when there is nothing owed any more; replaced when there is again
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
	if cfg.PerHost <= 0 {
		cfg.PerHost = 256
	}
	o := &Outbox{
		client: c, ledger: l, cfg: cfg, log: zap.NewNop(),
		queues: map[string]*queue{}, hosts: map[string]*destination{}, idle: make(chan struct{}),
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
	rounds   int            // since the pauses began to grow
	last     *DeliveryError // of the last attempt
	next     time.Time      // when the next one is due; zero: now
}

// envelope is a debt as the ledger keeps it: all that delivery needs.
type envelope struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	CallID string          `json:"callId"`
	Target Target          `json:"target"`
	Body   json.RawMessage `json:"body,omitempty"`
}

// pack returns the envelope as JSON. The body, which is JSON, is put at its end as it is: an encoder would read all of it again.
func (e envelope) pack() ([]byte, error) {
	body := e.Body
	e.Body = nil
	packed, err := json.Marshal(&e)
	if err != nil || len(body) == 0 {
		return packed, err
	}
	return slices.Concat(packed[:len(packed)-1], []byte(`,"body":`), body, []byte{'}'}), nil
}

// Send takes charge of an event: when it returns nil, the event is owed in the ledger and on its way. It does not wait
// for the application. After [Outbox.Close] the event is owed all the same, but nobody delivers it any more.
func (o *Outbox) Send(ctx context.Context, to Target, ev Event) error {
	packed, err := envelope{ID: ev.ID, Type: ev.Type, CallID: ev.CallID, Target: to, Body: ev.Body}.pack()
	if err != nil {
		return fmt.Errorf("owe %s: %w", ev.Type, err)
	}
	seq, err := o.ledger.Owe(ctx, to, ev, packed)
	if err != nil {
		return fmt.Errorf("owe %s: %w", ev.Type, err)
	}
	o.queue(&debt{seq: seq, event: ev, target: to, since: time.Now(), values: context.WithoutCancel(ctx)})
	return nil
}

// Owed is an event as a ledger has it.
type Owed struct {
	CallID string
	Seq    uint64    // by which it is owed
	Since  time.Time // when it was
	Event  []byte    // packed, as it was given to [Ledger].Owe
}

// Resume takes charge of an event that is owed since before the process began. Its id and body are what they were, and so
// is the age at which it is given up. Whoever resumes does so in the ledger's order, and before the same calls send more.
func (o *Outbox) Resume(owed Owed) error {
	d, err := owed.debt()
	if err != nil {
		return err
	}
	o.queue(d)
	return nil
}

// Resend owes an event anew that was given up, under the same id and with the same body, and takes charge of it.
func (o *Outbox) Resend(ctx context.Context, given Owed) error {
	d, err := given.debt()
	if err != nil {
		return err
	}
	if d.seq, err = o.ledger.Owe(ctx, d.target, d.event, given.Event); err != nil {
		return fmt.Errorf("owe %s again: %w", d.event.Type, err)
	}
	d.since = time.Now()
	o.queue(d)
	return nil
}

func (w Owed) debt() (*debt, error) {
	var e envelope
	if err := json.Unmarshal(w.Event, &e); err != nil {
		return nil, fmt.Errorf("event owed by call %s: %w", w.CallID, err)
	}
	return &debt{
		seq: w.Seq, since: w.Since, target: e.Target,
		event: Event{ID: e.ID, Type: e.Type, CallID: w.CallID, Body: e.Body},
	}, nil
}

// Drain waits until nothing is owed any more, or ctx ends, and returns how many events are still undelivered, each of
// which it logs. Pauses between attempts are cut short from now on: there may be no later.
func (o *Outbox) Drain(ctx context.Context) (undelivered int) {
	o.hasten()
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
	for _, h := range o.hosts {
		h.stop()
	}
	o.mu.Unlock()
	o.end()
	o.running.Wait()
}
