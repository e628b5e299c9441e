package interpreter

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

var _ verbs.Streamer = (*call)(nil)

// OpenStream connects a stream, bounded by the time-out that the webhooks of the call's application have.
func (c *call) OpenStream(ctx context.Context, s verbs.StreamConfig) (verbs.Stream, error) {
	within := c.app.Timeout
	if within == 0 {
		within = webhook.DefaultTimeout
	}
	timed, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	stream, err := c.leg.OpenStream(timed, s)
	if err != nil && timed.Err() != nil && ctx.Err() == nil {
		err = &verbs.TapError{Cause: "connection-error", Err: fmt.Errorf("the stream was not set up within %v", within)}
	}
	return stream, err
}

// streamEvents are what the journal calls the changes of a stream.
var streamEvents = map[string]string{
	"started": state.MediaStreaming, "rejected": state.MediaNotStreamed, "stopped": state.MediaStreamed,
}

// NoteStream journals what has become of a stream.
func (c *call) NoteStream(s verbs.StreamConfig, change verbs.TapChange) {
	detail := s.Name + " to " + where(s.Destination) + ", " + strings.Join(s.Tracks, " and ")
	if change.Error != "" {
		detail += ": " + change.Error
	}
	c.note(state.Entry{Type: state.TypeMedia, Media: &state.Media{
		Event: streamEvents[change.Event], Detail: detail, Stream: s.ID, Cause: change.Cause,
	}})
	if change.Error != "" {
		c.logger().Warn("a stream went wrong", zap.String("stream_id", s.ID), zap.String("cause", change.Cause), zap.String("error", change.Error))
	}
}

// where is a URL without what may be a secret: user information and query.
func where(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
