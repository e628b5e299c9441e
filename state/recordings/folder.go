package recordings

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
)

// Kinds of files beside each other in the folder of a day: the sound, its description, attachments.
const (
	description = ".json"
	unfinished  = ".tmp"
)

// key is where a recording's sound is, in the folder as in the store.
func (r *Recording) key() string { return r.stem() + "." + r.Format }

func (r *Recording) stem() string { return r.StartTime.UTC().Format("20060102") + "/" + r.ID }

func (a *Archive) path(r *Recording) string {
	return filepath.Join(a.cfg.Dir, filepath.FromSlash(r.key()))
}

func (a *Archive) beside(r *Recording, extension string) string {
	return filepath.Join(a.cfg.Dir, filepath.FromSlash(r.stem())) + extension
}

// ContentType is the media type of a format (docs/api.md).
func ContentType(format string) string {
	if format == "mp3" {
		return "audio/mpeg"
	}
	return "audio/vnd.wave"
}

// scan reads the descriptions in the folder. That there is no folder is no error.
func (a *Archive) scan() ([]*entry, error) {
	var found []*entry
	err := filepath.WalkDir(a.cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == a.cfg.Dir:
			return filepath.SkipAll
		case err != nil:
			return err
		case d.IsDir() || !strings.HasPrefix(d.Name(), "r-"):
			return nil
		case strings.HasSuffix(path, unfinished):
			return os.Remove(path) // of a crash in the middle of writing
		case !strings.HasSuffix(path, description) || strings.Count(d.Name(), ".") != 1:
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		e := newEntry(Recording{})
		if err := json.Unmarshal(b, &e.Recording); err != nil || a.beside(&e.Recording, description) != path {
			a.log.Error("a recording's description cannot be used", zap.String("file", path), zap.Error(err))
			return nil
		}
		found = append(found, e)
		return nil
	})
	return found, err
}

func newEntry(r Recording) *entry { return &entry{turn: make(chan struct{}, 1), Recording: r} }

// write replaces a recording's description.
func (a *Archive) write(r *Recording) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replace(a.beside(r, description), b)
}

// replace writes a file as a whole, or not at all.
func replace(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+unfinished, b, 0o600); err != nil {
		return errors.Join(err, remove(path+unfinished))
	}
	return os.Rename(path+unfinished, path)
}

// remove deletes a file, if there is one.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sound opens a recording's file, wherever it is.
func (a *Archive) sound(ctx context.Context, r Recording) (io.ReadSeekCloser, error) {
	if !r.Remote {
		return os.Open(a.path(&r))
	}
	if a.store == nil {
		return nil, errNoStore
	}
	return a.store.Get(ctx, r.key())
}

var errNoStore = errors.New("the file is in a store that is not configured any more")

// Attach keeps something beside a recording, under a name; it goes with the recording. The error may be [ErrNotFound].
func (a *Archive) Attach(callID, id, name string, content []byte) error {
	r, err := a.Get(callID, id)
	if err != nil {
		return err
	}
	return replace(a.beside(&r, "."+name+description), content)
}

// Attachment returns what was kept beside a recording. The error is [ErrNotFound] also where there is none of that name.
func (a *Archive) Attachment(callID, id, name string) ([]byte, error) {
	r, err := a.Get(callID, id)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(a.beside(&r, "."+name+description))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	return b, err
}

// Detach removes what was kept beside a recording.
func (a *Archive) Detach(callID, id, name string) error {
	r, err := a.Get(callID, id)
	if err != nil {
		return err
	}
	return remove(a.beside(&r, "."+name+description))
}

// clear removes a recording's files from the folder: attachments and description last, so that a crash between leaves
// something to go on with.
func (a *Archive) clear(r *Recording) error {
	err := remove(a.path(r))
	attached, _ := filepath.Glob(a.beside(r, ".*"+description)) // the pattern is a good one
	for _, path := range attached {
		err = errors.Join(err, remove(path))
	}
	if err != nil {
		return err
	}
	if err := remove(a.beside(r, description)); err != nil {
		return err
	}
	_ = os.Remove(filepath.Dir(a.path(r))) // the day's folder, when nothing is left in it
	return nil
}
