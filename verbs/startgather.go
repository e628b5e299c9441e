package verbs

import (
	"context"
	"sync/atomic"

	"github.com/callengine/callengine/webhook"
)

// StartGather has an event sent for each digit that is pressed while other verbs run.
type StartGather struct {
	heading
	Target webhook.Target // its URL as in the document
	Tag    *string
}

// startGatherDef turns on an event for each digit.
var startGatherDef = definition{
	name: "StartGather",
	attributes: []attribute{
		urlAttr("dtmfUrl").needed(),
		methodAttr("dtmfMethod"),
		userAttr("username", "dtmfUrl"),
		passwordAttr("password", "dtmfUrl"),
		tagAttr(),
	},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &StartGather{
			heading: n.heading(),
			Target:  webhook.Target{URL: n.str("dtmfUrl"), Method: n.str("dtmfMethod"), Auth: n.auth("username", "password")},
			Tag:     n.optional("tag"),
		}
	},
}

// Execute needs a [Keypad] and a [Background]. Where a StartGather is running, its digits go to the new one's URL from now
// on: none is missed, and none is told twice.
func (s *StartGather) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, s.Tag)
	keypad, hears := call.(Keypad)
	background, runs := call.(Background)
	if !hears || !runs {
		return Outcome{}, s.lacks("tell of digits")
	}
	to := s.Target
	var err error
	if to.URL, err = call.URL(to.URL); err != nil {
		return Outcome{}, &ActionError{Verb: s.name, Reason: err.Error(), Err: err}
	}
	if g := gatheringOf(background); g != nil {
		g.to.Store(&to)
		return Outcome{}, ended(ctx, call.Answer(ctx))
	}
	g := &gathering{call: call, background: background}
	g.to.Store(&to)
	g.keys, g.stop = keypad.OverhearDigits() // before the answer: the first key may come with the ACK
	if err := call.Answer(ctx); err != nil {
		g.stop()
		return Outcome{}, ended(ctx, err)
	}
	background.Begin(ctx, g) // after it: the events tell of it
	return Outcome{}, ended(ctx, nil)
}

// gathering is a StartGather that goes on. It is suspended while a [Gather] takes the digits.
type gathering struct {
	call       Call
	background Background
	to         atomic.Pointer[webhook.Target]
	keys       <-chan byte
	stop       func()
}

// Run implements [Activity]. What was pressed before the end is told.
func (g *gathering) Run(ctx context.Context) {
	for {
		select {
		case key := <-g.keys:
			g.tell(ctx, key)
		case <-ctx.Done():
			g.stop()
			for {
				select {
				case key := <-g.keys:
					g.tell(ctx, key)
				default:
					return
				}
			}
		}
	}
}

// tell hands over the event of a digit. That one is lost does not end the call: who hands it over reports it.
func (g *gathering) tell(ctx context.Context, key byte) {
	_ = g.background.Tell(ctx, *g.to.Load(), webhook.NewDTMF(g.call.Info(), key))
}

// gatheringOf returns the StartGather that is running; nil: none is.
func gatheringOf(background Background) *gathering {
	for _, a := range background.Running() {
		if g, ok := a.(*gathering); ok {
			return g
		}
	}
	return nil
}
