package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/callengine/callengine/state"
)

// RunOptions say where scenarios run. The zero value: over the host's loopback address, with their own replies.
type RunOptions struct {
	App     string  // URL of a real application that is asked in place of the scenario's replies
	Network Network // nil: the host's
}

// Result is how a scenario went.
type Result struct {
	File     *File
	Failures []Failure // what went otherwise than expected, in the order in which it can be seen in the call
	Err      error     // why it could not be run at all
	Duration time.Duration

	journal []state.Entry
	run     *run // that it is the result of
}

// Failure is something that went otherwise than a scenario expects.
type Failure struct {
	Line, Column int    // of the file, where it says so; 0: nowhere
	Text         string // what is different
	after        uint64 // entry of the journal that it is to be seen after
	fix          fix    // has the file expect what happened; nil: there is no way
}

// OK reports whether all went as expected.
func (r Result) OK() bool { return r.Err == nil && len(r.Failures) == 0 }

// First is the first difference, or why the scenario could not be run; empty when all went as expected.
func (r Result) First() string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case len(r.Failures) == 0:
		return ""
	}
	return r.Place(r.Failures[0])
}

// Place is a failure's text with the line of the file that it is about, if it is about one.
func (r Result) Place(f Failure) string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("%s:%d: %s", r.File.Path, f.Line, f.Text)
}

// Journal returns what happened, as the node wrote it down: of a call that it did not let in, the phone's own view.
func (r Result) Journal() []state.Entry { return r.journal }

// WriteLadder draws what happened, with each failure marked where it is to be seen.
func (r Result) WriteLadder(w io.Writer, l state.Ladder) error {
	for _, f := range r.Failures {
		l.Marks = append(l.Marks, state.Mark{After: f.after, Text: f.Text})
	}
	return l.Write(w, r.journal)
}

// defaultTimeout bounds a scenario that says nothing else: longer than a transaction of SIP that nobody answers.
const defaultTimeout = 40 * time.Second

// Run runs the scenario, on a node of its own with everything around it on free ports, and returns when all of that has
// ended. It takes no longer than the scenario's timeout, and what it takes to hang up.
func (f *File) Run(ctx context.Context, o RunOptions) Result {
	began := time.Now()
	if o.Network == nil {
		o.Network = System{}
	}
	timeout := f.spec.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("the %v of the scenario are over", timeout))
	defer cancel()
	r := &run{file: f, spec: &f.spec, options: o}
	result := Result{File: f}
	if err := r.open(ctx); err != nil {
		result.Err = errors.Join(err, r.close())
		result.Duration = time.Since(began)
		return result
	}
	r.play(ctx)
	result.Err = errors.Join(r.failed, r.close())
	if result.Err == nil {
		r.judge()
		// What went wrong first is often why the rest did.
		slices.SortStableFunc(r.failures, func(a, b Failure) int { return cmp.Compare(a.after, b.after) })
	}
	result.Failures, result.journal, result.run = r.failures, r.journal, r
	result.Duration = time.Since(began)
	return result
}

// RunAll runs scenarios, so many at a time, and tells of each result in the order of the files as soon as those before it
// have been told. It returns when all have ended.
func RunAll(ctx context.Context, files []*File, parallel int, o RunOptions, tell func(Result)) {
	done := make([]chan Result, len(files))
	for i := range done {
		done[i] = make(chan Result, 1) // so that nobody waits to be told of
	}
	next := make(chan int)
	var running sync.WaitGroup
	for range max(1, min(parallel, len(files))) {
		running.Go(func() {
			for i := range next {
				done[i] <- files[i].Run(ctx, o)
			}
		})
	}
	running.Go(func() {
		for i := range files {
			next <- i
		}
		close(next)
	})
	for _, c := range done {
		tell(<-c)
	}
	running.Wait()
}
