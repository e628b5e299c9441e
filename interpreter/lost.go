package interpreter

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"go.uber.org/zap"
)

// lostStream is a stream that was up when its process ended.
type lostStream struct {
	behindVerb
	id    string
	since time.Time
	told  bool // the application knows of its beginning
}

// readStream follows the streams of a call. The verb that has begun one runs while it is noted.
func (r *Resumption) readStream(at time.Time, m *state.Media) {
	switch m.Event {
	case state.MediaStreaming:
		r.streams = append(r.streams, lostStream{behindVerb{"StartStream", r.document, r.next}, m.Stream, at, false})
	case state.MediaStreamed:
		r.streamIsOver(m.Stream)
	}
}

// readStreamEvent notes what the application was told of a stream.
func (r *Resumption) readStreamEvent(w *state.Webhook) {
	var owed struct {
		Body struct {
			MediaStream struct {
				ID string `json:"id"`
			} `json:"mediaStream"`
		} `json:"body"`
	}
	if json.Unmarshal(w.Owed, &owed) != nil {
		return
	}
	id := owed.Body.MediaStream.ID
	switch w.EventType {
	case "mediaStreamStarted":
		for i := range r.streams {
			r.streams[i].told = r.streams[i].told || r.streams[i].id == id
		}
	case "mediaStreamStopped":
		r.streamIsOver(id)
	}
}

func (r *Resumption) streamIsOver(id string) {
	r.streams = slices.DeleteFunc(r.streams, func(s lostStream) bool { return s.id == id })
}

// tellLost tells of the streams that were lost with the process. Those of a call that goes on are begun again after that.
func (r *Runner) tellLost(ctx context.Context, c *call, from Resumption) {
	for _, s := range from.streams {
		v, err := r.verbBehind(s.behindVerb)
		start, ok := v.(*verbs.StartStream)
		if err != nil || !ok {
			r.logger().Warn("the end of a stream cannot be told", zap.String("stream_id", s.id), zap.Error(err))
			continue
		}
		c.base = s.document.URL
		start.Lost(ctx, c, s.id, s.since, s.told)
	}
}
