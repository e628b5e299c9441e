package node_test

import (
	"context"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowDebts is a store that takes its time to say what it owes.
type slowDebts struct{ state.Store }

func (s slowDebts) Debts(ctx context.Context) ([]state.Debt, error) {
	time.Sleep(time.Second)
	return s.Store.Debts(ctx)
}

// TestWhatIsOwedDuringTheStartIsToldOnce: the recording that a crash has ended is told of as soon as the archive is open, which
// is no debt of the process before.
func TestWhatIsOwedDuringTheStartIsToldOnce(t *testing.T) {
	dir, left := t.TempDir(), t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartRecording recordingAvailableUrl="/available"/><Pause duration="60"/>`))
		time.Sleep(2 * time.Second)
		require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
		c.Bye()
		b.app.Expect("recordingAvailable")
		b.disconnect("hangup", "")
	})
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{
			t: t, net: scenario.NewMemory(), speech: &fakeSpeech{}, hearing: &fakeHearing{},
			store: slowDebts{state.NewMemory(state.MemoryConfig{})},
		}
		b.script = scenario.NewScript(t, b.net, 0)
		b.app = b.script.Application(scenario.ApplicationConfig{Address: "10.0.0.2:80"})
		b.app.On("recordingAvailable", scenario.Reply{Delay: 2 * time.Second}) // it is owed until then
		cfg := bubbleConfig()
		recordingIn(left)(&cfg)
		b.start(cfg)
		b.app.Expect("recordingAvailable")
		time.Sleep(time.Minute)
		assert.Len(t, b.app.EventsOf("recordingAvailable"), 1)
	})
}
