// Package transcripts keeps the texts of live transcriptions: a JSON file for each, in a folder. There is no other truth
// about them: an archive reads them all when it is opened, and they outlive the calls' journals.
package transcripts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ErrNotFound is returned for a transcription that is not known, or not any more.
var ErrNotFound = errors.New("transcription not found")

// Transcription is the text of what was said on a call.
type Transcription struct {
	ID        string    `json:"transcriptionId"` // "t-…"
	CallID    string    `json:"callId"`
	AccountID string    `json:"accountId"`
	Name      string    `json:"transcriptionName"`
	Completed time.Time `json:"completedTime"`
	Tracks    []Track   `json:"tracks"`

	// Unfinished tells that its call goes on: the tracks are what was heard until Completed. It is not listed, and not found.
	Unfinished bool `json:"unfinished,omitempty"`
	// Lost is what is to be done when the process ends before somebody was told of the text; nil: nothing.
	Lost json.RawMessage `json:"lost,omitempty"`
}

// Track is one side of it.
type Track struct {
	Name       string  `json:"track"` // "inbound" or "outbound"
	Language   string  `json:"detectedLanguage"`
	Text       string  `json:"transcript"`
	Confidence float64 `json:"confidence"` // 0 to 1
}

// Archive keeps transcriptions. All methods may be called by several goroutines at once.
type Archive struct {
	dir       string
	retention time.Duration
	log       *zap.Logger

	end     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	known map[string]entry // by id
	lost  []Transcription
}

// entry is what is kept in memory of a transcription.
type entry struct {
	callID, name string
	completed    time.Time
	unfinished   bool
}

// New returns an archive in a folder, which is made with the first transcription. It does nothing before Open.
func New(dir string, retention time.Duration, log *zap.Logger) *Archive {
	return &Archive{dir: dir, retention: retention, log: log, end: func() {}, known: map[string]entry{}}
}

// file is how files are named: a file of another name is none of ours.
var file = regexp.MustCompile(`^(t-[0-9a-f-]+)\.json$`)

// Open reads what the folder holds, and begins to delete what is too old. A file that cannot be read is left alone and
// logged.
func (a *Archive) Open() error {
	files, err := os.ReadDir(a.dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("transcriptions: %w", err)
	}
	a.mu.Lock()
	for _, f := range files {
		m := file.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		t, err := a.read(m[1])
		if err != nil {
			a.log.Error("a transcription cannot be read", zap.String("transcription_id", m[1]), zap.Error(err))
			continue
		}
		a.known[t.ID] = entry{t.CallID, t.Name, t.Completed, t.Unfinished}
		if t.Lost != nil {
			a.lost = append(a.lost, t)
		}
	}
	a.mu.Unlock()
	ctx, end := context.WithCancel(context.Background())
	a.end = end
	a.running.Go(func() { a.expire(ctx) })
	return nil
}

// Close ends the archive's goroutine.
func (a *Archive) Close() {
	a.end()
	a.running.Wait()
}

func (a *Archive) path(id string) string { return filepath.Join(a.dir, id+".json") }

func (a *Archive) read(id string) (t Transcription, err error) {
	text, err := os.ReadFile(a.path(id))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, err
	}
	if t.ID != id {
		return t, fmt.Errorf("it says that it is %q", t.ID)
	}
	return t, nil
}

// Put keeps a transcription. It is there whole or, with an error, not at all.
func (a *Archive) Put(t Transcription) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("transcription: %w", err)
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return fmt.Errorf("transcription: %w", err)
	}
	unfinished := a.path(t.ID) + ".tmp"
	err = os.WriteFile(unfinished, text, 0o600)
	if err == nil {
		err = os.Rename(unfinished, a.path(t.ID))
	}
	if err != nil {
		_ = os.Remove(unfinished) // what is left of it is no transcription
		return fmt.Errorf("transcription: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[t.ID] = entry{t.CallID, t.Name, t.Completed, t.Unfinished}
	return nil
}

// Lost returns those that the folder held with something to be done when the archive was opened, once.
func (a *Archive) Lost() (lost []Transcription) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lost, a.lost = a.lost, nil
	return lost
}

// Reference names a transcription.
type Reference struct{ ID, Name string }

// List returns those of a call, oldest first.
func (a *Archive) List(callID string) []Reference {
	a.mu.Lock()
	defer a.mu.Unlock()
	var ids []string
	for id, e := range a.known {
		if e.callID == callID && !e.unfinished {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(x, y string) int {
		return cmp.Or(a.known[x].completed.Compare(a.known[y].completed), cmp.Compare(x, y))
	})
	list := make([]Reference, len(ids))
	for i, id := range ids {
		list[i] = Reference{id, a.known[id].name}
	}
	return list
}

// Get returns a transcription of a call. The error is [ErrNotFound], or the folder's.
func (a *Archive) Get(callID, id string) (Transcription, error) {
	a.mu.Lock()
	e, known := a.known[id]
	a.mu.Unlock()
	if !known || e.callID != callID || e.unfinished {
		return Transcription{}, ErrNotFound
	}
	t, err := a.read(id)
	if errors.Is(err, os.ErrNotExist) {
		return Transcription{}, ErrNotFound // it was deleted meanwhile, perhaps by hand
	}
	return t, err
}

// Delete deletes a transcription of a call. The error is [ErrNotFound], or the folder's.
func (a *Archive) Delete(callID, id string) error {
	a.mu.Lock()
	e, known := a.known[id]
	a.mu.Unlock()
	if !known || e.callID != callID {
		return ErrNotFound
	}
	if err := os.Remove(a.path(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("transcription: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, id)
	return nil
}

// expire deletes what is too old, until ctx ends.
func (a *Archive) expire(ctx context.Context) {
	ticker := time.NewTicker(min(time.Hour, a.retention))
	defer ticker.Stop()
	for {
		for id, callID := range a.old() {
			if err := a.Delete(callID, id); err != nil && !errors.Is(err, ErrNotFound) {
				a.log.Error("a transcription could not be deleted", zap.String("transcription_id", id), zap.Error(err))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (a *Archive) old() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := map[string]string{}
	for id, e := range a.known {
		if !e.unfinished && time.Since(e.completed) > a.retention {
			old[id] = e.callID
		}
	}
	return old
}
