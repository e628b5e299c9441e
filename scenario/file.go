package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File is a scenario as it was read from a YAML file: a call, the application that it meets, what the phone does, and
// what is expected of all that. docs/scenario.schema.json describes the format. A File is not changed by running it.
type File struct {
	Path string // where it was read from; names it where it has no name
	spec spec
	text []byte // the file's own
	root fs.FS  // that the files it names are read from; nil: the host's, relative to Path
}

// Name is what the scenario calls itself, else its path.
func (f *File) Name() string { return cmp.Or(f.spec.Name, f.Path) }

// Description is the scenario's text for readers.
func (f *File) Description() string { return f.spec.Description }

// Replies reports whether the scenario says itself what the application answers.
func (f *File) Replies() bool { return len(f.spec.Application.Replies) > 0 }

// FileError is one reason why a scenario is not taken.
type FileError struct {
	File         string
	Line, Column int // from 1; 0: it is about the whole file
	Reason       string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// FileErrors are all reasons why a scenario is not taken, in the order of its lines; a line of text for each.
type FileErrors []*FileError

func (all FileErrors) Error() string {
	lines := make([]string, len(all))
	for i, e := range all {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each of them.
func (all FileErrors) Unwrap() []error {
	errs := make([]error, len(all))
	for i, e := range all {
		errs[i] = e
	}
	return errs
}

// maxFileSize bounds a scenario, and each file that it names.
const maxFileSize = 4 << 20

// Load reads a scenario file. An error is a [FileErrors].
func Load(path string) (*File, error) { return load(nil, path) }

// LoadFS reads a scenario file, and what it names, from a file system. An error is a [FileErrors].
func LoadFS(root fs.FS, path string) (*File, error) { return load(root, path) }

func load(root fs.FS, path string) (*File, error) {
	f := &File{Path: path, root: root}
	content, err := f.open(path)
	if err != nil {
		return nil, FileErrors{{File: path, Reason: err.Error()}}
	}
	return f, f.parse(content)
}

// Parse reads a scenario from its text. Files that it names are looked for relative to path. An error is a [FileErrors].
func Parse(path string, content []byte) (*File, error) {
	f := &File{Path: path}
	return f, f.parse(content)
}

// open reads a file whole.
func (f *File) open(path string) ([]byte, error) {
	open, stat := func(path string) (fs.File, error) { return os.Open(path) }, os.Stat
	if f.root != nil {
		open, stat = f.root.Open, func(path string) (fs.FileInfo, error) { return fs.Stat(f.root, path) }
	}
	info, err := stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	var r fs.File
	if err == nil {
		r, err = open(path)
	}
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the path, which the message has already
		}
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, maxFileSize+1))
	if err = errors.Join(err, r.Close()); err == nil && len(content) > maxFileSize {
		err = fmt.Errorf("is larger than %d bytes", maxFileSize)
	}
	return content, err
}

// beside reads a file that the scenario names, relative to its own folder.
func (f *File) beside(name string) ([]byte, error) {
	if f.root != nil {
		return f.open(filepath.ToSlash(filepath.Join(filepath.Dir(f.Path), name)))
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.Path), name)
	}
	return f.open(name)
}

// parse reads the scenario. The error is a FileErrors or nil.
func (f *File) parse(content []byte) error {
	f.text = content
	document, err := onlyDocument(content)
	if err != nil {
		return FileErrors{notYAML(f.Path, err)}
	}
	d := &decoder{file: f}
	d.document(document, &f.spec)
	if len(d.errs) == 0 {
		f.spec.check(d)
		d.names(&f.spec)
	}
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *FileError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return FileErrors(d.errs)
}

// Find returns the scenario files that the paths name: a file as it is, of a folder every *.yaml and *.yml in it and
// below, in the order of their names. A folder without any is an error.
func Find(paths ...string) ([]string, error) {
	var found []string
	for _, path := range paths {
		before := len(found)
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			ext := filepath.Ext(name)
			if err == nil && !entry.IsDir() && (name == path || ext == ".yaml" || ext == ".yml") {
				found = append(found, name)
			}
			return err
		})
		if missing := (*fs.PathError)(nil); errors.As(err, &missing) {
			return nil, fmt.Errorf("%s: %w", missing.Path, missing.Err)
		}
		if err != nil {
			return nil, err
		}
		if len(found) == before {
			return nil, fmt.Errorf("%s: no scenario (*.yaml) in it", path)
		}
	}
	return found, nil
}
