package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	retention time.Duration
	maxBytes  int64

	mu    sync.Mutex
	calls map[string]*stored
	order []*stored // by number: the order in which the calls appeared
	last  uint64    // number of the newest call
	over  overQueue // calls that may be dropped, the one that has been over for longest first
	bytes int64     // of the calls in over
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) *Memory {
	if cfg.Retention <= 0 {
		cfg.Retention = defaultRetention
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	return &Memory{retention: cfg.Retention, maxBytes: cfg.MaxBytes, calls: map[string]*stored{}}
}

// stored is one call in memory.
type stored struct {
	number  uint64 // the call's place in the order of all calls; never given again
	entries entries
	record  Record
	bytes   int64
	owed    map[uint64]struct{} // entries whose event is still owed
	rest    rest
	quiet   time.Time // when the last entry was appended
	place   int       // in Memory.over; notOver: it is not there
}

const notOver = -1

func (c *stored) keep() bool { return len(c.owed) > 0 || c.record.live() }

// Append implements [Store]. It fails only for an entry without a call.
func (m *Memory) Append(_ context.Context, e Entry) (uint64, error) {
	if e.CallID == "" {
		return 0, errors.New("journal entry without a call")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.append(e), nil
}

// append is called with the lock held.
func (m *Memory) append(e Entry) uint64 {
	now := time.Now()
	c := m.calls[e.CallID]
	if c == nil {
		m.last++
		c = &stored{number: m.last, place: notOver}
		m.calls[e.CallID] = c
		m.order = append(m.order, c)
		c.record.CallID = e.CallID
	}
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Seq = uint64(c.entries.len()) + 1
	m.leaveOver(c)
	c.entries.add(e)
	c.bytes += sizeOf(&e)
	c.quiet = now
	c.record.Apply(e)
	c.rest.apply(&e)
	c.account(&e)
	if !c.keep() {
		m.enterOver(c)
	}
	m.drop(now, c)
	return e.Seq
}

// account notes what is owed.
func (c *stored) account(e *Entry) {
	if e.Webhook == nil {
		return
	}
	switch e.Webhook.Event {
	case WebhookOwed:
		if c.owed == nil {
			c.owed = map[uint64]struct{}{}
		}
		c.owed[e.Seq] = struct{}{}
	case WebhookDelivered, WebhookFailed:
		delete(c.owed, e.Webhook.OwedSeq)
	}
}

// Journal implements [Store].
func (m *Memory) Journal(_ context.Context, callID string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(time.Now(), nil)
	c := m.calls[callID]
	if c == nil {
		return nil, ErrNotFound
	}
	return c.entries.all(), nil
}

// Record implements [Store]. A call of which nothing is known but SIP messages, because it was refused before the
// application was asked, has no record.
func (m *Memory) Record(_ context.Context, callID string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(time.Now(), nil)
	c := m.calls[callID]
	if c == nil || c.record.State == "" {
		return Record{}, ErrNotFound
	}
	return c.record, nil // whatever it points at is never changed
}

// Records implements [Store].
func (m *Memory) Records(_ context.Context, q Query) (records []Record, next string, err error) {
	after, err := readPageToken(q.After)
	if err != nil {
		return nil, "", err
	}
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(time.Now(), nil)
	from, found := slices.BinarySearchFunc(m.order, after, byNumber)
	if found {
		from++
	}
	var last uint64
	for _, c := range m.order[from:] {
		if c.record.State == "" || !c.record.matches(q) {
			continue
		}
		if len(records) == limit {
			return records, pageToken(last), nil
		}
		records = append(records, c.record)
		last = c.number
	}
	return records, "", nil
}

// Owe implements [Store].
func (m *Memory) Owe(_ context.Context, callID string, event []byte) (uint64, error) {
	entry, err := owedEntry(callID, event)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.append(entry), nil
}

// Delivered implements [Store]. To say it twice changes nothing.
func (m *Memory) Delivered(_ context.Context, callID string, seq uint64) error {
	return m.settle(callID, seq, WebhookDelivered, "")
}

// Failed implements [Store]. After Delivered it changes nothing.
func (m *Memory) Failed(_ context.Context, callID string, seq uint64, reason string) error {
	return m.settle(callID, seq, WebhookFailed, reason)
}

// settle ends a debt. It returns [ErrNotOwed] (wrapped) when there never was one.
func (m *Memory) settle(callID string, seq uint64, event, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[callID]
	if c == nil || seq == 0 || seq > uint64(c.entries.len()) || !isOwed(c.entries.at(seq)) {
		return fmt.Errorf("call %s, entry %d: %w", callID, seq, ErrNotOwed)
	}
	if _, open := c.owed[seq]; !open {
		return nil
	}
	owed := c.entries.at(seq).Webhook
	m.append(Entry{CallID: callID, Type: TypeWebhook, Webhook: &Webhook{
		Event: event, EventID: owed.EventID, EventType: owed.EventType,
		Method: owed.Method, URL: owed.URL, OwedSeq: seq, Error: reason,
	}})
	return nil
}

func isOwed(e Entry) bool { return e.Webhook != nil && e.Webhook.Event == WebhookOwed }

// Close implements [Store]. What was kept can still be read.
func (m *Memory) Close() error { return nil }

// owedEntry reads of an event what the store has to know of it: its envelope is
// {"id", "type", "target": {"url", "method", …}, …}.
func owedEntry(callID string, event []byte) (Entry, error) {
	var envelope struct {
		ID     string `json:"id"`
		Type   string `json:"type"`
		Target struct {
			URL    string `json:"url"`
			Method string `json:"method"`
		} `json:"target"`
	}
	switch err := json.Unmarshal(event, &envelope); {
	case err != nil:
		return Entry{}, fmt.Errorf("owe an event of call %s: %w", callID, err)
	case envelope.ID == "" || callID == "":
		return Entry{}, fmt.Errorf("owe an event of call %q: it has no id, or belongs to no call", callID)
	}
	return Entry{CallID: callID, Type: TypeWebhook, Webhook: &Webhook{
		Event: WebhookOwed, EventID: envelope.ID, EventType: envelope.Type,
		Method: envelope.Target.Method, URL: maskText(envelope.Target.URL), Owed: slices.Clone(event),
	}}, nil
}
