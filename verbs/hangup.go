package verbs

import "context"

// Hangup ends the call; one that is not answered is rejected.
type Hangup struct{ heading }

var hangupDef = definition{
	name:             "Hangup",
	inTransferAnswer: true,
	read:             func(n *node) Verb { return &Hangup{n.heading()} },
}

// Execute leaves BYE or the rejection to whoever ends the call.
func (h *Hangup) Execute(context.Context, Call) (Outcome, error) {
	return Outcome{End: CauseHangup}, nil
}
