package node

import (
	"context"
	"errors"
	"net/http"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/stream"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// streams connects the sound of calls with WebSockets, by the rules that hold for webhooks.
type streams struct {
	client    *http.Client
	metrics   *metrics
	accountID string
	userAgent string
}

// OpenStream implements [interpreter.Leg].
func (l *leg) OpenStream(ctx context.Context, s verbs.StreamConfig) (verbs.Stream, error) {
	cfg := stream.Config{
		URL: s.Destination, UserAgent: l.streams.userAgent, Bidirectional: s.Bidirectional,
		Metadata: stream.Metadata{
			AccountID: l.streams.accountID, CallID: l.callID, StreamID: s.ID, Name: s.Name, Params: s.Params,
		},
	}
	if s.Auth != nil {
		cfg.Username, cfg.Password = s.Auth.Username, s.Auth.Password
	}
	for _, t := range s.Tracks {
		cfg.Tracks = append(cfg.Tracks, stream.Track(t))
	}
	sound := l.sip.Media()
	if sound == nil {
		return nil, &verbs.TapError{Cause: "error", Err: media.ErrClosed}
	}
	opened, err := stream.Open(ctx, l.streams.client, sound, l.streams.metrics, cfg)
	switch {
	case err == nil:
		return running{opened}, nil
	case errors.Is(err, webhook.ErrRefused):
		return nil, &verbs.TapError{Cause: "error", Err: err}
	}
	return nil, &verbs.TapError{Cause: "connection-error", Err: err}
}

// running is a stream as the verbs see it.
type running struct{ *stream.Stream }

// Run implements [verbs.Stream].
func (r running) Run(ctx context.Context) error {
	err := r.Stream.Run(ctx)
	var lost *stream.ConnectionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &lost):
		return &verbs.TapError{Cause: "connection-error", Err: err}
	}
	return &verbs.TapError{Cause: "error", Err: err}
}

var _ stream.Counters = (*metrics)(nil)

// StreamFramesDropped implements [stream.Counters].
func (m *metrics) StreamFramesDropped(frames int) { m.streamDropped.Add(float64(frames)) }

// StreamMessagesRefused implements [stream.Counters].
func (m *metrics) StreamMessagesRefused(reason string) { m.streamRefused.WithLabelValues(reason).Inc() }

// stream counts what has become of a stream.
func (m *metrics) stream(s state.Media) {
	switch s.Event {
	case state.MediaStreaming:
		m.streamIs(s.Stream, true)
	case state.MediaStreamed:
		m.streamIs(s.Stream, false) // it may have been up in the process before this one
		m.streamsEnded.WithLabelValues("stopped", s.Cause).Inc()
	case state.MediaNotStreamed:
		m.streamsEnded.WithLabelValues("rejected", s.Cause).Inc()
	}
}

func (m *metrics) streamIs(id string, up bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if up {
		m.streamsUp[id] = struct{}{}
	} else {
		delete(m.streamsUp, id)
	}
	m.streams.Set(float64(len(m.streamsUp)))
}
