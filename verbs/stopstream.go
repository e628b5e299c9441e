package verbs

import "context"

// StopStream ends a stream, or waits until the other side does.
type StopStream struct {
	heading
	Stream string // its name, or the id that it was given
	Wait   bool
}

// stopStreamDef ends a stream, or waits for its end.
var stopStreamDef = definition{
	name: "StopStream",
	attributes: []attribute{
		stringAttr("name").needed(),
		booleanAttr("wait", "false"),
	},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		return &StopStream{heading: n.heading(), Stream: n.str("name"), Wait: n.boolean("wait")}
	},
}

// Execute does nothing where there is no such stream. A stream that is waited for ends when the other side closes it, or
// when its connection is lost.
func (s *StopStream) Execute(ctx context.Context, call Call) (Outcome, error) {
	background, ok := call.(Background)
	if !ok {
		return Outcome{}, nil
	}
	for _, x := range tapsOf[*streaming](background) {
		switch {
		case !x.is(s.Stream):
		case s.Wait:
			select {
			case <-x.closed:
				background.End(x) // its name is free from now on
			case <-ctx.Done():
			}
		default:
			background.End(x)
		}
	}
	return Outcome{}, ended(ctx, nil)
}
