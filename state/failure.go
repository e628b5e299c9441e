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

// repairTime is how long one attempt may take to get the store going again.
const repairTime = 10 * time.Second

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
	d.failing, d.stalled, d.writing = reason, false, false
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

// slow reports whether something has been on its way for too long.
func (d *Durable) slow() bool {
	for _, r := range d.pending {
		if time.Since(r.sent) > ackTime {
			return true
		}
	}
	return false
}

// stall is called with the lock held. The disk is slow, and nobody waits for it from now on; but what is on its way is still
// expected, and nothing is begun anew, which would take such a disk even longer.
func (d *Durable) stall() {
	d.failing, d.stalled, d.since = errTooSlow, true, time.Now()
	d.figures.Failures++
	d.log.Error("state cannot be written fast enough; calls go on in memory, and what is missing is written when it can be", zap.Error(errTooSlow))
	for _, c := range d.calls {
		c.disk.wake(^uint64(0))
	}
	d.room.Broadcast()
}

// proceed is called with the lock held, when something can be written again.
func (d *Durable) proceed() {
	d.log.Info("state can be written again; what was missed is being written", zap.Duration("failed_for", time.Since(d.since)))
	d.failing, d.stalled, d.broken = nil, false, false
	for _, c := range d.calls {
		if c.held != nil && !c.disk.listed && c.disk.handed < uint64(c.entries.len()) {
			c.disk.listed = true
			d.patient = append(d.patient, c)
		}
	}
	d.patience = time.Time{} // they have waited long enough
	d.room.Broadcast()
	d.rouse()
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
		full := d.full()
		d.mu.Lock()
		slow := d.slow()
		d.mu.Unlock()
		var unhealthy error
		if slow && d.dir != nil {
			unhealthy = d.unhealthy()
		}
		d.mu.Lock()
		switch {
		case full != nil:
			d.fail(full)
		case unhealthy != nil:
			d.broken = true
			d.fail(unhealthy)
		case d.failing != nil || !d.slow():
		case d.dir != nil:
			d.stall()
		default: // what is on its way may have got lost
			d.fail(errTooSlow)
		}
		d.mu.Unlock()
	}
}

// unhealthy returns what the server in the process says is wrong with it: what it cannot write it does not answer.
func (d *Durable) unhealthy() error {
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	if h := d.link.server.Healthz(nil); h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
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
	d.beginValues()
	d.leaveOut(time.Now())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(time.Now(), nil)
	d.noted.shed()
}

// full looks whether the disk has no room left.
func (d *Durable) full() error {
	if d.dir == nil {
		return nil
	}
	free, err := d.free(d.dir.path)
	switch {
	case err != nil:
		return fmt.Errorf("the disk's room: %w", err)
	case free < d.cfg.Reserve:
		return fmt.Errorf("%w: %d MiB are left, %d MiB are left alone (%s)", ErrDiskFull, free>>20, d.cfg.Reserve>>20, d.dir.path)
	}
	return nil
}

// repair tries whether something can be written again: with a new server where that is in the process, and has failed.
func (d *Durable) repair() error {
	ctx, cancel := context.WithTimeout(context.Background(), repairTime)
	defer cancel()
	if err := d.full(); err != nil {
		return err
	}
	d.mu.Lock()
	stalled, broken := d.stalled, d.broken
	d.mu.Unlock()
	if stalled {
		return errTooSlow // what is on its way tells when that is over
	}
	if d.dir != nil {
		if err := d.dir.tryWriting(); err != nil { // a server may start, and take what it cannot write
			return fmt.Errorf("the disk: %w", err)
		}
	}
	if d.dir != nil && (broken || d.unhealthy() != nil) { // a stream that could not write once does not write any more, room or not
		if err := errors.Join(d.reconnect(ctx), d.takeStock(ctx)); err != nil {
			return err
		}
	}
	if err := d.probe(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proceed()
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
