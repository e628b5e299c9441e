package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func startStream(attributes string) string {
	return `<StartStream destination="wss://u:p@s.example/in" streamEventUrl="/s" ` + attributes + `/>`
}

func TestStartStream(t *testing.T) {
	t.Parallel()
	const opened = "open wss://u:p@s.example/in"
	tell := func(event string) string { return "tell mediaStream" + event + " POST https://app.example/s" }
	for name, tc := range map[string]struct {
		verbs []string
		did   []string // the end of the call aside
	}{
		"started": {[]string{startStream("")}, []string{"answer", opened, "its id started ", tell("Started")}},
		"nobody is told": {[]string{`<StartStream destination="ws://s.example" name="x"/>`},
			[]string{"answer", "open ws://s.example", "x started "}},
		"stopped by its name": {[]string{startStream(`name="x"`), `<StopStream name="x"/>`},
			[]string{"answer", opened, "x started ", tell("Started"), tell("Stopped"), "x stopped closed"}},
		"another name is not meant": {[]string{startStream(`name="x"`), `<StopStream name="X"/>`},
			[]string{"answer", opened, "x started ", tell("Started")}},
		"nothing to stop":         {[]string{`<StopStream name="x"/>`}, nil},
		"nothing to wait for":     {[]string{`<StopStream name="x" wait="true"/>`}, nil},
		"the other side closes":   {[]string{startStream(`name="x"`), "closes 0"}, []string{"answer", opened, "x started ", tell("Started"), tell("Stopped"), "x stopped closed"}},
		"the connection is lost":  {[]string{startStream(`name="x"`), "loses 0"}, []string{"answer", opened, "x started ", tell("Started"), tell("Stopped"), "x stopped connection-error"}},
		"the name is taken":       {[]string{startStream(`name="x"`), startStream(`name="x"`)}, []string{"answer", opened, "x started ", tell("Started"), "answer", "x rejected duplicate", tell("Rejected")}},
		"the name is free again":  {[]string{startStream(`name="x"`), `<StopStream name="x"/>`, startStream(`name="x"`)}, []string{"answer", opened, "x started ", tell("Started"), tell("Stopped"), "x stopped closed", "answer", opened, "x started ", tell("Started")}},
		"two of both tracks fill": {[]string{startStream(`name="x" tracks="both"`), startStream(`name="y" tracks="both"`), startStream(`name="z"`)}, []string{"answer", opened, "x started ", tell("Started"), "answer", opened, "y started ", tell("Started"), "answer", "z rejected track-limit", tell("Rejected")}},
		"both do not fit beside three": {
			[]string{startStream(`name="a"`), startStream(`name="b" tracks="outbound"`), startStream(`name="c"`), startStream(`name="d" tracks="both"`), startStream(`name="e"`)},
			[]string{"answer", opened, "a started ", tell("Started"), "answer", opened, "b started ", tell("Started"), "answer", opened, "c started ", tell("Started"),
				"answer", "d rejected track-limit", tell("Rejected"), "answer", opened, "e started ", tell("Started")},
		},
		"a stream that is closed leaves room": {
			[]string{startStream(`name="x" tracks="both"`), startStream(`name="y" tracks="both"`), "closes 0", startStream(`name="z" tracks="both"`)},
			[]string{"answer", opened, "x started ", tell("Started"), "answer", opened, "y started ", tell("Started"), tell("Stopped"), "x stopped closed", "answer", opened, "z started ", tell("Started")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.did, runsVerbs(t, tc.verbs, func(call *fakeCall, n int) fakeTap { return call.streams[n].fakeTap }))
		})
	}
}

// TestStartStreamReadsItsAttributes looks at what is asked for of the call.
func TestStartStreamReadsItsAttributes(t *testing.T) {
	t.Parallel()
	params := ""
	want := map[string]string{}
	for i := range 12 {
		params += fmt.Sprintf(`<StreamParam name="n%d" value="v%d"/>`, i, i)
		want[fmt.Sprintf("n%d", i)] = fmt.Sprintf("v%d", i)
	}
	call := &fakeCall{}
	defer call.endAll(ErrHungUp)
	for _, v := range []string{
		`<StartStream destination="wss://s.example/in?a=b" destinationUsername="u" destinationPassword="p" name="x" mode="bidirectional"
			tracks="both" streamEventUrl="https://e.example/s" streamEventMethod="get" username="v" password="q">` + params + `</StartStream>`,
		`<StartStream destination="ws://s.example" tracks="outbound"/>`,
		`<StartStream destination="ws://s.example" destinationPassword="p" streamEventUrl=""/>`,
	} {
		_, err := only(t, "<Response>"+v+"</Response>").Execute(t.Context(), call)
		require.NoError(t, err)
	}
	require.Len(t, call.streams, 3)
	first, second, third := call.streams[0].StreamConfig, call.streams[1].StreamConfig, call.streams[2].StreamConfig
	for _, s := range []StreamConfig{first, second, third} {
		assert.Regexp(t, `^s-[0-9a-f]{8}(-[0-9a-f]+){5}$`, s.ID)
	}
	assert.Equal(t, StreamConfig{
		ID: first.ID, Name: "x", Destination: "wss://s.example/in?a=b", Auth: &webhook.BasicAuth{Username: "u", Password: "p"},
		Tracks: []string{"inbound", "outbound"}, Bidirectional: true, Params: want,
	}, first)
	assert.Equal(t, StreamConfig{ID: second.ID, Name: second.ID, Destination: "ws://s.example", Tracks: []string{"outbound"}}, second)
	assert.Equal(t, &webhook.BasicAuth{Password: "p"}, third.Auth)
	assert.Equal(t, []webhook.Target{{URL: "https://e.example/s", Method: "GET", Auth: &webhook.BasicAuth{Username: "v", Password: "q"}}}, call.toldTo,
		"only of the first")
}

// TestStreamEvents looks at what the application is told.
func TestStreamEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{}
		for _, v := range []string{startStream(`name="x" tracks="both"`), startStream(`name="x"`)} {
			_, err := only(t, "<Response>"+v+"</Response>").Execute(t.Context(), call)
			require.NoError(t, err)
		}
		time.Sleep(90500 * time.Millisecond)
		call.streams[0].over <- &TapError{"connection-error", errors.New("gone")}
		synctest.Wait()
		require.Len(t, call.told, 3)
		var events []map[string]any
		for _, ev := range call.told {
			var event map[string]any
			require.NoError(t, json.Unmarshal(ev.Body, &event))
			events = append(events, event)
		}
		started, rejected, stopped := events[0], events[1], events[2]
		x := started["mediaStream"].(map[string]any)
		assert.Equal(t, map[string]any{
			"destination": "wss://s.example/in", "id": call.streams[0].ID, "name": "x", "startTime": x["startTime"],
			"tracks": []any{"inbound", "outbound"}, "type": "WebSocket",
		}, x)
		assert.Equal(t, "duplicate", rejected["cause"])
		assert.Equal(t, "The call has a stream of this name", rejected["errorMessage"])
		assert.Equal(t, x, rejected["originalMediaStream"])
		assert.NotEqual(t, x["id"], rejected["mediaStream"].(map[string]any)["id"])
		assert.Equal(t, []any{"inbound"}, rejected["mediaStream"].(map[string]any)["tracks"])
		assert.Equal(t, "connection-error", stopped["cause"])
		assert.Equal(t, "gone", stopped["errorMessage"])
		assert.Equal(t, "PT1M30.5S", stopped["mediaStream"].(map[string]any)["duration"])
	})
}

// TestStartStreamThatIsNotSetUp: the call goes on.
func TestStartStreamThatIsNotSetUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		cause string
	}{
		"no connection": {&TapError{"connection-error", errors.New("refused")}, "connection-error"},
		"not allowed":   {&TapError{"error", errors.New("denied")}, "error"},
		"anything else": {errors.New("broken"), "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := &fakeCall{opening: func(context.Context, StreamConfig) (Stream, error) { return nil, tc.err }}
			out, err := only(t, "<Response>"+startStream(`name="x"`)+"</Response>").Execute(t.Context(), call)
			require.NoError(t, err)
			assert.Equal(t, Outcome{}, out)
			assert.Equal(t, []string{"answer", "open wss://u:p@s.example/in", "x rejected " + tc.cause, "tell mediaStreamRejected POST https://app.example/s"}, call.done())
			var event map[string]any
			require.NoError(t, json.Unmarshal(call.told[0].Body, &event))
			assert.Equal(t, tc.err.Error(), event["errorMessage"])
			assert.NotContains(t, event, "originalMediaStream")
		})
	}
}

// TestStartStreamEndsWithTheCall while it connects: nobody is told of a stream that there never was.
func TestStartStreamEndsWithTheCall(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancelCause(t.Context())
	call := &fakeCall{opening: func(ctx context.Context, _ StreamConfig) (Stream, error) {
		end(ErrRemoteHangup)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := only(t, "<Response>"+startStream(`name="x"`)+"</Response>").Execute(ctx, call)
	require.ErrorIs(t, err, ErrRemoteHangup)
	assert.Equal(t, []string{"answer", "open wss://u:p@s.example/in"}, call.done())
}

// TestStopStreamWaits until the other side closes, by name or by id; the name is free then.
func TestStopStreamWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end func(call *fakeCall, end context.CancelCauseFunc)
		err error
	}{
		"until the other side closes":    {func(call *fakeCall, _ context.CancelCauseFunc) { call.streams[0].over <- nil }, nil},
		"until the connection is lost":   {func(call *fakeCall, _ context.CancelCauseFunc) { call.streams[0].over <- errors.New("gone") }, nil},
		"not longer than the call":       {func(_ *fakeCall, end context.CancelCauseFunc) { end(ErrRemoteHangup) }, ErrRemoteHangup},
		"not longer than its document's": {func(_ *fakeCall, end context.CancelCauseFunc) { end(ErrReplaced) }, ErrReplaced},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{}
				defer call.endAll(ErrHungUp)
				_, err := only(t, "<Response>"+startStream("")+"</Response>").Execute(ctx, call)
				require.NoError(t, err)
				time.AfterFunc(7*time.Second, func() { tc.end(call, end) })
				began := time.Now()
				_, err = only(t, `<Response><StopStream name="`+call.streams[0].ID+`" wait="true"/></Response>`).Execute(ctx, call)
				require.ErrorIs(t, err, tc.err)
				assert.Equal(t, 7*time.Second, time.Since(began))
				if tc.err == nil {
					assert.Empty(t, call.Running())
				}
			})
		})
	}
}
