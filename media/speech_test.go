package media

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// fakeSpeech speaks 100 samples per character, at a pace.
type fakeSpeech struct {
	pace time.Duration // per character
	fail func(Utterance) error

	mu    sync.Mutex
	asked []Utterance
	ended int // sources that were closed
}

func (f *fakeSpeech) Synthesize(ctx context.Context, u Utterance) (Source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, u)
	if f.fail != nil {
		if err := f.fail(u); err != nil {
			return nil, err
		}
	}
	return &fakeVoice{f: f, ctx: ctx, left: len(u.Text)}, nil
}

func (f *fakeSpeech) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func (f *fakeSpeech) closed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

type fakeVoice struct {
	f    *fakeSpeech
	ctx  context.Context
	left int
	once sync.Once
}

func (v *fakeVoice) ReadFrame(dst []int16) (int, error) {
	if v.left == 0 {
		return 0, io.EOF
	}
	if err := v.wait(); err != nil {
		return 0, err
	}
	v.left--
	for i := range 100 {
		dst[i] = 1
	}
	return 100, nil
}

// wait lets the time of one character pass. It makes no timer for none: a channel timer that has expired before it is
// waited for runs on the waiting goroutine, and two that do so at once in one bubble break the race detector (Go 1.26).
func (v *fakeVoice) wait() error {
	if v.f.pace == 0 {
		return v.ctx.Err()
	}
	select {
	case <-time.After(v.f.pace):
		return nil
	case <-v.ctx.Done():
		return v.ctx.Err()
	}
}

func (v *fakeVoice) Close() error {
	v.once.Do(func() {
		v.f.mu.Lock()
		defer v.f.mu.Unlock()
		v.f.ended++
	})
	return nil
}

// hits counts what the speech cache was asked.
type hits struct {
	noCounters
	mu        sync.Mutex
	hit, miss int
}

func (h *hits) SpeechCache(hit bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hit {
		h.hit++
	} else {
		h.miss++
	}
}

func speechEngine(t *testing.T, s Synthesizer, opts ...Option) *Engine {
	t.Helper()
	e, err := New(Config{}, append(opts, WithSynthesizer(s))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e
}

func TestSpeakReturnsWithTheFirstSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := speechEngine(t, &fakeSpeech{pace: time.Second})
		start := time.Now()
		src, err := e.Speak(t.Context(), Utterance{Text: "ten chars."})
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Len(t, readFrames(t, src), 1000)
		assert.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, src.Close())
		require.NoError(t, src.Close())
	})
}

func TestSpeechIsKeptByContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synth, counted := &fakeSpeech{}, &hits{}
		e := speechEngine(t, synth, WithCounters(counted))
		say := func(u Utterance) {
			src, err := e.Speak(t.Context(), u)
			require.NoError(t, err)
			assert.Len(t, readFrames(t, src), 100*len(u.Text))
			require.NoError(t, src.Close())
		}
		for _, u := range []Utterance{
			{Text: "hello"},
			{Text: "hello", Voice: "dave"},
			{Text: "hello", SSML: "<speak>hello</speak>"},
			{Text: "hello!"},
		} {
			say(u)
			synctest.Wait()
			say(u)
		}
		say(Utterance{Text: "hello", Voice: "susan"})
		assert.Equal(t, 4, synth.times(), "each once; susan is the default voice")
		assert.Equal(t, &hits{hit: 5, miss: 4}, counted)
	})
}

func TestConcurrentSpeechIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synth := &fakeSpeech{pace: time.Second}
		e := speechEngine(t, synth)
		var callers sync.WaitGroup
		for i := range 5 {
			callers.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				src, err := e.Speak(t.Context(), Utterance{Text: "ten chars."})
				if assert.NoError(t, err) {
					assert.Len(t, readFrames(t, src), 1000)
					assert.NoError(t, src.Close())
				}
			})
		}
		callers.Wait()
		assert.Equal(t, 1, synth.times())
	})
}

func TestSpeechEndsWhenNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synth := &fakeSpeech{pace: time.Second}
		e := speechEngine(t, synth)
		u := Utterance{Text: strings.Repeat("long ", 100)}
		ctx, hangup := context.WithCancel(t.Context())
		first, err := e.Speak(ctx, u)
		require.NoError(t, err)
		second, err := e.Speak(t.Context(), u)
		require.NoError(t, err)
		hangup()
		synctest.Wait()
		assert.Zero(t, synth.closed(), "one still listens")
		require.NoError(t, second.Close())
		synctest.Wait()
		assert.Equal(t, 1, synth.closed())
		_, err = first.ReadFrame(make([]int16, 160))
		assert.ErrorIs(t, err, context.Canceled)
		src, err := e.Speak(t.Context(), u)
		require.NoError(t, err)
		assert.Equal(t, 2, synth.times(), "half of it is not kept")
		require.NoError(t, src.Close())
	})
}

func TestSpeakEndsWithTheCauseOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := speechEngine(t, &fakeSpeech{pace: time.Hour})
		hangup := errors.New("hangup")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(hangup) })
		_, err := e.Speak(ctx, Utterance{Text: "slow"})
		assert.ErrorIs(t, err, hangup)
	})
}

func TestSSMLThatFailsIsSpokenAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		synth := &fakeSpeech{fail: func(u Utterance) error {
			if u.SSML != "" {
				return errors.New("no SSML here")
			}
			return nil
		}}
		e := speechEngine(t, synth, WithLogger(zap.New(core)))
		src, err := e.Speak(t.Context(), Utterance{Text: "hello", SSML: "<speak><s>hello</s></speak>"})
		require.NoError(t, err)
		assert.Len(t, readFrames(t, src), 500)
		require.NoError(t, src.Close())
		assert.Equal(t, 1, logs.Len())
	})
}

func TestSpeechErrors(t *testing.T) {
	broken := &SpeechError{Engine: "fake", Reason: "broken"}
	missing := &MissingError{What: "install it"}
	for name, tc := range map[string]struct {
		fail  func(Utterance) error
		want  error
		times int
	}{
		"broken":               {func(Utterance) error { return broken }, broken, 2},
		"missing":              {func(Utterance) error { return missing }, missing, 1},
		"panic in the engine":  {func(Utterance) error { panic("oops") }, nil, 2},
		"ended before any one": {func(Utterance) error { return io.ErrUnexpectedEOF }, io.ErrUnexpectedEOF, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				synth := &fakeSpeech{fail: tc.fail}
				e := speechEngine(t, synth)
				_, err := e.Speak(t.Context(), Utterance{Text: "a", SSML: "<speak>a</speak>"})
				require.Error(t, err)
				if tc.want != nil {
					assert.ErrorIs(t, err, tc.want)
				}
				assert.Equal(t, tc.times, synth.times())
				_, err = e.Speak(t.Context(), Utterance{Text: "a", SSML: "<speak>a</speak>"})
				require.Error(t, err)
				assert.Equal(t, 2*tc.times, synth.times(), "a failure is not kept")
			})
		})
	}
}

func TestLongSpeechIsMadeAheadOfItsListenerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synth := &fakeSpeech{}
		e := speechEngine(t, synth)
		u := Utterance{Text: strings.Repeat("x", 100*1000)} // 10 million samples
		src, err := e.Speak(t.Context(), u)
		require.NoError(t, err)
		synctest.Wait()
		made := e.speech.pending
		require.Len(t, made, 1)
		for _, m := range made {
			assert.Equal(t, speechKeep/sampleSize, m.sound.length())
		}
		readUpTo(t, src, speechKeep/sampleSize+chunkLen)
		second, err := e.Speak(t.Context(), u)
		require.NoError(t, err)
		assert.Equal(t, 2, synth.times(), "the beginning is gone")
		require.NoError(t, second.Close())
		require.NoError(t, src.Close())
	})
}

func readUpTo(t *testing.T, src Source, n int) {
	t.Helper()
	buf := make([]int16, 4096)
	for n > 0 {
		m, err := src.ReadFrame(buf)
		require.NoError(t, err)
		n -= m
	}
}

func TestSpeechOfMoreThanAnHourEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := speechEngine(t, &fakeSpeech{})
		src, err := e.Speak(t.Context(), Utterance{Text: strings.Repeat("x", 300*1000)})
		require.NoError(t, err)
		defer src.Close()
		buf := make([]int16, 4096)
		for err == nil {
			_, err = src.ReadFrame(buf)
		}
		assert.ErrorContains(t, err, "more than an hour")
	})
}

func TestCloseEndsSpeech(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		synth := &fakeSpeech{pace: time.Second}
		e := speechEngine(t, synth)
		src, err := e.Speak(t.Context(), Utterance{Text: "long text"})
		require.NoError(t, err)
		require.NoError(t, e.Close())
		assert.Equal(t, 1, synth.closed())
		for err == nil {
			_, err = src.ReadFrame(make([]int16, 160))
		}
		require.NotErrorIs(t, err, io.EOF)
		require.NoError(t, src.Close())
		_, err = e.Speak(t.Context(), Utterance{Text: "more"})
		assert.ErrorIs(t, err, ErrClosed)
	})
}

func TestVoicesAreChosen(t *testing.T) {
	t.Parallel()
	own := Voice{"anna", "de_AT", "female", "de+f1"}
	voices := mergeVoices(DefaultVoices(), []Voice{own, {"susan", "en_US", "female", "mine"}})
	for name, tc := range map[string]struct {
		u    Utterance
		want string // "" : none
	}{
		"none asked for":                  {Utterance{}, "susan"},
		"by name":                         {Utterance{Voice: "stefan"}, "stefan"},
		"the name before the rest":        {Utterance{Voice: "stefan", Locale: "it", Gender: "female"}, "stefan"},
		"unknown name":                    {Utterance{Voice: "nobody"}, ""},
		"by gender":                       {Utterance{Locale: "en_US", Gender: "male"}, "dave"},
		"by locale, however it is spelt":  {Utterance{Locale: "EN-uk"}, "bridget"},
		"the other gender if it must be":  {Utterance{Locale: "arb", Gender: "male"}, "zeina"},
		"of a voice that was configured":  {Utterance{Locale: "de_AT", Gender: "male"}, "anna"},
		"unknown locale":                  {Utterance{Locale: "tlh"}, ""},
		"of any locale, if only a gender": {Utterance{Gender: "male"}, "dave"},
	} {
		t.Run(name, func(t *testing.T) {
			v, ok := chooseVoice(voices, tc.u)
			assert.Equal(t, tc.want != "", ok)
			assert.Equal(t, tc.want, v.Name)
		})
	}
	v, _ := chooseVoice(voices, Utterance{Voice: "susan"})
	assert.Equal(t, "mine", v.Engine, "a voice of the same name is replaced")
}

func TestVoicesAreDistinct(t *testing.T) {
	t.Parallel()
	names, engines := map[string]bool{}, map[string]string{}
	for _, v := range DefaultVoices() {
		assert.False(t, names[v.Name], "%s twice", v.Name)
		names[v.Name] = true
		same := v.Locale + "/" + v.Engine
		assert.Empty(t, engines[same], "%s sounds like another of its locale", v.Name)
		engines[same] = v.Name
	}
}

func TestSpeechConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]SpeechConfig{
		"unknown engine":       {Engine: "festival"},
		"command without one":  {Engine: "command"},
		"http without URL":     {Engine: "http"},
		"http with a file URL": {Engine: "http", URL: "file:///etc/passwd"},
	} {
		_, err := New(Config{Speech: cfg})
		assert.ErrorContains(t, err, "media.tts", name)
	}
	e, err := New(Config{Speech: SpeechConfig{Engine: "none"}})
	require.NoError(t, err)
	defer e.Close()
	assert.NotEmpty(t, e.SpeechMissing())
	_, err = e.Speak(t.Context(), Utterance{Text: "hello"})
	m, ok := errors.AsType[*MissingError](err)
	require.True(t, ok)
	assert.Equal(t, e.SpeechMissing(), m.What)
}
