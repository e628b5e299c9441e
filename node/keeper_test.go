package node

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestARecordingIsWaitedForUntilItsFileIsClosedAndTold: a node that ends before that leaves it to the next one, which finds a
// recording that was interrupted.
func TestARecordingIsWaitedForUntilItsFileIsClosedAndTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.State.Dir, cfg.Recordings.Dir = "", dir
		n, err := New(cfg, WithStore(state.NewMemory(state.MemoryConfig{})))
		require.NoError(t, err)
		k := n.keeper
		require.NoError(t, k.archive.Open())
		taken := k.begin(webhook.Call{CallID: "c-1"}, verbs.Recording{Format: "wav"}, true, func(media.Listener) func() { return func() {} })
		over, cancel := context.WithCancel(t.Context())
		cancel()
		assert.Equal(t, 1, k.idle(over), "its file is open")
		taken.stop()
		assert.Zero(t, k.idle(t.Context()))
		r, err := k.archive.Get("c-1", taken.known.ID)
		require.NoError(t, err)
		assert.True(t, r.Available())
		require.NoError(t, n.Close())
	})
}
