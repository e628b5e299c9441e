package recordings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

const (
	minPause = time.Second
	maxPause = time.Minute

	// An attempt to move a file may take attemptTime and, for each second's worth of bytes at slowStore, a second more.
	attemptTime = 30 * time.Second
	slowStore   = 128 << 10
)

// enqueue has a worker look at an entry, once if it waits for one already.
func (a *Archive) enqueue(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.queued {
		e.again = true
		return
	}
	e.queued = true
	if a.busy++; a.busy == 1 {
		a.idle = make(chan struct{})
	}
	a.push(e)
}

// push appends to the queue. The lock is held.
func (a *Archive) push(e *entry) {
	a.queue = append(a.queue, e)
	select {
	case a.work <- struct{}{}:
	default: // all workers are about to look
	}
}

// pop returns the first of the queue; nil: it is empty.
func (a *Archive) pop() *entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.queue) == 0 {
		return nil
	}
	e := a.queue[0]
	a.queue = a.queue[1:]
	e.again = false
	return e
}

// done lets go of an entry, unless there is something new about it.
func (a *Archive) done(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e.tries = 0
	if e.again {
		a.push(e)
		return
	}
	e.queued = false
	if a.busy--; a.busy == 0 {
		close(a.idle)
	}
}

// labour is the goroutine of a worker.
func (a *Archive) labour() {
	for {
		e := a.pop()
		if e == nil {
			select {
			case <-a.work:
				continue
			case <-a.lifetime.Done():
				return
			}
		}
		err := a.advance(e)
		switch {
		case a.lifetime.Err() != nil:
			return
		case err == nil:
			a.done(e)
			continue
		}
		pause := min(minPause<<min(e.tries, 10), maxPause)
		if e.tries++; e.tries == 1 {
			a.log.Warn("a recording has to wait", zap.String("call_id", e.CallID), zap.String("recording_id", e.ID), zap.Duration("next_in", pause), zap.Error(err))
		}
		time.AfterFunc(pause, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.push(e)
		})
	}
}

// advance does all that is to be done for a recording.
func (a *Archive) advance(e *entry) error {
	ctx, r := a.lifetime, a.copyOf(e)
	if r.Purge {
		return a.purge(ctx, e, r)
	}
	if r.Status == Processing && r.Outcome == "" {
		a.interrupted(e, r)
		r = a.copyOf(e)
	}
	if r.Status == Processing {
		if err := a.keep(ctx, e, r); err != nil {
			return err
		}
		r = a.copyOf(e)
	}
	if r.Status == Deleted {
		return a.forget(ctx, e, r)
	}
	if len(r.Wishes) == 0 {
		return nil
	}
	if err := a.settle(ctx, r); err != nil {
		return err
	}
	a.set(e, func(r *Recording) { r.Wishes = nil })
	return nil
}

func (a *Archive) copyOf(e *entry) Recording {
	a.mu.Lock()
	defer a.mu.Unlock()
	return e.Recording
}

// set changes a recording. That its description cannot be written is logged: what is true does not wait for it.
func (a *Archive) set(e *entry, change func(*Recording)) {
	if _, err := a.change(e.ID, change); err != nil && !errors.Is(err, ErrNotFound) {
		a.log.Error("a recording's description could not be written", zap.String("call_id", e.CallID), zap.String("recording_id", e.ID), zap.Error(err))
	}
}

// interrupted ends a recording that a crash has ended: what there is of it is kept.
func (a *Archive) interrupted(e *entry, r Recording) {
	const reason = "the node ended before the recording did"
	d, err := a.repair(a.path(&r), r.Format, r.Channels)
	info, errStat := os.Stat(a.path(&r))
	a.set(e, func(r *Recording) {
		r.Outcome, r.Reason, r.Duration, r.EndTime = Partial, reason, d, r.StartTime.Add(d)
		if err != nil || errStat != nil {
			r.Outcome, r.Duration, r.EndTime = Failed, 0, r.StartTime
			return
		}
		r.Bytes = info.Size()
	})
}

// keep puts a file where it stays.
func (a *Archive) keep(ctx context.Context, e *entry, r Recording) error {
	switch {
	case r.Outcome == Failed:
		_ = remove(a.path(&r)) // it holds nothing
	case a.store != nil && !r.Remote:
		if err := a.upload(ctx, &r); err != nil {
			return err
		}
		defer func() { _ = remove(a.path(&r)) }() // what is left of it when the process ends here does no harm
	}
	remote := a.store != nil && r.Outcome != Failed
	a.set(e, func(r *Recording) { r.Status, r.Remote = r.Outcome, remote || r.Remote })
	return nil
}

func (a *Archive) upload(ctx context.Context, r *Recording) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime+time.Duration(r.Bytes/slowStore)*time.Second)
	defer cancel()
	if err := a.store.Put(ctx, r.key(), a.path(r), ContentType(r.Format)); err != nil {
		a.counter(UploadFailed)
		return fmt.Errorf("put into the store: %w", err)
	}
	a.counter(Uploaded)
	return nil
}

// forget deletes the sound of a recording whose sound is deleted.
func (a *Archive) forget(ctx context.Context, e *entry, r Recording) error {
	if err := a.away(ctx, &r); err != nil {
		return err
	}
	a.set(e, func(r *Recording) { r.Remote, r.Wishes = false, nil })
	return nil
}

// purge deletes all of a recording.
func (a *Archive) purge(ctx context.Context, e *entry, r Recording) error {
	if err := a.away(ctx, &r); err != nil {
		return err
	}
	if err := a.clear(&r); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known[e.ID] == e {
		a.remove(e)
	}
	return nil
}

// away deletes a recording's sound, here and in the store.
func (a *Archive) away(ctx context.Context, r *Recording) error {
	if err := remove(a.path(r)); err != nil {
		return err
	}
	if !r.Remote {
		return nil
	}
	if a.store == nil {
		return errNoStore
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	return a.store.Delete(ctx, r.key())
}
