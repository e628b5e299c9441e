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
	var read []Entry
	var packed part
	whole := false
	if c.held != nil {
		read, packed, whole = c.pages.read, c.pages.part(), c.pages.before == 0
	}
	where := c.disk
	d.mu.Unlock()
	var journal []Entry
	if !whole {
		var err error
		if journal, err = d.readJournal(ctx, callID, where); err != nil {
			return nil, err
		}
	}
	return d.codec.unpack(callID, packed, merge(journal, read))
}

// Record implements [Store]. A call of which nothing is known but SIP messages, because it was refused before the
// application was asked, has no record.
func (d *Durable) Record(ctx context.Context, callID string) (Record, error) {
	d.mu.Lock()
	d.drop(time.Now(), nil)
	c := d.calls[callID]
	var l listed
	if c != nil {
		l = c.listed()
	}
	d.mu.Unlock()
	if c == nil {
		return Record{}, ErrNotFound
	}
	record, err := d.recordOf(ctx, l)
	if err == nil && record.State == "" {
		err = ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return record, nil // whatever it points at is never changed
}

// recordOf returns the record of a call, wherever that is.
func (d *Durable) recordOf(ctx context.Context, l listed) (Record, error) {
	if l.record.CallID != "" {
		return l.record, nil
	}
	value := l.sealed
	if value == nil {
		d.linkMu.RLock()
		defer d.linkMu.RUnlock()
		m, err := d.link.value(ctx, d.names, l.id)
		if err != nil {
			return Record{}, err
		}
		value = m.data
	}
	f, err := d.codec.unfile(value)
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
			record, err := d.recordOf(ctx, s)
			if errors.Is(err, ErrNotFound) {
				continue // its time was over meanwhile
			}
			if err != nil {
				return p, err
			}
			if record.State == "" || !record.matches(q) {
				continue
			}
			if len(p.Found) == limit {
				p.More = true
				return p, nil
			}
			p.Found = append(p.Found, Numbered{s.number, record})
		}
	}
}
