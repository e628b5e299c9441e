package scenario

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDemoShowsFourReferralsAndHowEachEnds(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Demo(t.Context(), &out, DemoOptions{}), "%s", &out)
	text := out.String()
	for _, want := range []string{
		"2s for the final NOTIFY, in place of 30s",
		"ok    1. the caller is handed over: success, final-notify, REFER 202, NOTIFY 200, billable\n",
		"ok    2. the caller's phone knows no REFER: failure, rejected, REFER 405, not billable; the call lived on and the application spoke\n",
		"ok    3. the destination cannot be reached: failure, final-notify, REFER 202, NOTIFY 404, billable; the call lived on and the application spoke\n",
		"ok    4. the phone never says how it ended: failure, notify-timeout, REFER 202, billable; the call lived on and the application spoke\n",
		"REFER", "405 Method Not Allowed (REFER)", "SIP/2.0 404 Not Found", "timer refer.notify fired",
		"referComplete", "disconnect", "SpeakSentence",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "FAIL")
	assert.NotContains(t, text, "\x1b", "colour is for terminals")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "ok") {
			assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 120)
		}
	}
}

// TestACallOfTheDemoThatWentOtherwiseFails runs the demonstration with one of its calls changed.
func TestACallOfTheDemoThatWentOtherwiseFails(t *testing.T) {
	changed := fstest.MapFS{}
	paths, err := fs.Glob(demoCalls, "demo/*.yaml")
	require.NoError(t, err)
	for _, path := range paths {
		content, err := fs.ReadFile(demoCalls, path)
		require.NoError(t, err)
		changed[path] = &fstest.MapFile{Data: bytes.ReplaceAll(content, []byte("notify: 404 Not Found"), []byte("notify: 486 Busy Here"))}
	}
	var out bytes.Buffer
	assert.ErrorIs(t, demonstrate(t.Context(), changed, &out, DemoOptions{}), ErrDemo)
	assert.Contains(t, out.String(), "FAIL  3. the destination cannot be reached: demo/3-unreachable.yaml:")
	assert.Contains(t, out.String(), "✗ NOTIFY came, but its body is")
	assert.Equal(t, 3, strings.Count(out.String(), "\nok    "))
}
