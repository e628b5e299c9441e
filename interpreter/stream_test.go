package interpreter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// opened is a stream that its other side closes after a second.
type opened struct{}

func (opened) Run(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return nil
}

// TestStreamsAreJournalled, without what may be a secret.
func TestStreamsAreJournalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(
			`<StartStream destination="wss://u:secret@s.example/in?key=secret#secret" name="x" tracks="both"/>`,
			`<StartStream destination="wss://s.example/in" name="x"/><Pause duration="2"/>`)}})
		b.leg.opening = func(context.Context, verbs.StreamConfig) (verbs.Stream, error) { return opened{}, nil }
		b.run()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
		entries, err := b.store.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		var streams []state.Media
		for _, e := range entries {
			if e.Media != nil {
				assert.Regexp(t, "^s-", e.Media.Stream)
				e.Media.Stream = ""
				streams = append(streams, *e.Media)
			}
		}
		assert.Equal(t, []state.Media{
			{Event: "streaming", Detail: "x to wss://s.example/in, inbound and outbound"},
			{Event: "not streamed", Detail: "x to wss://s.example/in, inbound: The call has a stream of this name", Cause: "duplicate"},
			{Event: "streamed", Detail: "x to wss://s.example/in, inbound and outbound", Cause: "closed"},
		}, streams)
	})
}

// TestAStreamThatIsNotSetUpInTimeIsGivenUp: the time is that of the application's webhooks.
func TestAStreamThatIsNotSetUpInTimeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(
			`<StartStream destination="wss://s.example/in" name="x" streamEventUrl="https://app.example/s"/><Pause duration="2"/>`)}})
		b.leg.opening = func(ctx context.Context, _ verbs.StreamConfig) (verbs.Stream, error) {
			<-ctx.Done()
			return nil, &verbs.TapError{Cause: "error", Err: ctx.Err()}
		}
		began := time.Now()
		b.run()
		assert.Equal(t, 9*time.Second, time.Since(began))
		require.Equal(t, []string{"mediaStreamRejected", "disconnect"}, types(b.app.sent))
		event := properties(t, b.app.sent[0].ev)
		assert.Equal(t, "connection-error", event["cause"])
		assert.Equal(t, "the stream was not set up within 7s", event["errorMessage"])
	})
}
