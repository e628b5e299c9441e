package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/state/transcripts"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// scribe turns what is said on calls into text, by the configured engine.
type scribe struct {
	engine    transcribe.Transcriber
	client    *http.Client // by the rules that hold for webhooks
	archive   *transcripts.Archive
	metrics   *metrics
	log       *zap.Logger
	accountID string
	callURL   func(id string) string

	life    context.Context // ends with close
	end     context.CancelFunc
	running sync.WaitGroup

	owed errands // texts of which the end is waited for
}

const (
	// maxUnheard is how many samples of a track may wait for the engine: a minute. Beyond, there is silence.
	maxUnheard = 60 * media.SampleRate
	// lastWords is how long the text of what was said last may take.
	lastWords = 2 * time.Minute
)

func newScribe(n *Node, engine transcribe.Transcriber) *scribe {
	s := &scribe{
		engine: engine, client: n.client.HTTPClient(), metrics: n.metrics, log: n.log, accountID: n.cfg.AccountID, callURL: n.callURL,
		archive: transcripts.New(n.cfg.Transcriptions.Dir, n.cfg.Transcriptions.Retention, n.log),
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

// close ends what is under way and returns when it has ended.
func (s *scribe) close() {
	s.end()
	s.running.Wait()
	s.archive.Close()
}

// transcribe asks the engine. A panic in it is its failure.
func (s *scribe) transcribe(ctx context.Context, sound transcribe.Sound, o transcribe.Options, tell func(transcribe.Result)) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.metrics.PanicRecovered()
			s.log.Error("panic in the engine of transcription", zap.String("call_id", o.CallID), zap.Any("panic", v), zap.Stack("stack"))
			err = &transcribe.EngineError{Engine: "transcription", Reason: fmt.Sprint("panic: ", v)}
		}
	}()
	return s.engine.Transcribe(ctx, sound, o, tell)
}

// transcription is one of a call that is live.
type transcription struct {
	*scribe
	callID string
	cfg    verbs.TranscriptionConfig
	feed   *transcribe.Feed // nil: nobody gets updates
	tracks []*track
	deafen func()

	ctx    context.Context // of the engine's work
	giveUp context.CancelCauseFunc
	broken chan error // the first failure of the engine
	ends   sync.WaitGroup

	lost lostText
	turn chan struct{} // who writes the file holds it

	mu sync.Mutex // guards the results of the tracks
}

// track is one side of the call.
type track struct {
	name    string
	sound   *transcribe.Live
	results []transcribe.Result // that are final; under the transcription's lock
	err     error               // of the engine's goroutine until that has ended
}

var _ verbs.Transcription = (*transcription)(nil)

// OpenTranscription implements [interpreter.Leg].
func (l *leg) OpenTranscription(ctx context.Context, c webhook.Call, t verbs.TranscriptionConfig) (verbs.Transcription, error) {
	x, err := l.scribe.open(ctx, c, l.sip.Media().Listen, t)
	if err != nil {
		l.scribe.metrics.transcription("live", "rejected")
		return nil, asTranscriptionError(err)
	}
	return x, nil
}

func asTranscriptionError(err error) error {
	cause := "error"
	var connection *transcribe.ConnectError
	if errors.As(err, &connection) && !errors.Is(err, webhook.ErrRefused) {
		cause = "connection-error"
	}
	return &verbs.TapError{Cause: cause, Err: err}
}

func (s *scribe) open(ctx context.Context, c webhook.Call, listen func(media.Listener) (stop func()), cfg verbs.TranscriptionConfig) (*transcription, error) {
	if what := transcribe.Missing(s.engine); what != "" {
		return nil, &transcribe.MissingError{What: what}
	}
	callID := c.CallID
	x := &transcription{
		scribe: s, callID: callID, cfg: cfg, lost: lostText{Call: c, Config: cfg}, broken: make(chan error, 1), turn: make(chan struct{}, 1),
	}
	if cfg.Destination != "" {
		meta := transcribe.FeedMetadata{AccountID: s.accountID, CallID: callID, ID: cfg.ID, Name: cfg.Name, Stabilized: cfg.Stabilized}
		for _, t := range cfg.Tracks {
			meta.Tracks = append(meta.Tracks, transcribe.FeedTrack{Name: t})
		}
		var err error
		if x.feed, err = transcribe.OpenFeed(ctx, s.client, cfg.Destination, meta, cfg.Params); err != nil {
			return nil, err
		}
	}
	x.ctx, x.giveUp = context.WithCancelCause(s.life)
	for _, name := range cfg.Tracks {
		t := &track{name: name, sound: transcribe.NewLive(maxUnheard)}
		x.tracks = append(x.tracks, t)
		x.ends.Go(func() { x.hear(t) })
	}
	x.save() // so that its end is told of whatever happens
	x.deafen = listen(x.put)
	s.metrics.transcriptions.Inc()
	return x, nil
}

// put is told of the call's sound.
func (x *transcription) put(in, out []int16) {
	for _, t := range x.tracks {
		if t.name == "outbound" {
			t.sound.Put(out)
		} else {
			t.sound.Put(in)
		}
	}
}

// hear has a track transcribed to its end.
func (x *transcription) hear(t *track) {
	defer context.AfterFunc(x.ctx, t.sound.End)()
	o := transcribe.Options{
		DetectLanguage: true, ProfanityFilter: false, Partial: x.feed != nil && !x.cfg.Stabilized, CallID: x.callID, Track: t.name,
	}
	t.err = x.transcribe(x.ctx, t.sound, o, func(r transcribe.Result) {
		if x.feed != nil && r.Text != "" {
			x.feed.Tell(t.name, r)
		}
		if !r.Partial && r.Text != "" {
			x.mu.Lock()
			t.results = append(t.results, r)
			x.mu.Unlock()
			x.save()
		}
	})
	if t.err != nil {
		select {
		case x.broken <- t.err:
		default:
		}
	}
}

// Run implements [verbs.Transcription].
func (x *transcription) Run(ctx context.Context) (err error) {
	var gone <-chan struct{}
	if x.feed != nil {
		gone = x.feed.Done()
	}
	select {
	case <-ctx.Done():
	case <-gone:
		err = x.feed.Err()
	case err = <-x.broken:
	}
	x.deafen()
	lost := 0
	for _, t := range x.tracks {
		t.sound.End()
		lost += t.sound.Lost()
	}
	if lost > 0 {
		x.metrics.transcriptionLost.Add(float64(lost) / media.SampleRate)
		x.log.Warn("a transcription has gaps: its engine was too slow", zap.String("call_id", x.callID),
			zap.String("transcription_id", x.cfg.ID), zap.Duration("missing", time.Duration(lost)*time.Second/media.SampleRate))
	}
	if err != nil {
		return asTranscriptionError(err)
	}
	return nil
}

// Finish implements [verbs.Transcription].
func (x *transcription) Finish(done func(verbs.FinishedTranscription) error) {
	over := x.owed.begin()
	x.running.Go(func() {
		defer over()
		late := time.AfterFunc(lastWords, func() { x.giveUp(transcribe.ErrSlow) })
		x.ends.Wait()
		late.Stop()
		x.giveUp(nil)
		if x.feed != nil {
			x.feed.Close()
		}
		x.metrics.transcriptions.Dec()
		f := x.keep()
		if err := done(f); err == nil { // else the next process tells
			x.told(f)
		}
	})
}

// keep keeps the text.
func (x *transcription) keep() verbs.FinishedTranscription {
	f := verbs.FinishedTranscription{URL: x.callURL(x.callID) + "/transcriptions/" + x.cfg.ID, Completed: time.Now()}
	for _, t := range x.tracks {
		if t.err != nil {
			f.Failed = true
			x.log.Error("a call could not be transcribed to its end", zap.String("call_id", x.callID),
				zap.String("transcription_id", x.cfg.ID), zap.String("track", t.name), zap.Error(t.err))
		}
	}
	x.lost.Failed = f.Failed
	if err := x.write(f.Completed, false, x.lost.packed()); err != nil {
		f.Failed = true
		x.log.Error("a transcription could not be kept", zap.String("call_id", x.callID), zap.String("transcription_id", x.cfg.ID), zap.Error(err))
	}
	result := "available"
	if f.Failed {
		result = "failed"
	}
	x.metrics.transcription("live", result)
	return f
}

// summed is the text of results as one, how sure it is (each as long as its text), and the language of most of it.
func summed(results []transcribe.Result) (text string, confidence float64, language string) {
	texts, languages, all := []string{}, map[string]int{}, 0
	for _, r := range results {
		texts = append(texts, r.Text)
		confidence += r.Confidence * float64(len(r.Text))
		all += len(r.Text)
		languages[r.Language] += len(r.Text)
	}
	if all > 0 {
		confidence = math.Round(confidence/float64(all)*1e4) / 1e4
	}
	language = transcribe.DefaultLanguage
	for l, n := range languages {
		if l != "" && (n > languages[language] || n == languages[language] && l < language) {
			language = l
		}
	}
	return strings.Join(texts, " "), confidence, language
}
