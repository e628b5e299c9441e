package state

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MemoryConfig says how much of what is over is kept.
type MemoryConfig struct {
	Retention time.Duration // of a call that is over, from its last entry on; 0: 24 h
	MaxBytes  int64         // of all calls that are over, about; 0: 64 MiB
}

const (
	defaultRetention = 24 * time.Hour
	defaultMaxBytes  = 64 << 20
)

// Memory is a store that lives and dies with the process. A call that is up, that waits for the outcome of a Refer, or
// that owes an event is kept whole; of the others those that have been over for longest go first, when their time or
// the space has run out.
//
// No method blocks; contexts are not looked at, so that the end of a call can be written down after its context ended.
type Memory struct {
	index
	packer packer
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) *Memory {
	codec, err := newCodec()
	if err != nil {
		panic(fmt.Sprintf("state: %v", err)) // its options are constants
	}
	m := &Memory{index: newIndex(cfg.Retention, cfg.MaxBytes), packer: packer{codec: codec}}
	m.shelf = m
	return m
}

func (m *Memory) keeps(c *stored) bool { return c.keep() }

// release forgets a call: there is no other place for it.
func (m *Memory) release(c *stored, _ bool) {
	if c.held != nil {
		m.packer.reuse(c.packed.sheets)
	}
	m.forget(c)
}

// note adds an entry to a journal, in bytes.
func (m *Memory) note(h *held, e Entry) { m.packer.note(h, e) }

// Append implements [Store]. It fails only for an entry without a call.
func (m *Memory) Append(_ context.Context, e Entry) (uint64, error) {
	if e.CallID == "" {
		return 0, errNoCall
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enter(e)
}

// enter appends an entry, and packs what has been quiet.
func (m *Memory) enter(e Entry) (uint64, error) {
	if known := m.calls[e.CallID]; known != nil && known.held == nil {
		m.leaveOver(known)
		if err := m.packer.unseal(known); err != nil {
			m.enterOver(known)
			return 0, err
		}
	}
	c, seq := m.append(e)
	m.packer.appended(c)
	if quiet := m.packer.next(c.quiet); quiet != nil && m.calls[quiet.id] == quiet {
		before := quiet.size()
		m.packer.pack(quiet, c.quiet)
		if quiet.place != notOver {
			m.bytes += quiet.size() - before
		}
	}
	return seq, nil
}

// Await implements [Store]: there is nothing to wait for.
func (m *Memory) Await(context.Context, string) error { return nil }

// Journal implements [Store].
func (m *Memory) Journal(_ context.Context, callID string) ([]Entry, error) {
	sealed, journal, err := m.excerpt(callID)
	if err == nil && sealed != nil {
		_, journal, err = m.packer.codec.unseal(callID, sealed)
	}
	if err != nil {
		return nil, err
	}
	return m.packer.codec.journal(callID, journal)
}

// excerpt returns a call that is sealed, or what it takes to read the journal of another.
func (m *Memory) excerpt(callID string) (sealed []byte, journal excerpt, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(time.Now(), nil)
	c := m.calls[callID]
	switch {
	case c == nil:
		return nil, excerpt{}, ErrNotFound
	case c.held == nil:
		return c.sealed, excerpt{}, nil
	}
	return nil, m.packer.excerpt(c.held), nil
}

// Record implements [Store]. A call of which nothing is known but SIP messages, because it was refused before the
// application was asked, has no record.
func (m *Memory) Record(_ context.Context, callID string) (Record, error) {
	m.mu.Lock()
	m.drop(time.Now(), nil)
	var l listed
	if c := m.calls[callID]; c != nil {
		l = c.listed()
	}
	m.mu.Unlock()
	r, err := m.record(l)
	if err == nil && r.State == "" {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return r, nil // whatever it points at is never changed
}

// record returns the record of a call.
func (m *Memory) record(l listed) (Record, error) {
	if l.sealed == nil {
		return l.record, nil
	}
	s, _, err := m.packer.codec.unseal(l.id, l.sealed)
	return s.Record, err
}

// Records implements [Store].
func (m *Memory) Records(_ context.Context, q Query) (records []Record, next string, err error) {
	after, limit, err := q.page()
	if err != nil {
		return nil, "", err
	}
	var last uint64 // of those that were found
	for {
		m.mu.Lock()
		m.drop(time.Now(), nil)
		some := m.some(after)
		m.mu.Unlock()
		if len(some) == 0 {
			return records, "", nil
		}
		for _, l := range some {
			after = l.number
			r, err := m.record(l)
			if err != nil {
				return nil, "", err
			}
			if r.State == "" || !r.matches(q) {
				continue
			}
			if len(records) == limit {
				return records, pageToken(last), nil
			}
			records = append(records, r)
			last = l.number
		}
	}
}

// Owe implements [Store].
func (m *Memory) Owe(_ context.Context, o Owed) (uint64, error) {
	entry, err := o.entry()
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enter(entry)
}

// Delivered implements [Store]. To say it twice changes nothing.
func (m *Memory) Delivered(_ context.Context, callID string, seq uint64) error {
	return m.settle(callID, seq, WebhookDelivered, "")
}

// Failed implements [Store]. After Delivered it changes nothing.
func (m *Memory) Failed(_ context.Context, callID string, seq uint64, reason string) error {
	return m.settle(callID, seq, WebhookFailed, reason)
}

func (m *Memory) settle(callID string, seq uint64, event, reason string) error {
	m.mu.Lock()
	entry, _ := m.settling(callID, seq, event, reason) // it does not know what is packed or sealed; settled does
	if entry != nil {
		_, err := m.enter(*entry)
		m.mu.Unlock()
		return err
	}
	m.mu.Unlock()
	return settled(context.Background(), m, callID, seq)
}

// settled returns [ErrNotOwed] (wrapped) for an event that is not owed, and never was.
func settled(ctx context.Context, s Store, callID string, seq uint64) error {
	journal, err := s.Journal(ctx, callID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if seq == 0 || seq > uint64(len(journal)) || !isOwed(journal[seq-1]) {
		return fmt.Errorf("call %s, entry %d: %w", callID, seq, ErrNotOwed)
	}
	return nil
}

// Unfinished implements [Store].
func (m *Memory) Unfinished(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unfinished(), nil
}

// Debts implements [Store].
func (m *Memory) Debts(context.Context) ([]Debt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.debts(), nil
}

// DeadLetters implements [Store].
func (m *Memory) DeadLetters(context.Context) ([]DeadLetter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deadLetters(), nil
}

// Close implements [Store]. What was kept can still be read.
func (m *Memory) Close() error { return nil }
