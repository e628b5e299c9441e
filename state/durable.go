package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// DurableConfig says where journals are kept, and for how long.
type DurableConfig struct {
	Dir        string        // of the store in the process; it is made if there is none
	NATSURL    string        // of a NATS server or cluster with JetStream, which is used instead
	Partition  string        // of the cluster; "": the only one
	SyncAlways bool          // each message is on the disk before it counts as written, not just with the operating system
	Retention  time.Duration // of a call that is over, from its last entry on; 0: 24 h
	MaxBytes   int64         // of journals on disk, from which on the oldest calls that are over go first; 0: 4 GiB
	Memory     int64         // of records of calls that are over in memory, about; 0: 64 MiB
	Reserve    int64         // bytes of the disk that are left alone; 0: 16 MiB
}

const (
	defaultMaxDisk = 4 << 30
	defaultReserve = 16 << 20
	// defaultCalmTime is longer than what belongs together takes on a call.
	defaultCalmTime = 5 * time.Second
)

// Durable is a store on NATS JetStream. Everything that is appended is in memory first, and written behind by one
// goroutine: one message at a time, with all that was appended meanwhile to any call, so that an entry costs the less the
// more there are. Nobody waits for the disk but with an entry that recovery cannot do without ([Entry.Vital]).
//
// Calls on which something happens are read from memory. Of others that are up there is in memory what is looked for all the time,
// and of those that are over the record; their journals are read back.
// A call that is over goes when its time or the space has run out; what is up or owes something never does.
//
// A disk that is full or fails stops nothing: [Durable.Failing] tells, calls go on in memory, and what is missing is
// written when it can be. Make one with [NewDurable], then [Durable.Open] it; it is safe for concurrent use.
type Durable struct {
	index
	cfg   DurableConfig
	names names
	log   *zap.Logger
	codec codec

	dir *stateDir // nil: the store is elsewhere

	linkMu sync.RWMutex // the writer alone changes link
	link   *link

	// Guarded by the index's lock.
	urgent   []*stored // wait for the writer, and somebody for them
	writing  bool      // a message of journals is on its way; what comes meanwhile goes into the next one
	patient  []*stored // wait for the writer until packTime is over
	fresh    []*stored // have values that are out of date
	calm     []calm    // have values that were written, the one since longest first
	pending  map[uint64]receipt
	token    uint64 // of the last message sent
	acked    uint64 // the last message of the journals that was written, in order
	room     *sync.Cond
	failing  error // nil: the disk does what it should
	stalled  bool  // it fails because it is slow: what is on its way may still arrive
	broken   bool  // it fails because the server said so, which does not write any more even if it could
	since    time.Time
	opened   bool
	closed   bool
	figures  Figures
	packing  *time.Timer // wakes the writer for those that are patient
	patience time.Time   // when the first of them began to wait

	wake    chan struct{} // one: the writer looks at everything when it wakes up
	ending  chan struct{}
	working sync.WaitGroup
	scratch bytes.Buffer // of the writer
	noted   notes        // guarded by the index's lock
	replies string       // subject of the answers to what is written
	cycle   cycle        // of the writer

	free     func(dir string) (int64, error) // bytes that can still be written
	calmTime time.Duration                   // after which a call of which there is nothing new need not be in memory
}

var _ Store = (*Durable)(nil)

// DurableOption replaces a default of [NewDurable].
type DurableOption func(*Durable)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) DurableOption { return func(d *Durable) { d.log = l } }

// NewDurable returns a store that is not open. It does nothing with the disk.
func NewDurable(cfg DurableConfig, opts ...DurableOption) (*Durable, error) {
	if cfg.Dir == "" && cfg.NATSURL == "" {
		return nil, errors.New("a durable store needs a directory, or a NATS server")
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxDisk
	}
	if cfg.Reserve <= 0 {
		cfg.Reserve = defaultReserve
	}
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	d := &Durable{
		index: newIndex(cfg.Retention, cfg.Memory), cfg: cfg, names: namesOf(cfg.Partition), log: zap.NewNop(), codec: codec,
		pending: map[uint64]receipt{}, wake: make(chan struct{}, 1), ending: make(chan struct{}),
		free: freeAt, calmTime: defaultCalmTime,
	}
	d.shelf = d
	d.room = sync.NewCond(&d.mu)
	for _, o := range opts {
		o(d)
	}
	return d, nil
}

// Open makes the directory this process's own, starts the server, reads what there is, and begins to write. Its errors
// are a [DirError], or NATS's. Nothing else may be called before it has returned nil, but Close.
func (d *Durable) Open(ctx context.Context) (err error) {
	if d.cfg.NATSURL == "" {
		if d.dir, err = openDir(d.cfg.Dir); err != nil {
			return err
		}
	}
	if err = d.start(ctx); err != nil && d.dir != nil {
		err = errors.Join(err, d.dir.close())
	}
	return err
}

func (d *Durable) start(ctx context.Context) (err error) {
	if d.link, err = d.connect(ctx); err != nil {
		return err
	}
	if err := d.load(ctx); err != nil {
		return errors.Join(err, d.link.close())
	}
	if err := d.listen(); err != nil {
		return errors.Join(err, d.link.close())
	}
	d.opened = true
	d.packing = time.AfterFunc(time.Hour, d.rouse)
	d.packing.Stop()
	d.working.Go(d.write)
	d.working.Go(d.watch)
	d.working.Go(d.tend)
	return nil
}

// keeps reports whether a call has to stay in memory: there is something to do for it, or it is not written.
func (d *Durable) keeps(c *stored) bool {
	return c.busy() || c.disk.fresh || c.disk.filing || c.disk.written < uint64(c.entries.len())
}

// release takes out of memory what is on disk. Of a call that owes an event, or has one that was given up, what it takes
// to deal with that stays; of one whose time is over, nothing.
func (d *Durable) release(c *stored, expired bool) {
	owes := c.held != nil && len(c.owed) > 0
	if c.held != nil {
		d.omit(c.held)
	}
	switch {
	case !owes && expired:
		d.forget(c)
	case owes || c.held != nil && len(c.dead) > 0:
	default:
		c.held, c.sealed = nil, nil
	}
}

// Append implements [Store]. It waits for nothing while the disk fails: what is in memory is written later. It fails for an entry without a call, for an id that is none, and after Close.
func (d *Durable) Append(ctx context.Context, e Entry) (uint64, error) {
	if e.CallID == "" {
		return 0, errNoCall
	}
	if !isKey(e.CallID) {
		return 0, fmt.Errorf("call %q: an id is of letters, digits, - and _", e.CallID)
	}
	return d.add(ctx, e.CallID, func() (*Entry, error) { return &e, nil })
}

var errClosed = errors.New("the store is closed")

// add appends the entry that make returns, with the lock held and the call in memory; nil: none.
func (d *Durable) add(ctx context.Context, callID string, make func() (*Entry, error)) (uint64, error) {
	if err := d.ready(ctx, callID); err != nil {
		return 0, err
	}
	e, err := make()
	if e == nil || err != nil {
		if c := d.calls[callID]; c != nil { // it may have been taken into memory for nothing
			d.settleDown(c)
		}
		d.mu.Unlock()
		return 0, err
	}
	c, seq := d.append(*e)
	d.enlist(c, e.Vital(), seq)
	var wait <-chan struct{}
	if e.awaited() {
		wait = d.wait(c)
	}
	d.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return seq, nil
}

// Await implements [Store]. It waits for nothing while the disk fails.
func (d *Durable) Await(_ context.Context, callID string) error {
	d.mu.Lock()
	var wait <-chan struct{}
	if c := d.calls[callID]; c != nil {
		wait = d.wait(c)
	}
	d.mu.Unlock()
	if wait != nil {
		<-wait
	}
	return nil
}

// wait returns what to wait for until the call's last vital entry is safe; nil: nothing.
func (d *Durable) wait(c *stored) <-chan struct{} {
	if d.failing != nil || d.closed || c.disk.vital <= c.disk.written {
		return nil
	}
	w := waiter{c.disk.vital, make(chan struct{})}
	c.disk.waiting = append(c.disk.waiting, w)
	return w.safe
}

// ready takes the lock, with a known call in memory. On an error the lock is not held.
func (d *Durable) ready(ctx context.Context, callID string) error {
	for {
		d.mu.Lock()
		if d.closed || !d.opened {
			d.mu.Unlock()
			return errClosed
		}
		c := d.calls[callID]
		if c == nil || c.held != nil || d.unseal(c) {
			return nil
		}
		d.mu.Unlock()
		if err := d.revive(ctx, c); err != nil {
			return err
		}
	}
}

// enlist tells the writer of a call with something new.
func (d *Durable) enlist(c *stored, vital bool, seq uint64) {
	if !c.disk.fresh {
		c.disk.fresh = true
		d.fresh = append(d.fresh, c)
	}
	if vital {
		c.disk.vital = seq
	}
	if d.failing != nil {
		return
	}
	if vital {
		d.urgent = append(d.urgent, c)
		d.rouse()
		return
	}
	if !c.disk.listed {
		c.disk.listed = true
		d.patient = append(d.patient, c)
		if len(d.patient) == 1 {
			d.patience = time.Now()
			d.packing.Reset(d.packAfter())
		}
	}
}

// rouse wakes the writer up.
func (d *Durable) rouse() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Owe implements [Store]. It waits until the debt is safe.
func (d *Durable) Owe(ctx context.Context, o Owed) (uint64, error) {
	e, err := o.entry()
	if err != nil {
		return 0, err
	}
	return d.Append(ctx, e)
}

// Delivered implements [Store]. To say it twice changes nothing. A crash may undo it: then the event is delivered again.
func (d *Durable) Delivered(ctx context.Context, callID string, seq uint64) error {
	return d.settle(ctx, callID, seq, WebhookDelivered, "")
}

// Failed implements [Store]. After Delivered it changes nothing.
func (d *Durable) Failed(ctx context.Context, callID string, seq uint64, reason string) error {
	return d.settle(ctx, callID, seq, WebhookFailed, reason)
}

func (d *Durable) settle(ctx context.Context, callID string, seq uint64, event, reason string) error {
	entry, err := d.add(ctx, callID, func() (*Entry, error) { return d.settling(callID, seq, event, reason) })
	if entry == 0 && err == nil {
		return settled(ctx, d, callID, seq)
	}
	return err
}

// Unfinished implements [Store].
func (d *Durable) Unfinished(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unfinished(), nil
}

// Debts implements [Store].
func (d *Durable) Debts(context.Context) ([]Debt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.debts(), nil
}

// DeadLetters implements [Store].
func (d *Durable) DeadLetters(context.Context) ([]DeadLetter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.deadLetters(), nil
}
