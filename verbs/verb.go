package verbs

import (
	"context"
)

// Verb is one verb of a document that is valid.
type Verb interface {
	// Name is the verb's name in BXML, "Refer".
	Name() string
	// Pos is where the verb stands in its document.
	Pos() Position
	// Execute does what the verb does to the call and returns when the next one may start. It answers the call first
	// where the verb needs that. When ctx ends it returns the context's cause; what was begun and must be finished
	// (a REFER) is in the outcome's After, which therefore counts with an error, too.
	Execute(ctx context.Context, call Call) (Outcome, error)
}

// heading is what all verbs share.
type heading struct {
	name string
	pos  Position
}

func (h heading) Name() string  { return h.name }
func (h heading) Pos() Position { return h.pos }

// unsupported is a verb that this version knows and checks, but cannot do.
type unsupported struct{ heading }

func (u *unsupported) Execute(context.Context, Call) (Outcome, error) {
	return Outcome{}, &ActionError{Verb: u.name, Reason: "not supported by this version"}
}

// lacks is the error of a verb on a call without the ability that it needs.
func (h heading) lacks(what string) error {
	return &ActionError{Verb: h.name, Reason: "this call cannot " + what}
}

// setTag gives the call its new tag when a verb starts; nil leaves the one it has (docs/bxml.md).
func setTag(call Call, tag *string) {
	if tag != nil {
		call.SetTag(*tag)
	}
}

// ended returns the context's cause if the call is over, and err otherwise: what fails because the call has ended is
// not the reason for its end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
