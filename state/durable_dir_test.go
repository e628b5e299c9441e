package state

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// refused is why a directory cannot be used.
func refused(t *testing.T, dir string) string {
	t.Helper()
	d, err := NewDurable(DurableConfig{Dir: dir})
	require.NoError(t, err)
	err = d.Open(t.Context())
	var wrong *DirError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, dir, wrong.Dir)
	require.NoError(t, d.Close())
	return wrong.Reason
}

func TestADirectoryIsOneNodesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir})
	_, err := d.Append(t.Context(), initiated("c-1"))
	require.NoError(t, err)
	assert.Regexp(t, `^another node \(process \d+\) uses it; each node needs a state.dir of its own$`, refused(t, dir))
	_, err = d.Append(t.Context(), initiated("c-2"))
	require.NoError(t, err, "the first one does not notice")
	require.NoError(t, d.Close())

	d, _ = openDurable(t, DurableConfig{Dir: dir})
	ids, err := d.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-1", "c-2"}, ids)
}

func TestStateOfAnotherVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ format, want string }{
		"a later one":    {"3\n", "its state is of format 3, of a later version of callengine; this one reads formats up to 2"},
		"an earlier one": {"0\n", "its state is of format 0, of an earlier version of callengine; this one reads format 1 and later ones. Let the earlier version deliver what it owes, then start with another directory"},
		"no number":      {"one\n", `its file format holds "one", which is no number of a version`},
		"missing":        {"", "it holds state, but its file format, which says of which version, is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, _ := openDurable(t, DurableConfig{Dir: dir})
			_, err := d.Append(t.Context(), initiated("c-1"))
			require.NoError(t, err)
			require.NoError(t, d.Close())
			format := filepath.Join(dir, formatFile)
			require.NoError(t, os.Remove(format))
			if tc.format != "" {
				require.NoError(t, os.WriteFile(format, []byte(tc.format), 0o600))
			}
			before := treeOf(t, dir)
			assert.Equal(t, tc.want, refused(t, dir))
			assert.Equal(t, before, treeOf(t, dir), "nothing is touched")

			require.NoError(t, os.WriteFile(format, []byte("2\n"), 0o600))
			d, _ = openDurable(t, DurableConfig{Dir: dir})
			_, err = d.Record(t.Context(), "c-1")
			assert.NoError(t, err, "and nothing is lost")
		})
	}
}

// testdata/state/format-1 was copied from under the version before, a moment after its last entries: of c-up and c-over the
// beginning is told by values, and what follows it is not; c-late has no value, and c-owes nothing else.
func TestStateOfAnEarlierVersionIsGoneOnWith(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "testdata", "state", "format-1"))))
	want := map[string]int{"c-up": 11, "c-over": 6, "c-owes": 5, "c-late": 6}
	for round := range 4 {
		d, logs := openDurable(t, DurableConfig{Dir: dir})
		for id, n := range want {
			journal, err := d.Journal(t.Context(), id)
			require.NoError(t, err)
			require.Len(t, journal, n, "%s, round %d", id, round)
			for i, e := range journal {
				require.EqualValues(t, i+1, e.Seq)
				require.Equal(t, id, e.CallID)
			}
			_, err = d.Record(t.Context(), id)
			require.NoError(t, err)
		}
		for i, e := range journalOf("c-up") {
			journal, err := d.Journal(t.Context(), "c-up")
			require.NoError(t, err)
			e.Seq = uint64(i + 1)
			require.Equal(t, jsonOf(t, e), jsonOf(t, journal[i]))
		}
		ids, err := d.Unfinished(t.Context())
		require.NoError(t, err)
		assert.ElementsMatch(t, []string{"c-up", "c-late"}, ids)
		debts, err := d.Debts(t.Context())
		require.NoError(t, err)
		assert.Len(t, debts, 1)
		letters, err := d.DeadLetters(t.Context())
		require.NoError(t, err)
		assert.Len(t, letters, 1)
		if round > 0 { // what was written by both versions
			for id := range want {
				_, err := d.Append(t.Context(), message(id, 10))
				require.NoError(t, err)
				want[id]++
			}
		}
		assert.Empty(t, logs.FilterLevelExact(zap.ErrorLevel).All())
		require.NoError(t, d.Close())
		format, err := os.ReadFile(filepath.Join(dir, formatFile))
		require.NoError(t, err)
		assert.Equal(t, "2\n", string(format), "the version before does not read what is there now")
	}
}

// treeOf is the content of a directory's files, the lock's aside.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == lockFile {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	}))
	return files
}

func TestADirectoryThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	d, err := NewDurable(DurableConfig{Dir: filepath.Join(file, "state")})
	require.NoError(t, err)
	err = d.Open(context.Background())
	require.ErrorContains(t, err, "it cannot be made")
	require.ErrorContains(t, err, "not a directory")
	_, err = d.Append(t.Context(), initiated("c-1"))
	assert.ErrorIs(t, err, errClosed)
}

// blocks are the files that the journals' messages are in, the last one last.
func blocks(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, storeDir, "jetstream", "$G", "streams", "*journal*", "msgs", "*.blk"))
	require.NoError(t, err)
	require.NotEmpty(t, found)
	return found
}

// The power went in the middle of a write: the last record is cut short, or garbage. What comes before it is there.
func TestALastRecordThatIsBrokenCostsNothingElse(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, file string){
		"cut short": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(file, info.Size()-5))
		},
		"overwritten": func(t *testing.T, file string) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			for i := len(content) - 30; i < len(content); i++ {
				content[i] ^= 0xff
			}
			require.NoError(t, os.WriteFile(file, content, 0o600))
		},
		"followed by garbage": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteString("\x40\x00\x00\x00garbage that looks like a record")
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, _ := openDurable(t, DurableConfig{Dir: dir})
			for _, id := range []string{"c-1", "c-2", "c-3"} { // a message each
				_, err := d.Append(t.Context(), initiated(id))
				require.NoError(t, err)
				safe(t, d)
			}
			require.NoError(t, d.Close())
			harm(t, blocks(t, dir)[0])

			d, logs := openDurable(t, DurableConfig{Dir: dir})
			ids, err := d.Unfinished(t.Context())
			require.NoError(t, err)
			if name == "followed by garbage" {
				assert.Equal(t, []string{"c-1", "c-2", "c-3"}, ids)
			} else {
				assert.Equal(t, []string{"c-1", "c-2"}, ids)
				assert.NotEmpty(t, logs.FilterMessageSnippet("is missing").All(), "and it is said")
			}
			_, err = d.Append(t.Context(), initiated("c-4"))
			require.NoError(t, err)
			require.NoError(t, d.Close())
			d, _ = openDurable(t, DurableConfig{Dir: dir})
			_, err = d.Record(t.Context(), "c-4")
			assert.NoError(t, err)
		})
	}
}

func TestASlowServerIsWaitedForAsLongAsItMayTakeToStart(t *testing.T) {
	t.Parallel()
	opts := nats.GetDefaultOptions()
	for _, o := range linkOptions() {
		require.NoError(t, o(&opts))
	}
	assert.Equal(t, linkTime, opts.Timeout)
}

// The values of calls are derived: without them they are derived anew.
func TestValuesAreRebuiltFromTheJournals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, _ := openDurable(t, DurableConfig{Dir: dir})
	for _, e := range journalOf("c-1") {
		_, err := d.Append(t.Context(), e)
		require.NoError(t, err)
	}
	_, err := d.Append(t.Context(), initiated("c-2"))
	require.NoError(t, err)
	_, err = d.Append(t.Context(), ended("c-2"))
	require.NoError(t, err)
	seq, err := d.Owe(t.Context(), owing("c-2", "e-1"))
	require.NoError(t, err)
	require.NoError(t, d.Failed(t.Context(), "c-2", seq, "gone"))
	records, _, err := d.Records(t.Context(), Query{})
	require.NoError(t, err)
	letters, err := d.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.NoError(t, d.Close())
	values, err := filepath.Glob(filepath.Join(dir, storeDir, "jetstream", "$G", "streams", "KV_*"))
	require.NoError(t, err)
	require.Len(t, values, 1)
	require.NoError(t, os.RemoveAll(values[0]))

	d, _ = openDurable(t, DurableConfig{Dir: dir})
	again, _, err := d.Records(t.Context(), Query{})
	require.NoError(t, err)
	assert.Equal(t, jsonOf(t, records), jsonOf(t, again))
	lettersAgain, err := d.DeadLetters(t.Context())
	require.NoError(t, err)
	assert.Equal(t, jsonOf(t, letters), jsonOf(t, lettersAgain))
}

// jsonOf is a value without the clock readings in its times.
func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
