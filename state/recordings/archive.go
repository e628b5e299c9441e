package recordings

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ErrNotFound is returned for a recording that is not known, or not any more.
var ErrNotFound = errors.New("recording not found")

// ErrNoMedia is returned for a recording whose sound cannot be had: not yet, or not any more.
var ErrNoMedia = errors.New("the recording's sound cannot be had")

// Store keeps the files of recordings that are over, under keys such as "20260302/r-….wav". Its methods may block for as
// long as ctx lasts.
type Store interface {
	Put(ctx context.Context, key, path, contentType string) error // the file at path
	Get(ctx context.Context, key string) (io.ReadSeekCloser, error)
	Delete(ctx context.Context, key string) error // nil also when there is none
}

// Config is what users set.
type Config struct {
	Dir       string        // made when there is something to keep
	Retention time.Duration // of a recording, from its end on; 0: 30 days
	Workers   int           // that move files and settle; 0: 4
}

// Archive keeps recordings. Make it with [New] and Open it before anything else; all other methods may be called by
// several goroutines at once.
type Archive struct {
	cfg     Config
	log     *zap.Logger
	store   Store // nil: the files stay where they are
	repair  func(path, format string, channels int) (time.Duration, error)
	settle  func(context.Context, Recording) error
	counter func(Result)

	lifetime context.Context // ends with Close
	end      context.CancelFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	known  map[string]*entry
	order  []*entry            // by start time, then id
	byCall map[string][]*entry // in the same order
	queue  []*entry            // to be settled, in turn
	work   chan struct{}       // holds a token while the queue may have something
	busy   int                 // entries in the queue, and in a worker's hands
	idle   chan struct{}       // closed while busy is zero
}

// entry is a recording in the archive.
type entry struct {
	turn chan struct{} // holds a token: whoever has it changes the recording
	Recording
	queued bool // it waits for a worker, or one has it
	again  bool // there is something new since a worker took it
	tries  int  // that failed, in a row; the worker's
}

// Result is what an operator counts.
type Result string

const (
	Uploaded     Result = "uploaded"      // a file was put into the store
	UploadFailed Result = "upload_failed" // an attempt to
)

// Option replaces a default of [New].
type Option func(*Archive)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(a *Archive) { a.log = l } }

// WithStore keeps files that are complete in s. Default: in the archive's folder.
func WithStore(s Store) Option { return func(a *Archive) { a.store = s } }

// WithRepair makes a file exact that a crash has left, and returns its duration. Default: it is an error.
func WithRepair(f func(path, format string, channels int) (time.Duration, error)) Option {
	return func(a *Archive) { a.repair = f }
}

// WithSettle does what a recording's wishes ask for, once it can be had or is known never to be; an error is tried again
// later. Whoever does it keeps what must not be done twice by [Archive.Update]. It is called from the archive's goroutines.
func WithSettle(f func(context.Context, Recording) error) Option {
	return func(a *Archive) { a.settle = f }
}

// WithCounter is told of results. It must not block.
func WithCounter(f func(Result)) Option { return func(a *Archive) { a.counter = f } }

const (
	defaultRetention = 30 * 24 * time.Hour
	defaultWorkers   = 4
)

// New returns an archive. It does nothing before Open.
func New(cfg Config, opts ...Option) *Archive {
	if cfg.Retention <= 0 {
		cfg.Retention = defaultRetention
	}
	if cfg.Workers <= 0 {
		cfg.Workers = defaultWorkers
	}
	a := &Archive{
		cfg: cfg, log: zap.NewNop(), counter: func(Result) {},
		repair: func(string, string, int) (time.Duration, error) { return 0, errors.ErrUnsupported },
		settle: func(context.Context, Recording) error { return nil },
		known:  map[string]*entry{}, byCall: map[string][]*entry{},
		work: make(chan struct{}, cfg.Workers), idle: make(chan struct{}),
	}
	close(a.idle)
	a.lifetime, a.end = context.WithCancel(context.Background())
	for _, o := range opts {
		o(a)
	}
	return a
}

// Open reads what the folder holds and goes on with what was under way: a recording that a crash has interrupted is over,
// files are moved to the store, wishes are done. A description that cannot be read is left alone and logged.
func (a *Archive) Open() error {
	found, err := a.scan()
	if err != nil {
		return err
	}
	a.mu.Lock()
	for _, e := range found {
		a.insert(e)
	}
	a.mu.Unlock()
	for _, e := range found {
		if !e.settled() {
			a.enqueue(e)
		}
	}
	for range a.cfg.Workers {
		a.running.Go(a.labour)
	}
	a.running.Go(a.expire)
	return nil
}

// Close ends the archive's goroutines and returns when they have ended. What is left to do is done after the next Open.
func (a *Archive) Close() {
	a.end()
	a.running.Wait()
}

// insert puts an entry into the index. The lock is held.
func (a *Archive) insert(e *entry) {
	a.known[e.ID] = e
	a.order = place(a.order, e)
	a.byCall[e.CallID] = place(a.byCall[e.CallID], e)
}

// remove takes an entry out of the index. The lock is held.
func (a *Archive) remove(e *entry) {
	delete(a.known, e.ID)
	a.order = without(a.order, e)
	if a.byCall[e.CallID] = without(a.byCall[e.CallID], e); len(a.byCall[e.CallID]) == 0 {
		delete(a.byCall, e.CallID)
	}
}

func older(a, b *entry) int {
	return cmp.Or(a.StartTime.Compare(b.StartTime), cmp.Compare(a.ID, b.ID))
}

func place(list []*entry, e *entry) []*entry {
	at, _ := slices.BinarySearchFunc(list, e, older)
	return slices.Insert(list, at, e)
}

func without(list []*entry, e *entry) []*entry {
	at, found := slices.BinarySearchFunc(list, e, older)
	if !found {
		return list
	}
	return slices.Delete(list, at, at+1)
}

// Get returns what is known of a call's recording. The error is [ErrNotFound].
func (a *Archive) Get(callID, id string) (Recording, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[id]
	if e == nil || e.CallID != callID || e.Purge {
		return Recording{}, ErrNotFound
	}
	return e.Recording, nil
}

// List returns recordings, oldest first.
func (a *Archive) List(q Query) []Recording {
	a.mu.Lock()
	defer a.mu.Unlock()
	from := a.order
	switch {
	case q.CallID != "":
		from = a.byCall[q.CallID]
	case !q.MinStart.IsZero():
		at, _ := slices.BinarySearchFunc(from, q.MinStart, func(e *entry, t time.Time) int {
			return cmp.Or(e.StartTime.Compare(t), 1) // the first that is not before
		})
		from = from[at:]
	}
	list := []Recording{}
	for _, e := range from {
		if q.Limit > 0 && len(list) == q.Limit {
			break
		}
		if q.selects(&e.Recording) {
			list = append(list, e.Recording)
		}
	}
	return list
}

// Media returns the sound of a call's recording, and what is known of it. The error is [ErrNotFound], [ErrNoMedia], or the
// store's.
func (a *Archive) Media(ctx context.Context, callID, id string) (io.ReadSeekCloser, Recording, error) {
	r, err := a.Get(callID, id)
	if err != nil {
		return nil, r, err
	}
	if !r.Available() {
		return nil, r, ErrNoMedia
	}
	sound, err := a.sound(ctx, r)
	return sound, r, err
}

// Idle waits until nothing is to be done for any recording that is over, or ctx ends, and returns for how many there is.
func (a *Archive) Idle(ctx context.Context) (left int) {
	for {
		a.mu.Lock()
		busy, idle := a.busy, a.idle
		a.mu.Unlock()
		if busy == 0 {
			return 0
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return busy
		}
	}
}

// Waiting returns for how many recordings something is left to do: a file to be moved, an event to be owed.
func (a *Archive) Waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy
}
