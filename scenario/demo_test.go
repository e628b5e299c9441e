package scenario

import (
	"bytes"
	"strings"
	"testing"

	"github.com/callengine/callengine/state"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDemoShowsFourReferralsAndHowEachEnds(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Demo(t.Context(), &out, DemoOptions{}), "%s", &out)
	text := out.String()
	for _, want := range []string{
		"2s for the final NOTIFY, in place of 30s",
		"ok    1. ", "ok    2. ", "ok    3. ", "ok    4. ",
		"REFER", "405 Method Not Allowed (REFER)", "SIP/2.0 404 Not Found", "timer refer.notify fired",
		"referComplete", "disconnect", "SpeakSentence",
	} {
		assert.Contains(t, text, want)
	}
	assert.NotContains(t, text, "FAIL")
	assert.NotContains(t, text, "\x1b", "colour is for terminals")
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "ok") {
			assert.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), 110)
		}
	}
}

func TestACallOfTheDemoThatWentOtherwiseFails(t *testing.T) {
	var out bytes.Buffer
	went := make([]error, len(demoCalls))
	went[2] = demoCalls[2].compare(recordOf(demoCalls[2], 486), nil)
	assert.ErrorIs(t, sum(&out, went), ErrDemo)
	assert.Contains(t, out.String(), "FAIL  3. ")
	assert.Contains(t, out.String(), "NOTIFY 486")
	assert.Contains(t, out.String(), "should be")
}

func recordOf(c demoCall, notify int) state.Record {
	cause := "hangup"
	return state.Record{DisconnectCause: &cause, Refers: []state.Refer{{
		Status: c.want.status, Evidence: c.want.evidence, ReferSIPResponseCode: c.want.refer,
		NotifySIPResponseCode: notify, Billable: c.want.billable,
	}}}
}
