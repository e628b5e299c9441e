package state

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Journals whose messages they share with others are read in one go at the start; each comes out as if read alone.
func TestJournalsAreReadTogetherAsTheyAreAlone(t *testing.T) {
	t.Parallel()
	d, _ := openDurable(t, DurableConfig{Dir: filepath.Join(t.TempDir(), "state")})
	for i, e := range journalOf("c-0") {
		if i > 0 { // one message for each entry that is waited for
			for n := range 60 {
				written(t, d, fmt.Sprintf("c-%d", 1+n%20), e)
			}
		}
		written(t, d, "c-0", e)
	}
	for _, e := range journalOf("") {
		written(t, d, "c-30", e)
		written(t, d, "c-31", e)
	}
	require.NoError(t, d.Close())

	d, _ = openDurable(t, DurableConfig{Dir: d.cfg.Dir})
	together, where := map[string][]Entry{}, map[string]disk{}
	d.mu.Lock()
	for id, c := range d.calls {
		together[id], where[id] = c.pages.read, c.disk
	}
	d.mu.Unlock()
	require.Len(t, together, 23)
	for id, entries := range together {
		alone, err := d.read(t.Context(), id, where[id])
		require.NoError(t, err)
		assert.Equal(t, entries, alone, id)
		assert.GreaterOrEqual(t, len(alone), 9)
	}
}

func written(t *testing.T, d *Durable, callID string, e Entry) {
	t.Helper()
	e.CallID = callID
	_, err := d.Append(t.Context(), e)
	require.NoError(t, err)
}
