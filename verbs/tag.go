package verbs

import "context"

// Tag sets the call's tag without a webhook.
type Tag struct {
	heading
	Value string // empty: clears the tag
}

var tagDef = definition{
	name:             "Tag",
	text:             text{optionalText, formatTag},
	inTransferAnswer: true,
	read:             func(n *node) Verb { return &Tag{n.heading(), n.text} },
}

// Execute does not answer the call.
func (t *Tag) Execute(_ context.Context, call Call) (Outcome, error) {
	call.SetTag(t.Value)
	return Outcome{}, nil
}
