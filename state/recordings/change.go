package recordings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Begin keeps a recording that begins, as Processing, and returns the file that its sound is to be written to. An error
// leaves nothing behind.
func (a *Archive) Begin(r Recording) (*os.File, error) {
	r.Status = Processing
	if err := os.MkdirAll(filepath.Dir(a.path(&r)), 0o700); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	if err := a.write(&r); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	file, err := os.OpenFile(a.path(&r), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("recording: %w", err), a.clear(&r))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.insert(newEntry(r))
	return file, nil
}

// Fail keeps a recording that could not even begin: there is no sound, and its wishes are done.
func (a *Archive) Fail(r Recording, reason string) {
	r.Status, r.Outcome, r.Reason = Processing, Failed, reason
	e := newEntry(r)
	a.mu.Lock()
	a.insert(e)
	a.mu.Unlock()
	a.enqueue(e)
}

// Finish says that a recording's file is closed: what it is to be once the file is where it stays (Complete, Partial or
// Failed), and its length. Its wishes are done then. The wishes may be changed with the rest by change; nil: they are not.
func (a *Archive) Finish(id string, change func(*Recording)) error {
	e, err := a.change(id, func(r *Recording) { change(r) })
	if e != nil {
		a.enqueue(e) // whether or not it could be written down
	}
	return err
}

// Update changes what is known of a call's recording. The error is [ErrNotFound], or that the description could not be
// written, in which case the change is in force as long as the process lives.
func (a *Archive) Update(callID, id string, change func(*Recording)) error {
	if _, err := a.Get(callID, id); err != nil {
		return err
	}
	_, err := a.change(id, change)
	return err
}

// change changes a recording, in turn with others who do.
func (a *Archive) change(id string, change func(*Recording)) (*entry, error) {
	a.mu.Lock()
	e := a.known[id]
	a.mu.Unlock()
	if e == nil {
		return nil, ErrNotFound
	}
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	a.mu.Lock()
	if a.known[id] != e { // deleted meanwhile
		a.mu.Unlock()
		return nil, ErrNotFound
	}
	change(&e.Recording)
	now := e.Recording
	a.mu.Unlock()
	if err := a.write(&now); err != nil {
		return e, fmt.Errorf("recording %s: %w", id, err)
	}
	return e, nil
}

// Delete deletes a call's recording, with all that belongs to it. From now on it is not known; a file in the store goes
// as soon as the store allows. The error is [ErrNotFound].
func (a *Archive) Delete(callID, id string) error {
	if _, err := a.Get(callID, id); err != nil {
		return err
	}
	e, err := a.change(id, func(r *Recording) {
		r.Purge, r.Wishes = true, nil
	})
	if e != nil {
		a.enqueue(e)
	}
	return err
}

// DeleteMedia deletes a call's recording but for what is known of it. The error is [ErrNotFound], or [ErrNoMedia] where
// there is no sound to delete.
func (a *Archive) DeleteMedia(callID, id string) error {
	r, err := a.Get(callID, id)
	if err != nil {
		return err
	}
	if !r.Available() {
		return ErrNoMedia
	}
	e, err := a.change(id, func(r *Recording) { r.Status = Deleted })
	if e != nil {
		a.enqueue(e)
	}
	return err
}

// expire deletes recordings that are too old.
func (a *Archive) expire() {
	ticker := time.NewTicker(min(time.Hour, a.cfg.Retention))
	defer ticker.Stop()
	for {
		for _, r := range a.List(Query{MaxStart: time.Now().Add(-a.cfg.Retention)}) {
			if !r.EndTime.IsZero() && time.Since(r.EndTime) > a.cfg.Retention {
				_ = a.Delete(r.CallID, r.ID) // it is tried again in an hour
			}
		}
		select {
		case <-ticker.C:
		case <-a.lifetime.Done():
			return
		}
	}
}
