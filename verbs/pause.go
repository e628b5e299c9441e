package verbs

import (
	"context"
	"time"
)

// Pause is silence for a while, on an answered call.
type Pause struct {
	heading
	Duration time.Duration
}

var pauseDef = definition{
	name: "Pause",
	attributes: []attribute{
		numberAttr("duration").or("1").atLeast(0.1).atMost(86400).in(time.Second),
	},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &Pause{n.heading(), n.duration("duration")}
	},
}

// Execute answers the call, because silence is something that is sent on it.
func (p *Pause) Execute(ctx context.Context, call Call) (Outcome, error) {
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	return Outcome{}, wait(ctx, p.Duration-elapsed(call))
}

// wait waits for d, or returns the context's cause.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
