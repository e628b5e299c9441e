package state

import (
	"context"
	"errors"
	"time"
)

// Journal implements [Store].
func (d *Durable) Journal(ctx context.Context, callID string) ([]Entry, error) {
	d.mu.Lock()
	d.drop(time.Now(), nil)
	c := d.calls[callID]
	if c == nil {
		d.mu.Unlock()
		return nil, ErrNotFound
	}
	if c.held != nil && c.entries.base == 0 {
		defer d.mu.Unlock()
		return c.entries.all(), nil
	}
	where := c.disk
	d.mu.Unlock()
	journal, err := d.readJournal(ctx, callID, where)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.held != nil { // what may not be on disk yet
		journal = merge(journal, c.entries.all())
	}
	return journal, nil
}

// Record implements [Store]. A call of which nothing is known but SIP messages, because it was refused before the
// application was asked, has no record.
func (d *Durable) Record(ctx context.Context, callID string) (Record, error) {
	d.mu.Lock()
	d.drop(time.Now(), nil)
	c := d.calls[callID]
	var record Record
	if c != nil && c.held != nil {
		record = c.record
	}
	d.mu.Unlock()
	switch {
	case c == nil:
		return record, ErrNotFound
	case record.CallID == "":
		var err error
		if record, err = d.filedRecord(ctx, callID); err != nil {
			return record, err
		}
	}
	if record.State == "" {
		return Record{}, ErrNotFound
	}
	return record, nil // whatever it points at is never changed
}

func (d *Durable) filedRecord(ctx context.Context, callID string) (Record, error) {
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	m, err := d.link.value(ctx, d.names, callID)
	if err != nil {
		return Record{}, err
	}
	f, err := d.codec.unfile(m.data)
	return f.Record, err
}

// Records implements [Store].
func (d *Durable) Records(ctx context.Context, q Query) (records []Record, next string, err error) {
	page, err := d.Page(ctx, q)
	if err != nil {
		return nil, "", err
	}
	records, next = page.Records()
	return records, next, nil
}

// Page is Records for who puts the records of several stores together: see [MergePages].
func (d *Durable) Page(ctx context.Context, q Query) (p Page, err error) {
	after, limit, err := q.page()
	if err != nil {
		return p, err
	}
	for {
		d.mu.Lock()
		d.drop(time.Now(), nil)
		some := d.some(after)
		d.mu.Unlock()
		if len(some) == 0 {
			return p, nil
		}
		for _, s := range some {
			after = s.number
			if s.record.CallID == "" {
				if s.record, err = d.filedRecord(ctx, s.id); errors.Is(err, ErrNotFound) {
					continue // its time was over meanwhile
				} else if err != nil {
					return p, err
				}
			}
			if s.record.State == "" || !s.record.matches(q) {
				continue
			}
			if len(p.Found) == limit {
				p.More = true
				return p, nil
			}
			p.Found = append(p.Found, Numbered{s.number, s.record})
		}
	}
}
