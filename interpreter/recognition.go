package interpreter

import (
	"context"
	"fmt"
	"sync"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"go.uber.org/zap"
)

var _ verbs.Recognizer = (*call)(nil)

// CanRecognize implements [verbs.Recognizer].
func (c *call) CanRecognize() error { return c.leg.CanRecognize() }

// Recognize begins to listen to what is said, and journals what becomes of that.
func (c *call) Recognize(ctx context.Context, s verbs.SpeechInput) (verbs.Recognition, error) {
	heard, err := c.leg.Recognize(ctx, s)
	if err != nil {
		if ctx.Err() == nil {
			c.noteMedia(state.MediaNotListening, err.Error())
			c.logger().Warn("speech cannot be recognised", zap.Error(err))
		}
		return nil, err
	}
	c.noteMedia(state.MediaListening, "")
	return &noted{Recognition: heard, call: c}, nil
}

// noteMedia journals what is heard or said. An entry is large, and must not be on the stack as long as something is played.
//
//go:noinline
func (c *call) noteMedia(event, detail string) {
	c.note(state.Entry{Type: state.TypeMedia, Media: &state.Media{Event: event, Detail: detail}})
}

// noted is a recognition whose outcome is journalled when it is stopped.
type noted struct {
	verbs.Recognition
	call *call
	once sync.Once
}

// Stop implements [verbs.Recognition].
func (n *noted) Stop() {
	n.once.Do(func() {
		select {
		case <-n.Done():
			n.outcome()
		default:
			n.call.noteMedia(state.MediaUnheard, "")
		}
	})
	n.Recognition.Stop()
}

func (n *noted) outcome() {
	said, err := n.Said()
	if err != nil {
		n.call.noteMedia(state.MediaUnheard, err.Error())
		n.call.log.Warn("what was said could not be recognised", zap.Error(err))
		return
	}
	detail := "nothing"
	if said.Transcript != "" {
		detail = fmt.Sprintf("%s (%.2f)", said.Transcript, said.Confidence)
	}
	n.call.noteMedia(state.MediaUnderstood, detail)
}
