package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media/transcribe"
	"github.com/stretchr/testify/assert"
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
