package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// exitWait is how long the pipes of a process that was killed may stay open: its children can hold them.
const exitWait = time.Second

// maxStderr is how much of what a process complains about is kept.
const maxStderr = 1 << 10

// processSource is the sound of a process that reads text on its standard input and writes a WAV file on its standard
// output, heard while it is written.
type processSource struct {
	name   string
	ctx    context.Context
	cancel context.CancelFunc
	cmd    *exec.Cmd
	stdout io.Reader
	stderr limitedBuffer

	sound  frames // nil: the header was not read yet
	reap   sync.Once
	result error // of the process, once reaped
}

// startProcess starts a process that speaks text. ctx bounds its life.
func startProcess(ctx context.Context, name string, argv []string, text string) (*processSource, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &processSource{name: name, ctx: ctx, cancel: cancel}
	p.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	p.cmd.WaitDelay = exitWait
	p.cmd.Stdin = strings.NewReader(text) // never an argument: those can be seen by every user, and begin with "-"
	p.cmd.Stderr = &p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, &SpeechError{Engine: name, Reason: err.Error(), Err: err}
	}
	p.stdout = stdout
	return p, nil
}

func (p *processSource) ReadFrame(dst []int16) (int, error) {
	if p.sound == nil {
		if err := p.open(); err != nil {
			return 0, err
		}
	}
	n, err := p.sound.ReadFrame(dst)
	if err != nil {
		err = p.end(err)
	}
	return n, err
}

// open reads the header of the WAV file.
func (p *processSource) open() error {
	head := make([]byte, 1)
	if _, err := io.ReadFull(p.stdout, head); err != nil {
		return p.end(err) // no output: nothing to say, or a failure
	}
	w, err := openWAV(io.MultiReader(bytes.NewReader(head), p.stdout))
	if err != nil {
		return p.end(err)
	}
	p.sound = resample(w, w.rate)
	return nil
}

// end waits for the process after its output has ended with err, and returns what that means.
func (p *processSource) end(err error) error {
	if !errors.Is(err, io.EOF) {
		p.cancel() // it would go on writing
	}
	failed := p.wait()
	switch {
	case p.ctx.Err() != nil && errors.Is(err, io.EOF):
		return context.Cause(p.ctx)
	case !errors.Is(err, io.EOF):
		return &SpeechError{Engine: p.name, Reason: err.Error(), Err: err}
	case failed != nil:
		return &SpeechError{Engine: p.name, Reason: p.complaint(failed), Err: failed}
	}
	return io.EOF
}

// complaint returns what the process said, and how it ended.
func (p *processSource) complaint(failed error) string {
	said := strings.TrimSpace(string(p.stderr.kept))
	if said == "" {
		return failed.Error()
	}
	return said + " (" + failed.Error() + ")"
}

func (p *processSource) wait() error {
	p.reap.Do(func() { p.result = p.cmd.Wait() })
	return p.result
}

// Close ends the process if it still runs, and waits for it.
func (p *processSource) Close() error {
	p.cancel()
	_ = p.wait() // that it was killed is no error
	return nil
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct{ kept []byte }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), maxStderr-len(b.kept))]...)
	return len(p), nil
}
