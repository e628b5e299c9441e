package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// ErrDiskFull is why a store fails whose disk has less room left than its reserve.
var ErrDiskFull = errors.New("the disk is full")

var errTooSlow = errors.New("no answer within " + ackTime.String())

// Failing returns why nothing can be written; nil: all is well. Until that is over, what is appended is in memory alone.
func (d *Durable) Failing() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failing
}

// fail is called with the lock held. Nobody waits for the disk from now on; all that was on its way counts as unwritten.
func (d *Durable) fail(reason error) {
	if d.failing == nil {
		d.since = time.Now()
		d.figures.Failures++
		d.log.Error("state cannot be written; calls go on in memory, and what is missing is written when it can be", zap.Error(reason))
	}
	d.failing = reason
	clear(d.pending)
	d.urgent, d.patient = nil, nil
	d.cycle.reset()
	for _, c := range d.calls {
		if c.disk.interrupt() {
			d.refresh(c)
		}
	}
	d.room.Broadcast()
}

// watch looks every second for what nobody is told of. It is a goroutine of its own: the writer may be waiting for just
// that.
func (d *Durable) watch() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-clock.C:
		case <-d.ending:
			return
		}
		if err := d.trouble(); err != nil {
			d.mu.Lock()
			d.fail(err)
			d.mu.Unlock()
		}
	}
}

// lookAfter is what the writer does every second besides.
func (d *Durable) lookAfter() {
	if d.Failing() != nil {
		if err := d.repair(); err != nil {
			d.log.Debug("state still cannot be written", zap.Error(err))
			return
		}
	}
	d.publishListed()
	d.publishValues()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(time.Now(), nil)
}

// trouble looks for what nobody has been told of yet.
func (d *Durable) trouble() error {
	if d.dir != nil {
		free, err := d.dir.free()
		switch {
		case err != nil:
			return fmt.Errorf("the disk's room: %w", err)
		case free < d.cfg.Reserve:
			return fmt.Errorf("%w: %d MiB are left, %d MiB are left alone (%s)", ErrDiskFull, free>>20, d.cfg.Reserve>>20, d.dir.path)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.pending {
		if time.Since(r.sent) > ackTime {
			return errTooSlow
		}
	}
	return nil
}

// repair tries whether something can be written again, with a new server where that is in the process.
func (d *Durable) repair() error {
	ctx, cancel := context.WithTimeout(context.Background(), linkTime)
	defer cancel()
	if err := d.trouble(); err != nil {
		return err
	}
	if d.dir != nil { // a stream that could not write once does not write any more, room or not
		if err := errors.Join(d.reconnect(ctx), d.takeStock(ctx)); err != nil {
			return err
		}
	}
	if err := d.probe(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log.Info("state can be written again; what was missed is being written", zap.Duration("failed_for", time.Since(d.since)))
	d.failing = nil
	for _, c := range d.calls {
		if c.held != nil && c.disk.written < uint64(c.entries.len()) {
			c.disk.listed = true
			d.patient = append(d.patient, c)
		}
	}
	d.patience = time.Time{} // they have waited long enough
	return nil
}

func (d *Durable) reconnect(ctx context.Context) error {
	d.linkMu.Lock()
	defer d.linkMu.Unlock()
	_ = d.link.close() // it has failed
	link, err := d.connect(ctx)
	if err != nil {
		return err
	}
	d.link = link
	return d.listen()
}

// takeStock compares what counts as written with what a server that was started again has: the values of calls are written
// to the disk behind their acknowledgement, and may be gone. They are derived, and written anew.
func (d *Durable) takeStock(ctx context.Context) error {
	last := map[string]uint64{}
	for _, name := range []string{d.names.journals, d.names.records} {
		s, err := d.link.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		last[name] = s.CachedInfo().State.LastSeq
	}
	d.mu.Lock()
	d.acked = last[d.names.journals]
	d.cycle.pinned, d.cycle.seq = min(d.cycle.pinned, d.acked), min(d.cycle.seq, last[d.names.records])
	var gone []*stored
	for _, c := range d.calls {
		if c.disk.value > last[d.names.records] {
			gone = append(gone, c)
		}
	}
	d.mu.Unlock()
	for _, c := range gone {
		if err := d.revive(ctx, c); err != nil {
			return err
		}
		d.mu.Lock()
		c.disk.value, c.disk.untold = 0, c.disk.first
		d.refresh(c)
		d.mu.Unlock()
	}
	return nil
}

// probe writes what is there already.
func (d *Durable) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tick)
	defer cancel()
	_, err := d.link.js.Publish(ctx, d.names.record+checkpointKey, checkpoint(d.cycle.pinned))
	return err
}
