package verbs

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestStartGather runs documents to their end and presses keys while they run: a key in the list stands for one that is
// pressed at this point.
func TestStartGather(t *testing.T) {
	t.Parallel()
	const start = `<StartGather dtmfUrl="/d" tag="t"/>`
	for name, tc := range map[string]struct {
		verbs []string // or keys
		did   []string
	}{
		"a digit": {
			[]string{start, "1", "#"},
			[]string{`tag "t"`, "overhear", "answer", "tell dtmf POST https://app.example/d", "tell dtmf POST https://app.example/d", "overhear no more"},
		},
		"method and base": {
			[]string{`<StartGather dtmfUrl="d" dtmfMethod="get"/>`, "1"},
			[]string{"overhear", "answer", "tell dtmf GET https://app.example/a/d", "overhear no more"},
		},
		"the second takes the place of the first": {
			[]string{start, "1", `<StartGather dtmfUrl="/e" tag=""/>`, "2"},
			[]string{`tag "t"`, "overhear", "answer", "tell dtmf POST https://app.example/d", `tag ""`, "answer", "tell dtmf POST https://app.example/e", "overhear no more"},
		},
		"stopped": {
			[]string{start, `<StopGather/>`},
			[]string{`tag "t"`, "overhear", "answer", "overhear no more"},
		},
		"stopped, and started again": {
			[]string{start, `<StopGather/>`, `<StartGather dtmfUrl="/e"/>`, "2"},
			[]string{`tag "t"`, "overhear", "answer", "overhear no more", "overhear", "answer", "tell dtmf POST https://app.example/e", "overhear no more"},
		},
		"nothing to stop": {[]string{`<StopGather/>`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				call := &fakeCall{keys: make(chan byte, 64)}
				for _, v := range tc.verbs {
					if len(v) == 1 {
						call.keys <- v[0]
					} else {
						out, err := only(t, "<Response>"+v+"</Response>").Execute(t.Context(), call)
						require.NoError(t, err)
						assert.Equal(t, Outcome{}, out, "the next verb runs")
					}
					synctest.Wait()
				}
				call.endAll(ErrHungUp)
				assert.Equal(t, tc.did, call.done())
			})
		})
	}
}

// TestStartGatherTellsWhatWasPressedBeforeItsEnd presses keys that nobody has looked at when the end comes.
func TestStartGatherTellsWhatWasPressedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	call := &fakeCall{keys: make(chan byte, 64)}
	for _, key := range []byte("0123456789*#ABCD") {
		call.keys <- key
	}
	_, err := only(t, `<Response><StartGather dtmfUrl="/d" username="u" password="p"/></Response>`).Execute(t.Context(), call)
	require.NoError(t, err)
	_, err = only(t, `<Response><StopGather/></Response>`).Execute(t.Context(), call)
	require.NoError(t, err)
	var told string
	for i, ev := range call.told {
		assert.Equal(t, webhook.Target{URL: "https://app.example/d", Method: "POST", Auth: &webhook.BasicAuth{Username: "u", Password: "p"}}, call.toldTo[i])
		var event struct{ EventType, Digit string }
		require.NoError(t, json.Unmarshal(ev.Body, &event))
		assert.Equal(t, "dtmf", event.EventType)
		told += event.Digit
	}
	assert.Equal(t, "0123456789*#ABCD", told)
}

func TestStartGatherThatCannotGoOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var action *ActionError
	t.Run("the URL leads nowhere", func(t *testing.T) {
		call := &fakeCall{urlErr: broken}
		_, err := only(t, `<Response><StartGather dtmfUrl="/d"/></Response>`).Execute(t.Context(), call)
		require.ErrorAs(t, err, &action)
		require.ErrorIs(t, err, broken)
		assert.Empty(t, call.Running())
	})
	t.Run("no answer", func(t *testing.T) {
		call := &fakeCall{answerErr: ErrNoAck}
		defer call.endAll(ErrHungUp)
		_, err := only(t, `<Response><StartGather dtmfUrl="/d"/></Response>`).Execute(t.Context(), call)
		require.ErrorIs(t, err, ErrNoAck)
	})
	t.Run("a call that cannot", func(t *testing.T) {
		_, err := only(t, `<Response><StartGather dtmfUrl="/d"/></Response>`).Execute(t.Context(), struct{ Call }{&fakeCall{}})
		require.ErrorAs(t, err, &action)
		out, err := only(t, `<Response><StopGather/></Response>`).Execute(t.Context(), struct{ Call }{&fakeCall{}})
		require.NoError(t, err)
		assert.Equal(t, Outcome{}, out)
	})
}
