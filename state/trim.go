package state

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Times of retention on disk.
const (
	trimEvery    = 10 * time.Second // at most
	trimTime     = time.Minute      // that one round may take
	trimSlackMin = time.Second
)

// tend drops from the disk what need not be kept, from time to time.
func (d *Durable) tend() {
	clock := time.NewTicker(min(trimEvery, max(d.retention/10, time.Second)))
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
			ctx, cancel := context.WithTimeout(context.Background(), trimTime)
			if err := d.trim(ctx, time.Now()); err != nil {
				d.log.Warn("state could not be trimmed", zap.Error(err))
			}
			cancel()
		case <-d.ending:
			return
		}
	}
}

// trim drops the calls that are over and whose time is up, and of the others that are over the oldest while the disk holds
// too much; then the messages that stand before all that is left. A call that has to stay and stands before them is
// written once more behind, so that one long call does not keep all that came after it.
func (d *Durable) trim(ctx context.Context, now time.Time) error {
	if d.Failing() != nil {
		return nil
	}
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	journals, err := d.link.js.Stream(ctx, d.names.journals)
	if err != nil {
		return err
	}
	there := journals.CachedInfo().State
	var cut uint64
	if limit := uint64(d.cfg.MaxBytes); there.Bytes > limit {
		surplus := float64(there.Bytes-limit/10*9) / float64(there.Bytes)
		cut = there.FirstSeq + uint64(surplus*float64(there.LastSeq-there.FirstSeq))
	}
	for _, c := range d.outdated(now, cut) {
		if err := d.move(ctx, c); err != nil {
			return err
		}
	}
	journal, value := d.before(there.LastSeq)
	if journal > there.FirstSeq {
		if err := journals.Purge(ctx, jetstream.WithPurgeSequence(journal)); err != nil {
			return err
		}
	}
	records, err := d.link.js.Stream(ctx, d.names.records)
	if err != nil {
		return err
	}
	if value > records.CachedInfo().State.FirstSeq {
		err = records.Purge(ctx, jetstream.WithPurgeSequence(value))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.figures.Stored = there.Bytes
	return err
}

// outdated forgets the calls whose time is up, or that stand before cut, and returns those of them that have to stay.
func (d *Durable) outdated(now time.Time, cut uint64) (stay []*stored) {
	d.mu.Lock()
	defer d.mu.Unlock()
	slack := max(d.retention/8, trimSlackMin)
	kept := d.order[:0]
	for _, c := range d.order {
		busy := c.held != nil && (c.busy() || len(c.owed) > 0)
		written := c.held == nil || c.disk.written == uint64(c.entries.len())
		inTheWay := c.disk.first > 0 && c.disk.first < cut
		switch {
		case !busy && written && (inTheWay || now.Sub(c.quiet) > d.retention):
			d.leaveOver(c)
			delete(d.calls, c.id)
			continue
		case busy && !c.disk.moving && c.disk.first > 0 && (inTheWay || now.Sub(c.disk.since) > d.retention+slack):
			stay = append(stay, c)
		}
		kept = append(kept, c)
	}
	clear(d.order[len(kept):])
	d.order = kept
	return stay
}

// move has a call's journal and value written once more. What is there already stays until that is done.
func (d *Durable) move(ctx context.Context, c *stored) error {
	d.mu.Lock()
	whole := c.held != nil && c.pages.before == 0
	where := c.disk
	d.mu.Unlock()
	var journal []Entry
	if !whole {
		var err error
		if journal, err = d.read(ctx, c.id, where); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != nil || d.calls[c.id] != c {
		return nil
	}
	if c.held != nil {
		var err error
		if journal, err = d.codec.unpack(c.id, c.pages.part(), merge(journal, c.pages.read)); err != nil {
			return err
		}
		if len(journal) < c.entries.len() {
			return nil // it was taken out of memory meanwhile; next time
		}
	}
	d.leaveOver(c)
	c.held, c.sealed = replayed(c.id, journal), nil
	d.rewrite(c.held, journal)
	c.disk.moving, c.disk.handed, c.disk.written = true, 0, 0
	d.refresh(c)
	if !c.disk.listed {
		c.disk.listed = true
		d.patient = append(d.patient, c)
		d.patience = time.Time{}
		d.rouse()
	}
	return nil
}

// before returns the sequence numbers below which no message of the journals and of the records is needed.
func (d *Durable) before(last uint64) (journal, value uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	journal, value = min(last, d.acked)+1, d.cycle.seq
	for _, c := range d.order {
		if c.disk.first > 0 {
			journal = min(journal, c.disk.first)
		}
		if c.disk.value > 0 {
			value = min(value, c.disk.value)
		}
	}
	return journal, value
}
