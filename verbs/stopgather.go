package verbs

import "context"

// StopGather ends a StartGather.
type StopGather struct{ heading }

// stopGatherDef turns the events of a StartGather off.
var stopGatherDef = definition{
	name:             "StopGather",
	inTransferAnswer: true,
	read:             func(n *node) Verb { return &StopGather{n.heading()} },
}

// Execute does nothing where no StartGather is running.
func (s *StopGather) Execute(_ context.Context, call Call) (Outcome, error) {
	if background, ok := call.(Background); ok {
		if g := gatheringOf(background); g != nil {
			background.End(g)
		}
	}
	return Outcome{}, nil
}
