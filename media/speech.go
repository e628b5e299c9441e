package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// SpeechConfig is what users set of the speech.
type SpeechConfig struct {
	Engine  string   // "espeak-ng" (also when empty), "command", "http" or "none"
	Command []string // of engine "command": the program and its arguments
	URL     string   // of engine "http"
	Voices  []Voice  // added to [DefaultVoices]; a voice of the same name replaces the default one
}

// Utterance is something to say.
type Utterance struct {
	Voice  string // a name of the voice table; empty: Locale and Gender choose
	Locale string
	Gender string
	Text   string // plain
	SSML   string // the same with its tags, inside <speak>; empty: there are none

	// Speaker is the engine's own name of the voice. [Engine.Speak] fills it in from the voice table.
	Speaker string

	CallID string // the call that says it, for the log alone; may be empty
}

// Synthesizer turns text into sound. It is asked by several goroutines at once.
type Synthesizer interface {
	// Synthesize returns the sound of u while it is being made. ctx bounds all of it. A [*MissingError] says that the
	// engine is not there. If it fails at SSML, it is asked again with the text alone.
	Synthesize(ctx context.Context, u Utterance) (Source, error)
}

const (
	maxSound = time.Hour // of one file or text

	speechCacheLimit = 64 << 20        // bytes of sound that are kept
	speechKeep       = 8 << 20         // bytes of the longest sound that is kept: about 9 minutes
	speechAhead      = 30 * SampleRate // samples of a longer one that are made ahead
	sampleSize       = 2
)

// speech makes sound of texts, each only once while it is kept.
type speech struct {
	log      *zap.Logger
	counters Counters
	voices   []Voice
	synth    Synthesizer

	ctx    context.Context // the engine's
	making sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	kept    *lru[utteranceKey, *synthesis]
	pending map[utteranceKey]*synthesis // being made
}

// utteranceKey is what makes two utterances sound the same.
type utteranceKey struct{ speaker, locale, text, ssml string }

// synthesis is one text made into sound, or being made.
type synthesis struct {
	sound     *growing[int16]
	cancel    context.CancelFunc
	listeners int // speech.mu guards it
}

func newSpeech(ctx context.Context, voices []Voice) *speech {
	return &speech{
		log: zap.NewNop(), counters: noCounters{}, voices: mergeVoices(DefaultVoices(), voices), ctx: ctx,
		kept: newLRU[utteranceKey, *synthesis](speechCacheLimit), pending: map[utteranceKey]*synthesis{},
	}
}

// newSynthesizer makes the configured engine; nil: none.
func newSynthesizer(cfg SpeechConfig, client *http.Client, log *zap.Logger) (Synthesizer, error) {
	switch cfg.Engine {
	case "", espeakProgram:
		return &espeak{log: log}, nil
	case "command":
		if len(cfg.Command) == 0 {
			return nil, errors.New("media.tts.command: the engine command needs a program")
		}
		return &command{argv: cfg.Command}, nil
	case "http":
		return newHTTPSpeech(cfg.URL, client)
	case "none":
		return noSpeech{}, nil
	}
	return nil, fmt.Errorf("media.tts.engine: %q is none of espeak-ng, command, http and none", cfg.Engine)
}

// missing says what the engine lacks.
func (s *speech) missing() string {
	if m, ok := s.synth.(interface{ missing() string }); ok {
		return m.missing()
	}
	return ""
}

// noSpeech is the engine "none".
type noSpeech struct{}

func (noSpeech) missing() string { return "speech is switched off (media.tts.engine: none)" }

func (n noSpeech) Synthesize(context.Context, Utterance) (Source, error) {
	return nil, &MissingError{What: n.missing()}
}

// speak returns the sound of u once its beginning is there.
func (s *speech) speak(ctx context.Context, u Utterance) (Source, error) {
	voice, ok := chooseVoice(s.voices, u)
	if !ok {
		return nil, fmt.Errorf("no voice %q, locale %q in the voice table", u.Voice, u.Locale)
	}
	u.Voice, u.Locale, u.Gender, u.Speaker = voice.Name, voice.Locale, voice.Gender, voice.Engine
	r, hit, err := s.join(u)
	if err != nil {
		return nil, err
	}
	s.counters.SpeechCache(hit)
	r.bind(ctx)
	err = r.r.await()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// join returns a reader of the sound of u, and begins to make it if that was not done.
func (s *speech) join(u Utterance) (r *speechReader, hit bool, err error) {
	key := utteranceKey{u.Speaker, u.Locale, u.Text, u.SSML}
	for {
		made, hit, err := s.find(key, u)
		if err != nil {
			return nil, false, err
		}
		if r, ok := made.sound.reader(); ok {
			return &speechReader{r: r, leave: func() { s.leave(key, made) }}, hit, nil
		}
		s.leave(key, made)
		s.unlist(key, made) // it has grown too long to be shared
	}
}

// find returns what is kept or being made of u and counts a listener of it; if there is nothing, the making begins.
func (s *speech) find(key utteranceKey, u Utterance) (made *synthesis, hit bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	made, hit = s.kept.get(key)
	if !hit {
		made, hit = s.pending[key]
	}
	if !hit {
		ctx, cancel := context.WithCancel(s.ctx)
		made = &synthesis{sound: newGrowing[int16](speechKeep/sampleSize, speechAhead), cancel: cancel}
		s.pending[key] = made
		s.making.Go(func() { s.make(ctx, key, made, u) })
	}
	made.listeners++
	return made, hit, nil
}

// leave takes a listener away. What is being made ends when nobody listens any more.
func (s *speech) leave(key utteranceKey, made *synthesis) {
	s.mu.Lock()
	made.listeners--
	deserted := made.listeners == 0
	if deserted && s.pending[key] == made {
		delete(s.pending, key)
	}
	s.mu.Unlock()
	if deserted {
		made.cancel() // without effect if it is complete
	}
}

// unlist keeps others from joining a synthesis.
func (s *speech) unlist(key utteranceKey, made *synthesis) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[key] == made {
		delete(s.pending, key)
	}
}

// make makes the sound and keeps it.
func (s *speech) make(ctx context.Context, key utteranceKey, made *synthesis, u Utterance) {
	defer made.cancel()
	stop := context.AfterFunc(ctx, func() { made.sound.finish(errAbandoned) })
	defer stop()
	err := s.produce(ctx, made.sound, u)
	if err != io.EOF && u.SSML != "" && made.sound.length() == 0 && ctx.Err() == nil && !isMissing(err) {
		s.log.Warn("speech engine failed at SSML; the text is spoken without it", zap.String("call_id", u.CallID), zap.Error(err))
		u.SSML = ""
		err = s.produce(ctx, made.sound, u)
	}
	made.sound.finish(err)
	size, whole := made.sound.length()*sampleSize, made.sound.whole()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[key] == made {
		delete(s.pending, key)
	}
	if whole && size <= speechKeep {
		s.kept.put(key, made, size+sampleSize*chunkLen)
	}
}

func isMissing(err error) bool {
	_, ok := errors.AsType[*MissingError](err)
	return ok
}

// produce writes what the engine says to sound and returns how it ended, io.EOF if well.
func (s *speech) produce(ctx context.Context, sound *growing[int16], u Utterance) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.counters.PanicRecovered()
			s.log.Error("panic in the speech engine", zap.String("call_id", u.CallID), zap.Any("panic", v), zap.Stack("stack"))
			err = &SpeechError{Engine: "speech", Reason: fmt.Sprint("panic: ", v)}
		}
	}()
	src, err := s.synth.Synthesize(ctx, u)
	if err != nil {
		return err
	}
	defer src.Close()                                    // its errors come with the last ReadFrame
	release := whenDone(ctx, func() { _ = src.Close() }) // it is the reading that reports an error
	defer release()
	buf := make([]int16, 1024)
	for {
		n, err := src.ReadFrame(buf)
		if failed := sound.write(buf[:n]); failed != nil {
			return failed
		}
		if err != nil {
			return err
		}
		if sound.length() > samplesIn(maxSound) {
			return &SpeechError{Engine: "speech", Reason: "the text takes more than an hour to speak"}
		}
	}
}

// close ends what is being made and waits for it.
func (s *speech) close() {
	s.mu.Lock()
	s.closed = true
	for _, made := range s.pending {
		made.cancel()
	}
	s.mu.Unlock()
	s.making.Wait()
}

// speechReader is one listener's source.
type speechReader struct {
	r     *growingReader[int16]
	leave func()
	ctx   context.Context // what it was asked for with: a source lasts no longer than that
	stop  func() bool
}

// bind ends the source with ctx.
func (r *speechReader) bind(ctx context.Context) {
	r.ctx = ctx
	r.stop = context.AfterFunc(ctx, r.end)
}

func (r *speechReader) end() {
	if r.r.close() {
		r.leave()
	}
}

func (r *speechReader) ReadFrame(dst []int16) (int, error) {
	n, err := r.r.Read(dst)
	if err != nil && r.ctx.Err() != nil {
		err = context.Cause(r.ctx)
	}
	return n, err
}

// instant implements [instant].
func (r *speechReader) instant() bool { return r.r.g.complete() }

// more implements [instant].
func (r *speechReader) more() bool { return r.r.waiting() > 0 }

func (r *speechReader) Close() error {
	r.stop()
	r.end()
	return nil
}
