package state

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// closeTime is how long Close waits for what is not written yet.
const closeTime = 5 * time.Second

// Close implements [Store]: it writes what is not written yet, and returns when all has ended. Nothing can be appended any
// more. It is idempotent.
func (d *Durable) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	opened := d.opened
	d.mu.Unlock()
	if !opened {
		return nil
	}
	close(d.ending)
	d.working.Wait()
	d.packing.Stop()
	d.finish()
	d.linkMu.Lock()
	defer d.linkMu.Unlock()
	err := d.link.close()
	if d.dir != nil {
		err = errors.Join(err, d.dir.close())
	}
	return err
}

// finish writes what is left when the writer has ended.
func (d *Durable) finish() {
	deadline := time.Now().Add(closeTime)
	for range 3 { // the journals, their values, the checkpoint
		d.settled(deadline)
		for d.waits() {
			d.publishListed()
			d.settled(deadline)
		}
		d.beginValues()
		for left := true; left; {
			left = d.publishValues()
		}
		d.settled(deadline)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, calls := 0, 0
	for _, c := range d.calls {
		if c.held != nil && c.disk.written < uint64(c.entries.len()) {
			entries += c.entries.len() - int(c.disk.written)
			calls++
		}
	}
	if calls > 0 {
		d.log.Error("journals could not be written to their end", zap.Int("calls", calls), zap.Int("entries", entries), zap.NamedError("reason", d.failing))
	}
}

// waits reports whether something is to be written to the journals, and can be: now, however short it has waited.
func (d *Durable) waits() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.patience = time.Time{}
	return d.failing == nil && len(d.urgent)+len(d.patient) > 0
}

// settled waits until all that was sent has been answered, the disk fails, or the time is over.
func (d *Durable) settled(deadline time.Time) {
	timer := time.AfterFunc(time.Until(deadline), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.pending) > 0 {
			d.fail(errTooSlow)
		}
	})
	defer timer.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.pending) > 0 && d.failing == nil {
		d.room.Wait()
	}
}
