package transcribe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// niceness is how far the program stands back behind the calls, which cannot wait.
const niceness = "10"

// Limits of what is kept of the program's output, in bytes. An utterance has 20 s.
const (
	maxHypothesis = 64 << 10
	maxComplaint  = 64 << 10
)

// utterance is a stretch of speech, and the process that listens to it.
type utterance struct {
	p      *pocketsphinx
	start  int // samples
	length int // samples
	ctx    context.Context
	cancel context.CancelCauseFunc
	free   func() // gives the slot back

	cmd    *exec.Cmd // nil: the process could not be started
	stdin  io.WriteCloser
	stdout bounded
	stderr bounded
	up     upsampler
	buf    []byte
	err    error // the first
}

// begin waits until a process may run and starts it. What goes wrong is told by finish.
func (r *sphinxRun) begin(ctx context.Context, start int) *utterance {
	u := &utterance{
		p: r.pocketsphinx, start: start, free: func() {},
		stdout: bounded{limit: maxHypothesis}, stderr: bounded{limit: maxComplaint, latest: true},
	}
	u.ctx, u.cancel = context.WithCancelCause(ctx)
	select {
	case r.slots <- struct{}{}:
		u.free = func() { <-r.slots }
	case <-ctx.Done():
		u.err = context.Cause(ctx)
		return u
	}
	argv := r.argv()
	cmd := exec.CommandContext(u.ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second // its pipes may be held by others
	cmd.Stdout, cmd.Stderr = &u.stdout, &u.stderr
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		u.err = err
		return u
	}
	u.cmd, u.stdin = cmd, stdin
	return u
}

// argv is the program with its arguments: raw sound on standard input, the words with their times on standard output.
func (r *sphinxRun) argv() []string {
	argv := []string{
		r.program, "-infile", "/dev/stdin", "-time", "yes", "-remove_silence", "no",
		"-hmm", filepath.Join(r.model, "en-us"), "-dict", filepath.Join(r.model, "cmudict-en-us.dict"),
	}
	if r.grammar != "" {
		argv = append(argv, "-jsgf", r.grammar)
	} else {
		argv = append(argv, "-lm", filepath.Join(r.model, "en-us.lm.bin"))
	}
	if nice, err := exec.LookPath("nice"); err == nil {
		argv = append([]string{nice, "-n", niceness}, argv...)
	}
	return argv
}

// write hands samples over. It waits while the process is busy.
func (u *utterance) write(samples []int16) {
	u.length += len(samples)
	if u.err != nil || u.cmd == nil {
		return
	}
	u.buf = u.up.add(u.buf[:0], samples)
	stuck := time.AfterFunc(u.p.patience, func() { u.cancel(ErrSlow) })
	defer stuck.Stop()
	_, u.err = u.stdin.Write(u.buf)
}

// finish says that the utterance is over, waits for its text and returns it.
func (u *utterance) finish() (Result, error) {
	defer u.free()
	defer u.cancel(nil)
	if u.cmd == nil {
		return Result{}, u.err
	}
	late := time.AfterFunc(u.p.patience, func() { u.cancel(ErrSlow) })
	defer late.Stop()
	closed := u.stdin.Close()
	failed := u.cmd.Wait()
	switch {
	case u.ctx.Err() != nil:
		return Result{}, context.Cause(u.ctx)
	case failed != nil:
		return Result{}, u.complaint(failed)
	case u.err != nil:
		return Result{}, u.err
	case closed != nil:
		return Result{}, closed
	case u.stdout.over:
		return Result{}, errors.New("its output is too long")
	}
	return u.result()
}

func (u *utterance) result() (Result, error) {
	result, err := readHypothesis(u.stdout.kept)
	if err != nil {
		return Result{}, err
	}
	start, end := at(u.start), at(u.start+u.length)
	for i := range result.Items {
		item := &result.Items[i]
		item.Start, item.End = min(start+item.Start, end), min(start+item.End, end)
	}
	result.Start, result.End = start, end
	if n := len(result.Items); n > 0 {
		result.Start, result.End = result.Items[0].Start, result.Items[n-1].End
	}
	result.Language = DefaultLanguage
	return result, nil
}

// at is the time of a sample.
func at(sample int) time.Duration { return time.Duration(sample) * time.Second / SampleRate }

// complaint is how the process failed, with what it said of it among much else.
func (u *utterance) complaint(failed error) error {
	for line := range strings.Lines(string(u.stderr.kept)) {
		if said := strings.TrimSpace(line); strings.HasPrefix(said, "ERROR") || strings.HasPrefix(said, "FATAL") {
			return fmt.Errorf("%w (%s)", failed, said)
		}
	}
	return failed
}

// bounded keeps so many bytes of what is written to it: the first, or the latest.
type bounded struct {
	kept   []byte
	limit  int
	latest bool
	over   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - len(b.kept)
	if len(p) <= room {
		b.kept = append(b.kept, p...)
		return len(p), nil
	}
	b.over = true
	if b.latest {
		all := append(b.kept, p...)
		b.kept = bytes.Clone(all[len(all)-b.limit:])
	} else {
		b.kept = append(b.kept, p[:room]...)
	}
	return len(p), nil
}
