package transcribe

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

// What Debian's packages pocketsphinx and pocketsphinx-en-us install.
const (
	sphinxProgram = "pocketsphinx_continuous"
	sphinxModel   = "/usr/share/pocketsphinx/model/en-us"
)

const (
	sphinxMissing      = "pocketsphinx is not installed: apt-get install pocketsphinx"
	sphinxModelMissing = "the English model of pocketsphinx is not installed: apt-get install pocketsphinx-en-us"
)

// sphinxFailures is after how many failures in a row a transcription is given up: one utterance may confuse the program.
const sphinxFailures = 3

// sphinxPatience is how long the program may take from the end of an utterance on, that of its sound not counted. It stands
// back behind the calls: where these keep every core busy it gets about a tenth of one, and so half a minute for what takes it
// 1.5 s else. A late text is better than none, and a caller who waits for it gives up sooner.
const sphinxPatience = 2 * time.Minute

// pocketsphinx has one process for each utterance. It starts when somebody begins to speak and gets the sound while they
// do, so that the text is there soon after their last word; what it has heard of one caller it cannot mix up with another, and
// one that fails takes a single utterance with it. Its results are final; its language is English. Given hints, it
// listens for them alone.
type pocketsphinx struct {
	program  string
	model    string
	patience time.Duration
	slots    chan struct{} // holds a token for each process
	log      *zap.Logger
}

func newPocketsphinx(processes int, log *zap.Logger) *pocketsphinx {
	return &pocketsphinx{
		program: sphinxProgram, model: sphinxModel, patience: sphinxPatience,
		slots: make(chan struct{}, processes), log: log,
	}
}

func (p *pocketsphinx) missing() string {
	if _, err := exec.LookPath(p.program); err != nil {
		return sphinxMissing
	}
	if _, err := os.Stat(filepath.Join(p.model, "en-us", "mdef")); err != nil {
		return sphinxModelMissing
	}
	return ""
}

// Transcribe implements [Transcriber].
func (p *pocketsphinx) Transcribe(ctx context.Context, sound Sound, o Options, tell func(Result)) error {
	if what := p.missing(); what != "" {
		return &MissingError{What: what}
	}
	if language, _, _ := strings.Cut(o.Language, "-"); language != "" && !strings.EqualFold(language, "en") {
		return &EngineError{Engine: EnginePocketsphinx, Reason: "it understands English only, not " + o.Language}
	}
	grammar, err := p.grammar(o)
	if err != nil {
		return &EngineError{Engine: EnginePocketsphinx, Reason: "the grammar of the hints could not be written", Err: err}
	}
	defer grammar.remove()
	r := &sphinxRun{pocketsphinx: p, grammar: grammar.path, o: o, tell: tell}
	defer r.abandon()
	frame := make([]int16, frameLen)
	for {
		n, err := readFull(sound, frame)
		clear(frame[n:])
		if n > 0 {
			if err := r.hear(ctx, frame); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return r.finish(ctx)
		case err != nil:
			return err
		}
	}
}

// readFull fills dst, but for the end of the sound.
func readFull(sound Sound, dst []int16) (n int, err error) {
	for n < len(dst) && err == nil {
		var more int
		more, err = sound.ReadFrame(dst[n:])
		n += more
	}
	return n, err
}

// sphinxRun is one transcription.
type sphinxRun struct {
	*pocketsphinx
	grammar  string
	o        Options
	tell     func(Result)
	detector Detector
	history  history
	heard    int        // samples
	speech   *utterance // nil: nobody speaks
	told     bool       // of an utterance at least
	failed   int        // utterances in a row
	failure  error      // of the newest that failed; nil: none has
}

// hear takes the next frame.
func (r *sphinxRun) hear(ctx context.Context, frame []int16) error {
	r.heard += len(frame)
	r.history.add(frame)
	edge := r.detector.next(frame)
	if edge == began {
		r.speech = r.begin(ctx, r.heard-len(r.history.samples))
		r.speech.write(r.history.samples)
		return nil
	}
	if r.speech == nil {
		return nil
	}
	r.speech.write(frame)
	if edge == ended {
		r.history.samples = r.history.samples[:0]
		return r.settle(ctx)
	}
	return nil
}

// settle waits for the text of the utterance, if there is one.
func (r *sphinxRun) settle(ctx context.Context) error {
	u := r.speech
	if u == nil {
		return nil
	}
	r.speech = nil
	result, err := u.finish()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		r.failed, r.told = 0, true
		r.tell(result)
		return nil
	}
	r.failure = &EngineError{Engine: EnginePocketsphinx, Reason: err.Error(), Err: err}
	if r.failed++; r.failed >= sphinxFailures {
		return r.failure
	}
	r.log.Warn("an utterance could not be transcribed", zap.String("call_id", r.o.CallID), zap.Error(r.failure))
	return nil
}

// finish waits for the last utterance. Where every single one has failed, what was said is unknown.
func (r *sphinxRun) finish(ctx context.Context) error {
	if err := r.settle(ctx); err != nil || r.told {
		return err
	}
	return r.failure
}

// abandon ends the process that nobody waits for any more.
func (r *sphinxRun) abandon() {
	if r.speech != nil {
		r.speech.cancel(context.Canceled)
		_, _ = r.speech.finish() // it was given up
	}
}
