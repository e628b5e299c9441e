package scenario

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	hostPort = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	rejected = regexp.MustCompile(` \(REFER rejected[^)]*\)`) // told if the REFER's answer is looked at before the call's end
)

// shape is what a journal says of a call, kind by kind, without times, ids and addresses. What happens at the same time
// may be written down in either order, so that each kind has its own list.
func shape(entries []state.Entry) map[state.Type][]string {
	kinds := map[state.Type][]string{}
	for _, e := range entries {
		var line string
		switch {
		case e.SIP != nil && e.SIP.Method == "ACK":
			continue // of a call that is over when it comes
		case e.SIP != nil:
			kinds[state.TypeSIP+"/"+state.Type(e.SIP.Direction)] = append(kinds[state.TypeSIP+"/"+state.Type(e.SIP.Direction)],
				fmt.Sprint(e.SIP.Method, " ", e.SIP.Code))
			continue
		case e.Webhook != nil:
			line = fmt.Sprint(e.Webhook.Event, " ", e.Webhook.EventType, " ", e.Webhook.Status, e.Webhook.Attempt)
		case e.Document != nil:
			line = fmt.Sprint(e.Document.Verbs, e.Document.Error, e.Document.Warnings)
		case e.Verb != nil && e.Verb.Refer != nil:
			r := e.Verb.Refer
			kinds["refer"] = append(kinds["refer"], fmt.Sprint(r.Status, r.Evidence, r.Billable, r.ReferSIPResponseCode, r.NotifySIPResponseCode))
			continue
		case e.Verb != nil:
			line = fmt.Sprint(e.Verb.Event, " ", e.Verb.Name, " ", e.Verb.Next, e.Verb.Error)
		case e.Timer != nil && e.Timer.Name == "refer.notify" && e.Timer.Event != "fired":
			continue // it need not run for a NOTIFY that comes with the 202
		case e.Timer != nil:
			line = fmt.Sprint(e.Timer.Name, " ", e.Timer.Event, " ", e.Timer.After)
		case e.Call != nil:
			line = fmt.Sprint(e.Call.Event, " ", e.Call.Cause, " ", e.Call.ErrorMessage)
		case e.Media != nil:
			line = fmt.Sprint(e.Media.Event, " ", hostPort.ReplaceAllString(e.Media.Detail, ""))
		}
		kinds[e.Type] = append(kinds[e.Type], rejected.ReplaceAllString(line, ""))
	}
	slices.Sort(kinds[state.TypeSIP+"/in"]) // an ACK may overtake, or be overtaken
	slices.Sort(kinds[state.TypeWebhook])   // so may a referComplete and a disconnect
	kinds["refer"] = slices.Compact(kinds["refer"])
	return kinds
}

// notExported are those in which something matters that is in no journal: the time-out of a webhook, the node's list of
// applications, and whether it was the phone or the clock that was first.
var notExported = []string{"call/application-hangs.yaml", "call/not-taken.yaml"}

// TestAnExportedCallReplaysToTheSameJournal holds for every scenario of the library without packets lost on the way.
func TestAnExportedCallReplaysToTheSameJournal(t *testing.T) {
	t.Parallel()
	for _, f := range loadLibrary(t) {
		name, _ := filepath.Rel(library, f.Path)
		if len(f.spec.Impairments) > 0 || slices.Contains(notExported, filepath.ToSlash(name)) {
			continue // what happened to packets is in no journal
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first, second Result
			var text []byte
			synctest.Test(t, func(t *testing.T) { first = f.Run(t.Context(), RunOptions{Network: NewMemory()}) })
			text, err := Export(first.Journal())
			require.NoError(t, err)
			again, err := Parse("export.yaml", text)
			require.NoError(t, err, string(text))
			synctest.Test(t, func(t *testing.T) { second = again.Run(t.Context(), RunOptions{Network: NewMemory()}) })
			went(t, second)
			assert.Equal(t, shape(first.Journal()), shape(second.Journal()), string(text))
		})
	}
}

func TestExportOfWhatIsNoCall(t *testing.T) {
	t.Parallel()
	_, err := Export(nil)
	assert.ErrorIs(t, err, ErrNoCall)
	_, err = Export([]state.Entry{{Seq: 1, Type: state.TypeCall, Call: &state.Call{Event: state.CallInitiated}}})
	assert.ErrorIs(t, err, ErrNoCall)
}
