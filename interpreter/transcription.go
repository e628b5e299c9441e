package interpreter

import (
	"context"
	"strings"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"go.uber.org/zap"
)

var _ verbs.Transcriber = (*call)(nil)

// OpenTranscription begins a transcription.
func (c *call) OpenTranscription(ctx context.Context, t verbs.TranscriptionConfig) (verbs.Transcription, error) {
	if t.Events != nil {
		to, err := c.resolve(*t.Events)
		if err != nil {
			return nil, err
		}
		t.Events = &to
	}
	return c.leg.OpenTranscription(ctx, c.Info(), t)
}

// transcriptionEvents are what the journal calls the changes of a transcription.
var transcriptionEvents = map[string]string{
	"started": state.MediaTranscribing, "rejected": state.MediaNotTranscribed, "stopped": state.MediaTranscribed,
	"available": state.MediaTextAvailable, "failed": state.MediaTextFailed,
}

// NoteTranscription journals what has become of a transcription. It may come from any goroutine, and after the call.
func (c *call) NoteTranscription(t verbs.TranscriptionConfig, change verbs.TapChange) {
	detail := t.Name
	if change.Event == "started" || change.Event == "rejected" {
		detail += ", " + strings.Join(t.Tracks, " and ")
		if t.Destination != "" {
			detail += ", to " + where(t.Destination)
		}
	}
	if change.Cause != "" {
		detail += ": " + change.Cause
	}
	if change.Error != "" {
		detail += ": " + change.Error
		c.logger().Warn("a transcription went wrong", zap.String("transcription_id", t.ID), zap.String("cause", change.Cause), zap.String("error", change.Error))
	}
	c.note(state.Entry{Type: state.TypeMedia, Media: &state.Media{Event: transcriptionEvents[change.Event], Detail: detail}})
}
