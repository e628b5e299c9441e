package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dirFormat is the form of a state directory. A version that writes another one has another number. oldFormat is the
// earliest one that can still be read: what there is of it stays as it is, and what is added is of this one.
const (
	dirFormat = 2
	oldFormat = 1
)

// Files of a state directory.
const (
	lockFile   = "lock"
	formatFile = "format"
	storeDir   = "jetstream"
	probeFile  = "probe"
)

// DirError is returned for a state directory that cannot be used. It is wrapped where the operating system said why.
type DirError struct {
	Dir    string
	Reason string
	Err    error // nil: it is ours
}

func (e *DirError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Dir, e.Reason, e.Err)
	}
	return e.Dir + ": " + e.Reason
}

func (e *DirError) Unwrap() error { return e.Err }

// stateDir is a state directory that this process has for itself.
type stateDir struct {
	path string
	lock *os.File
}

// openDir makes a directory this process's own, and makes it if there is none. Nothing in it is touched before it is
// known to be nobody else's and of this version's form.
func openDir(path string) (d *stateDir, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, &DirError{path, "it cannot be made", err}
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &DirError{path, "it cannot be written", err}
	}
	defer func() {
		if err != nil {
			_ = unlock(lock) // the first error counts
		}
	}()
	switch err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, &DirError{path, "another node" + holder(lock) + " uses it; each node needs a state.dir of its own", nil}
	case err != nil:
		return nil, &DirError{path, "it cannot be locked", err}
	}
	if err := checkFormat(path); err != nil {
		return nil, err
	}
	if err := errors.Join(lock.Truncate(0), writeAt(lock, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return nil, &DirError{path, "it cannot be written", err}
	}
	return &stateDir{path, lock}, nil
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// holder tells which process holds a lock, as that has noted.
func holder(lock *os.File) string {
	pid, err := io.ReadAll(io.LimitReader(lock, 32))
	if n, wrong := strconv.Atoi(strings.TrimSpace(string(pid))); err == nil && wrong == nil {
		return fmt.Sprintf(" (process %d)", n)
	}
	return ""
}

// checkFormat refuses what can only be read by another version, and notes of which form a directory is from now on.
func checkFormat(path string) error {
	name := filepath.Join(path, formatFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(path, storeDir)); !errors.Is(err, os.ErrNotExist) {
			return &DirError{path, "it holds state, but its file " + formatFile + ", which says of which version, is missing", nil}
		}
		return noteFormat(name)
	}
	if err != nil {
		return &DirError{path, "it cannot be read", err}
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		return &DirError{path, fmt.Sprintf("its file %s holds %q, which is no number of a version", formatFile, strings.TrimSpace(string(text))), nil}
	case format > dirFormat:
		return &DirError{path, fmt.Sprintf("its state is of format %d, of a later version of callengine; this one reads formats up to %d", format, dirFormat), nil}
	case format < oldFormat:
		return &DirError{path, fmt.Sprintf("its state is of format %d, of an earlier version of callengine; this one reads format %d and later ones. Let the earlier version deliver what it owes, then start with another directory", format, oldFormat), nil}
	case format < dirFormat:
		return noteFormat(name)
	}
	return nil
}

func noteFormat(name string) error {
	if err := os.WriteFile(name, []byte(strconv.Itoa(dirFormat)+"\n"), 0o600); err != nil {
		return &DirError{filepath.Dir(name), "it cannot be written", err}
	}
	return nil
}

// close lets others have the directory.
func (d *stateDir) close() error { return unlock(d.lock) }

// unlock gives a lock back and closes its file. Closing alone would not do: a process that was started a moment ago, and
// has not yet become another program, has the file open, too.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// tryWriting finds out whether the disk takes anything.
func (d *stateDir) tryWriting() (err error) {
	f, err := os.Create(filepath.Join(d.path, probeFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := writeAt(f, "can this be written?\n"); err != nil {
		return err
	}
	return f.Sync()
}

// freeAt is how many bytes can still be written to the disk of a directory.
func freeAt(path string) (int64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return 0, err
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}
