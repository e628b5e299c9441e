package state

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Journals that are interleaved are read in one go, but for those that began long ago; each comes out as if read alone.
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
	firsts := map[string]uint64{}
	for id, c := range d.calls {
		firsts[id] = c.disk.first
	}
	require.Len(t, firsts, 23)
	few := map[string]uint64{"c-0": firsts["c-0"], "c-30": firsts["c-30"], "c-31": firsts["c-31"]}
	for _, wanted := range []map[string]uint64{firsts, few} {
		together, err := d.readTogether(t.Context(), wanted)
		require.NoError(t, err)
		for id, j := range together {
			alone, err := d.read(t.Context(), id, wanted[id])
			require.NoError(t, err)
			assert.Equal(t, alone, j, id)
			assert.NotEmpty(t, j.entries)
		}
		assert.Equal(t, len(wanted) == len(firsts), together["c-0"] != nil, "in few it is too far back")
		assert.GreaterOrEqual(t, len(together), 2)
	}
}

func written(t *testing.T, d *Durable, callID string, e Entry) {
	t.Helper()
	e.CallID = callID
	_, err := d.Append(t.Context(), e)
	require.NoError(t, err)
}
