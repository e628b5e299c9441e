package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

const (
	// understanding is how long the text of what was said may take, from the end of the speech on: the caller waits for it.
	understanding = 30 * time.Second
	// longestSpeech is after how long somebody is not listened to any more whose end nobody finds.
	longestSpeech = 25 * time.Second
	// maxUnrecognised is how many samples may wait for the engine: it may take 10 s to connect to it, and what is said at
	// once must not be lost meanwhile.
	maxUnrecognised = 30 * media.SampleRate
)

// errEngineStopped is why nothing is known of what is said any more.
var errEngineStopped = errors.New("the engine of transcription has stopped")

// recognition listens on a call for one utterance. The node itself finds out when somebody begins to speak and when they
// are silent again, so that prompts stop at once whatever the engine is, and tells the engine the end.
type recognition struct {
	*scribe
	callID  string
	partial func(transcript string) // nil: nobody is told
	sound   *transcribe.Live
	deafen  func()

	ctx    context.Context // of the engine's work
	giveUp context.CancelCauseFunc
	began  chan struct{}
	done   chan struct{}

	mu       sync.Mutex
	detector transcribe.Detector
	speaking bool        // as the detector finds
	detected bool        // it has found so
	spoken   bool        // began is closed
	over     bool        // the speech has ended
	limit    *time.Timer // of the speech, then of its text; nil: nobody has spoken

	results []transcribe.Result // that are final; of the engine's goroutine until done is closed
	newest  string              // that was told of; likewise
	said    webhook.Speech      // once done is closed
	err     error               // likewise
}

var _ verbs.Recognition = (*recognition)(nil)

// CanRecognize implements [interpreter.Leg].
func (l *leg) CanRecognize() error {
	if what := transcribe.Missing(l.scribe.engine); what != "" {
		return &transcribe.MissingError{What: what}
	}
	return nil
}

// Recognize implements [interpreter.Leg].
func (l *leg) Recognize(_ context.Context, s verbs.SpeechInput) (verbs.Recognition, error) {
	if err := l.CanRecognize(); err != nil {
		return nil, err
	}
	sound := l.sip.Media()
	if sound == nil {
		return nil, media.ErrClosed
	}
	return l.scribe.recognize(l.callID, sound.Listen, s), nil
}

func (s *scribe) recognize(callID string, listen func(media.Listener) (stop func()), in verbs.SpeechInput) *recognition {
	x := &recognition{
		scribe: s, callID: callID, partial: in.Partial, sound: transcribe.NewLive(maxUnrecognised),
		began: make(chan struct{}), done: make(chan struct{}),
	}
	x.ctx, x.giveUp = context.WithCancelCause(s.life)
	s.metrics.transcriptions.Inc()
	x.deafen = listen(x.put)
	s.running.Go(func() {
		defer close(x.done)
		x.hear(transcribe.Options{
			Language: in.Language, Hints: in.Hints, Model: in.Model, ProfanityFilter: in.ProfanityFilter,
			Partial: in.Partial != nil, CallID: callID, Track: "inbound",
		})
	})
	return x
}

// Began implements [verbs.Recognition].
func (x *recognition) Began() <-chan struct{} { return x.began }

// Done implements [verbs.Recognition].
func (x *recognition) Done() <-chan struct{} { return x.done }

// Said implements [verbs.Recognition].
func (x *recognition) Said() (webhook.Speech, error) { return x.said, x.err }

// Stop implements [verbs.Recognition].
func (x *recognition) Stop() {
	x.deafen()
	x.giveUp(context.Canceled)
}

// put is told of the call's sound.
func (x *recognition) put(in, _ []int16) {
	x.sound.Put(in)
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.speaking = x.detector.Hear(in); {
	case x.speaking:
		x.detected = true
		x.begins()
	case x.detected:
		x.ends()
	}
}

// begins notes that somebody speaks. The lock is held.
func (x *recognition) begins() {
	if x.spoken {
		return
	}
	x.spoken = true
	close(x.began)
	x.limit = time.AfterFunc(longestSpeech, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ends()
	})
}

// ends notes that they are silent again. The lock is held.
func (x *recognition) ends() {
	if x.over {
		return
	}
	x.over = true
	x.limit.Stop()
	x.limit = time.AfterFunc(understanding, func() { x.giveUp(transcribe.ErrSlow) })
	x.sound.End()
}

// hear has the sound recognised to its end.
func (x *recognition) hear(o transcribe.Options) {
	defer context.AfterFunc(x.ctx, x.sound.End)()
	err := x.transcribe(x.ctx, x.sound, o, x.tell)
	spoken := x.heard()
	x.metrics.transcriptions.Dec()
	if lost := x.sound.Lost(); lost > 0 {
		x.metrics.transcriptionLost.Add(float64(lost) / media.SampleRate)
	}
	text, confidence, _ := summed(x.results)
	x.said = webhook.Speech{Transcript: text, Confidence: confidence}
	switch {
	case text != "":
		if err != nil { // what was told before counts
			x.log.Warn("the engine of transcription failed when speech was recognised", zap.String("call_id", x.callID), zap.Error(err))
		}
		x.metrics.transcription("gather", "available")
	case errors.Is(context.Cause(x.ctx), context.Canceled): // nobody waits for it any more
	case err != nil:
		x.err = err
		x.metrics.transcription("gather", "failed")
	case spoken:
		x.metrics.transcription("gather", "available")
	default:
		x.err = errEngineStopped
		x.metrics.transcription("gather", "failed")
	}
}

// heard ends the listening, and reports whether somebody spoke.
func (x *recognition) heard() bool {
	x.deafen()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
	if x.limit != nil {
		x.limit.Stop()
	}
	return x.spoken
}

// tell is told of a result. What an engine has understood was said, whatever the node has heard.
func (x *recognition) tell(r transcribe.Result) {
	if r.Text == "" || x.ctx.Err() != nil {
		return
	}
	if !r.Partial {
		x.results = append(x.results, r)
	}
	x.mu.Lock()
	x.begins()
	if !r.Partial && !x.speaking {
		x.ends()
	}
	x.mu.Unlock()
	if !r.Partial || x.partial == nil {
		return
	}
	soFar, _, _ := summed(append(x.results[:len(x.results):len(x.results)], r))
	if soFar != x.newest {
		x.newest = soFar
		x.partial(soFar)
	}
}
