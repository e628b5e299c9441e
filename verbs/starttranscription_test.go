package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeTranscription is a transcription whose destination is the test.
type fakeTranscription struct {
	TranscriptionConfig
	fakeTap
}

func (t *fakeTranscription) Finish(done func(FinishedTranscription) error) {
	_ = done(FinishedTranscription{URL: "https://node.example/" + t.Name, Completed: time.Now(), Failed: t.Name == "bad"})
}

func (c *fakeCall) OpenTranscription(_ context.Context, t TranscriptionConfig) (Transcription, error) {
	c.note("open %s", t.Destination)
	if c.openErr != nil {
		return nil, c.openErr
	}
	opened := &fakeTranscription{t, newFakeTap()}
	c.transcriptions = append(c.transcriptions, opened)
	return opened, nil
}

func (c *fakeCall) NoteTranscription(t TranscriptionConfig, change TapChange) {
	name := t.Name
	if name == t.ID {
		name = "its id"
	}
	c.note("%s", strings.TrimSpace(fmt.Sprintf("%s %s %s", name, change.Event, change.Cause)))
}

func startTranscription(attributes string) string {
	return `<StartTranscription transcriptionEventUrl="/t" ` + attributes + `/>`
}

func TestStartTranscription(t *testing.T) {
	t.Parallel()
	const wss, opened = `destination="wss://u:p@s.example/in" `, "open wss://u:p@s.example/in"
	tell := func(event string) string { return "tell realTimeTranscription" + event + " POST https://app.example/t" }
	for name, tc := range map[string]struct {
		verbs []string
		did   []string // the end of the call aside
	}{
		"without a destination only the text is told of": {
			[]string{startTranscription(""), `<StopTranscription/>`},
			[]string{"answer", "open ", "its id started", "its id stopped closed", "its id available", tell("Available")},
		},
		"with a destination": {
			[]string{startTranscription(wss + `name="x"`), `<StopTranscription name="x"/>`},
			[]string{"answer", opened, "x started", tell("Started"), "x stopped closed", tell("Stopped"), "x available", tell("Available")},
		},
		"nobody is told": {
			[]string{`<StartTranscription destination="ws://s.example" name="x"/>`, `<StopTranscription/>`},
			[]string{"answer", "open ws://s.example", "x started", "x stopped closed", "x available"},
		},
		"another name is not meant": {
			[]string{startTranscription(`name="x"`), `<StopTranscription name="X"/>`}, []string{"answer", "open ", "x started"},
		},
		"nothing to stop": {[]string{`<StopTranscription/>`, `<StopTranscription name="x"/>`}, nil},
		"all are stopped": {
			[]string{startTranscription(`name="x"`), startTranscription(`name="bad"`), `<StopTranscription/>`},
			[]string{
				"answer", "open ", "x started", "answer", "open ", "bad started",
				"x stopped closed", "x available", tell("Available"), "bad stopped closed", "bad failed", tell("Available"),
			},
		},
		"the destination closes": {
			[]string{startTranscription(wss + `name="x"`), "closes 0"},
			[]string{"answer", opened, "x started", tell("Started"), "x stopped closed", tell("Stopped"), "x available", tell("Available")},
		},
		"the connection is lost": {
			[]string{startTranscription(wss + `name="x"`), "loses 0"},
			[]string{"answer", opened, "x started", tell("Started"), "x stopped connection-error", tell("Stopped"), "x available", tell("Available")},
		},
		"the name is taken": {
			[]string{startTranscription(`name="x"`), startTranscription(`name="x"`)},
			[]string{"answer", "open ", "x started", "answer", "x rejected duplicate", tell("Rejected")},
		},
		"the name is free again": {
			[]string{`<StartTranscription name="x"/>`, `<StopTranscription name="x"/>`, `<StartTranscription name="x"/>`},
			[]string{"answer", "open ", "x started", "x stopped closed", "x available", "answer", "open ", "x started"},
		},
		"four tracks are enough": {
			[]string{`<StartTranscription name="x" tracks="both"/>`, `<StartTranscription name="y" tracks="outbound"/>`, startTranscription(`name="z" tracks="both"`), `<StartTranscription name="w"/>`},
			[]string{"answer", "open ", "x started", "answer", "open ", "y started", "answer", "z rejected track-limit", tell("Rejected"), "answer", "open ", "w started"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.did, runsVerbs(t, tc.verbs, func(call *fakeCall, n int) fakeTap { return call.transcriptions[n].fakeTap }))
		})
	}
}

func TestATranscriptionThatCannotBeginIsToldAndTheDocumentGoesOn(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"connection-error": &TapError{"connection-error", errors.New("gone")}, "error": errors.New("gone"),
	} {
		call := &fakeCall{openErr: err}
		out, err := only(t, "<Response>"+startTranscription("")+"</Response>").Execute(t.Context(), call)
		require.NoError(t, err)
		assert.Equal(t, Outcome{}, out)
		require.Len(t, call.told, 1)
		var event map[string]any
		require.NoError(t, json.Unmarshal(call.told[0].Body, &event))
		assert.Equal(t, []any{"realTimeTranscriptionRejected", want, "gone"}, []any{event["eventType"], event["cause"], event["errorMessage"]})
	}
}

// TestStartTranscriptionReadsItsAttributes looks at what is asked for of the call.
func TestStartTranscriptionReadsItsAttributes(t *testing.T) {
	t.Parallel()
	params, want := "", map[string]string{}
	for i := range 12 {
		params += fmt.Sprintf(`<CustomParam name="n%d" value="v%d"/>`, i, i)
		want[fmt.Sprintf("n%d", i)] = fmt.Sprintf("v%d", i)
	}
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{}
		for _, v := range []string{
			`<StartTranscription name="x" tracks="both" transcriptionEventUrl="https://e.example/s" transcriptionEventMethod="get" username="v" password="q"
				destination="wss://s.example/in?a=b" stabilized="false">` + params + `</StartTranscription>`,
			`<StartTranscription tracks="outbound"/>`,
		} {
			_, err := only(t, "<Response>"+v+"</Response>").Execute(t.Context(), call)
			require.NoError(t, err)
		}
		require.Len(t, call.transcriptions, 2)
		first, second := call.transcriptions[0].TranscriptionConfig, call.transcriptions[1].TranscriptionConfig
		assert.Equal(t, time.Now(), first.Begun)
		first.Begun, second.Begun = time.Time{}, time.Time{}
		assert.Regexp(t, `^t-[0-9a-f]{8}(-[0-9a-f]+){5}$`, first.ID)
		assert.Equal(t, TranscriptionConfig{
			ID: first.ID, Name: "x", Destination: "wss://s.example/in?a=b", Tracks: []string{"inbound", "outbound"}, Params: want,
			Events: &webhook.Target{URL: "https://e.example/s", Method: "GET", Auth: &webhook.BasicAuth{Username: "v", Password: "q"}},
		}, first)
		assert.Equal(t, TranscriptionConfig{ID: second.ID, Name: second.ID, Tracks: []string{"outbound"}, Stabilized: true}, second)
		call.endAll(ErrHungUp)
		for _, to := range call.toldTo {
			assert.Equal(t, webhook.Target{URL: "https://e.example/s", Method: "GET", Auth: &webhook.BasicAuth{Username: "v", Password: "q"}}, to)
		}
		assert.Len(t, call.toldTo, 3, "of the first alone")
	})
}
