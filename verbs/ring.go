package verbs

import (
	"context"
	"time"
)

// Ring lets the caller hear ringing for a while.
type Ring struct {
	heading
	Duration   time.Duration
	AnswerCall bool
}

var ringDef = definition{
	name: "Ring",
	attributes: []attribute{
		numberAttr("duration").or("5").atLeast(0.1).atMost(86400).in(time.Second),
		booleanAttr("answerCall", "true"),
	},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &Ring{n.heading(), n.duration("duration"), n.boolean("answerCall")}
	},
}

// Execute plays ringing tone on an answered call, and on one that it answers. Without an answer it says 180 once, with
// a [Ringer], and waits: the caller's phone makes the tone.
func (r *Ring) Execute(ctx context.Context, call Call) (Outcome, error) {
	if !r.AnswerCall && !call.Info().Answered() {
		ringer, ok := call.(Ringer)
		if !ok {
			return Outcome{}, r.lacks("ring without being answered")
		}
		if err := ringer.Ring(ctx); err != nil {
			return Outcome{}, ended(ctx, err)
		}
		return Outcome{}, wait(ctx, r.Duration-elapsed(call))
	}
	player, ok := call.(Player)
	if !ok {
		return Outcome{}, r.lacks("play ringing")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	tone, stop := context.WithTimeout(ctx, r.Duration-elapsed(call))
	defer stop()
	return Outcome{}, ended(ctx, player.PlayRinging(tone))
}
