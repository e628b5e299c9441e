package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"go.uber.org/zap"
)

func TestAPartialResultIsToldOnceAndWithWhatWasUnderstoodBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []string
		x := &recognition{
			ctx: t.Context(), partial: func(s string) { told = append(told, s) }, sound: transcribe.NewLive(maxUnrecognised),
			began: make(chan struct{}),
		}
		for _, r := range []transcribe.Result{
			{Text: "one", Partial: true}, {Text: "one", Partial: true}, {Text: "one"}, {Text: "two", Partial: true}, {Text: "two", Partial: true},
		} {
			x.tell(r)
		}
		x.limit.Stop()
		assert.Equal(t, []string{"one", "one two"}, told)
	})
}

func TestWhoNeverFallsSilentIsListenedToForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := &recognition{sound: transcribe.NewLive(maxUnrecognised), began: make(chan struct{})}
		over := func() bool {
			synctest.Wait()
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.over
		}
		x.mu.Lock()
		x.begins()
		x.mu.Unlock()
		time.Sleep(longestSpeech - time.Second)
		assert.False(t, over())
		time.Sleep(2 * time.Second)
		assert.True(t, over())
		x.limit.Stop()
	})
}

// stubborn is an engine that goes on until it is let go, whoever has given it up.
type stubborn chan struct{}

func (s stubborn) Transcribe(context.Context, transcribe.Sound, transcribe.Options, func(transcribe.Result)) error {
	<-s
	return nil
}

func TestWhoIsNotListenedToAnyMoreIsNotHeardThoughTheEngineGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		engine, listens := make(stubborn), 0
		s := &scribe{engine: engine, metrics: newMetrics(BuildInfo{}), log: zap.NewNop(), life: t.Context()}
		x := s.recognize("c-1", func(media.Listener) func() {
			listens++
			return func() { listens = 0 }
		}, verbs.SpeechInput{})
		assert.Equal(t, 1, listens)
		x.Stop()
		assert.Zero(t, listens, "whatever the engine does")
		close(engine)
		<-x.Done()
	})
}
