package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func jsonLines(t testing.TB, entries []Entry) []byte {
	t.Helper()
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	for _, e := range entries {
		require.NoError(t, lines.Encode(e))
	}
	return b.Bytes()
}

func TestAJournalThatWasWrittenCanBeRead(t *testing.T) {
	t.Parallel()
	want := failingAndRecovering()
	text := jsonLines(t, want)
	got, err := ReadJournal(bytes.NewReader(text))
	require.NoError(t, err)
	assert.Equal(t, want, got)
	golden(t, "journal-refer-recovers", string(text))
}

func TestEntriesOfALaterVersionAreRead(t *testing.T) {
	t.Parallel()
	entries, err := ReadJournal(strings.NewReader(
		`{"seq":1,"callId":"c-1","type":"teleport","teleport":{"to":"Mars"}}` + "\n\n" +
			`{"seq":2,"callId":"c-1","type":"timer","timer":{"name":"ack","event":"started","why":"new"},"new":[1]}`))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	assert.Equal(t, Type("teleport"), entries[0].Type)
	assert.Equal(t, "ack", entries[1].Timer.Name)
	assert.Contains(t, drawn(t, Ladder{}, entries), "entry of type teleport")
}

func TestALineThatIsNoEntryIsNamed(t *testing.T) {
	t.Parallel()
	first := `{"seq":1,"callId":"c-1","type":"timer"}` + "\n"
	for name, tc := range map[string]struct{ text, want string }{
		"not JSON":     {first + "\nhello\n", "line 3: "},
		"another type": {first + `{"seq":"one"}`, "line 2: "},
		"a list":       {first + "[]", "line 2: "},
		"too long":     {first + `{"x":"` + strings.Repeat("x", maxLine) + `"}`, "line 2: longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, err := ReadJournal(strings.NewReader(tc.text))
			assert.ErrorContains(t, err, tc.want)
			assert.Len(t, entries, 1, "what came before it is returned")
		})
	}
}

func TestAReadersErrorIsReturned(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := ReadJournal(io.MultiReader(strings.NewReader("{}\n"), iotest.ErrReader(broken)))
	assert.ErrorIs(t, err, broken)
}

// FuzzReadJournal holds that whatever can be read can be masked, summed up and drawn, in no more columns than allowed.
func FuzzReadJournal(f *testing.F) {
	f.Add(jsonLines(f, failingAndRecovering()), 100)
	f.Add([]byte(`{"type":"sip","sip":{"raw":"\u001b[2J x y\r\n\r\nv=0","direction":"out"}}`), 20)
	f.Add([]byte(`{"callId":"漢字","time":"9999-12-31T00:00:00Z"}`+"\n"+`{"callId":"漢字","verb":{"refer":{}}}`), 7)
	f.Fuzz(func(t *testing.T, text []byte, columns int) {
		entries, err := ReadJournal(bytes.NewReader(text))
		if err != nil {
			return
		}
		recordOf(entries)
		l := Ladder{Width: columns}
		requireDrawable(t, drawn(t, l, entries), l)
	})
}
