package cdr

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/state"
	"go.uber.org/zap"
)

// Config says where records go, and for how long they are kept.
type Config struct {
	Dir       string        // is made if there is none
	MaxBytes  int64         // of a file, from which on another one begins; 0: 100 MiB
	Retention time.Duration // of a file, from its last record on; 0: for ever
}

const defaultMaxBytes = 100 << 20

// waiting is how many records may wait for the disk; more are dropped and told of. The disk is never waited for.
const waiting = 10_000

// Detail is what a line holds: the call's record, with the times that bills are made of.
type Detail struct {
	state.Record
	RingMillis     int64 `json:"ringMillis"`     // from the start to the answer, or to the end of a call without one
	AnsweredMillis int64 `json:"answeredMillis"` // from the answer to the end
	BillableRefers int   `json:"billableRefers"`
}

// Of derives the detail of a call that is over from its record.
func Of(r state.Record) Detail {
	d := Detail{Record: r}
	until := func(from, to *time.Time) int64 {
		if from == nil || to == nil {
			return 0
		}
		return max(0, to.Sub(*from).Milliseconds())
	}
	answered := r.AnswerTime
	if answered == nil {
		answered = r.EndTime
	}
	d.RingMillis, d.AnsweredMillis = until(r.StartTime, answered), until(r.AnswerTime, r.EndTime)
	for _, f := range r.Refers {
		if f.Billable {
			d.BillableRefers++
		}
	}
	return d
}

// Writer writes records. Make one with [New], [Writer.Open] it, and Close it; it is safe for concurrent use.
type Writer struct {
	cfg Config
	log *zap.Logger
	now func() time.Time

	mu      sync.Mutex
	closed  bool
	queue   chan state.Record
	writing sync.WaitGroup

	// Of the goroutine that writes.
	file  *os.File
	name  string
	size  int64
	wrong bool // the last record could not be written
}

// New returns a writer. It opens nothing.
func New(cfg Config, log *zap.Logger) *Writer {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	return &Writer{cfg: cfg, log: log, now: time.Now, queue: make(chan state.Record, waiting)}
}

// Open makes the directory, and begins to write. Where there is no file yet an empty one says since when records are
// written.
func (w *Writer) Open() error {
	if err := os.MkdirAll(w.cfg.Dir, 0o700); err != nil {
		return err
	}
	probe, err := os.CreateTemp(w.cfg.Dir, ".probe-*")
	if err != nil {
		return err
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	if len(w.files()) == 0 {
		day := w.now().UTC().Format("20060102")
		if err := os.WriteFile(filepath.Join(w.cfg.Dir, "cdr-"+day+"-001.jsonl"), nil, 0o600); err != nil {
			return err
		}
	}
	w.writing.Go(func() {
		for r := range w.queue {
			w.write(r)
		}
	})
	return nil
}

// Write has the record of a call that is over written. It does not wait for the disk.
func (w *Writer) Write(r state.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	select {
	case w.queue <- r:
	default:
		w.log.Error("a call detail record was dropped: the disk is too slow", zap.String("call_id", r.CallID))
	}
}

// Close writes what waits and returns when that is done. It is idempotent.
func (w *Writer) Close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	w.writing.Wait()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

func (w *Writer) write(r state.Record) {
	line, err := json.Marshal(Of(r))
	if err == nil {
		err = w.append(append(line, '\n'))
	}
	if err != nil && !w.wrong {
		w.log.Error("call detail records cannot be written", zap.String("call_id", r.CallID), zap.Error(err))
	}
	w.wrong = err != nil
}

func (w *Writer) append(line []byte) error {
	day := w.now().UTC().Format("20060102")
	if w.file == nil || !strings.HasPrefix(w.name, "cdr-"+day) || w.size+int64(len(line)) > w.cfg.MaxBytes && w.size > 0 {
		if err := w.next(day); err != nil {
			return err
		}
	}
	n, err := w.file.Write(line)
	w.size += int64(n)
	return err
}

// next goes on to the day's first file that has room, and drops the files whose time is up.
func (w *Writer) next(day string) error {
	if w.file != nil {
		_ = w.file.Close() // what was written is written
		w.file = nil
	}
	w.drop()
	for n := 1; ; n++ {
		name := fmt.Sprintf("cdr-%s-%03d.jsonl", day, n)
		f, err := os.OpenFile(filepath.Join(w.cfg.Dir, name), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		size, err := whole(f)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if size < w.cfg.MaxBytes && name != w.name {
			w.file, w.name, w.size = f, name, size
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
}

// whole ends the last line of a file, which a process that was killed may have cut short, and returns the file's size.
func whole(f *os.File) (size int64, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] == '\n' {
		return info.Size(), err
	}
	_, err = f.Write([]byte{'\n'})
	return info.Size() + 1, err
}

func (w *Writer) drop() {
	if w.cfg.Retention <= 0 {
		return
	}
	for _, name := range w.files() {
		if info, err := os.Stat(name); err == nil && w.now().Sub(info.ModTime()) > w.cfg.Retention {
			if err := os.Remove(name); err != nil {
				w.log.Warn("old call detail records could not be removed", zap.Error(err))
			}
		}
	}
}

// files are the files of records, the oldest first.
func (w *Writer) files() []string {
	names, _ := filepath.Glob(filepath.Join(w.cfg.Dir, "cdr-*.jsonl")) // the pattern is right
	slices.Sort(names)
	return names
}

// Last returns the ids of the calls in the newest files, and when the last of them ended; without a record, since when
// records are written; zero: there is no file. It is for whoever wants to know what was missed when the process ended.
func (w *Writer) Last() (ids map[string]bool, ended time.Time, err error) {
	ids = map[string]bool{}
	names := w.files()
	for _, name := range names[max(0, len(names)-2):] {
		f, err := os.Open(name)
		if err != nil {
			return nil, time.Time{}, err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var d Detail
			if json.Unmarshal(lines.Bytes(), &d) != nil {
				continue // cut short by the end of a process
			}
			ids[d.CallID] = true
			if d.EndTime != nil && d.EndTime.After(ended) {
				ended = *d.EndTime
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, time.Time{}, err
		}
	}
	if len(ids) == 0 && len(names) > 0 {
		info, err := os.Stat(names[len(names)-1])
		if err != nil {
			return nil, time.Time{}, err
		}
		ended = info.ModTime()
	}
	return ids, ended, nil
}
