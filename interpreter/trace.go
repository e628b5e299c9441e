package interpreter

import (
	"context"

	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// Tracer follows calls through their documents and verbs. Each method is told where something begins and returns the
// context for what happens within it, and a function that is called with the fault that it ended with; nil: it went as it
// should, the caller's hanging up included. It is called from many goroutines and must not block.
type Tracer interface {
	Call(ctx context.Context, c webhook.Call) (context.Context, func(fault error))
	Document(ctx context.Context, url string) (context.Context, func(fault error))
	Verb(ctx context.Context, name string, at verbs.Position) (context.Context, func(fault error))
}

// WithTracer has t follow the call. Default: nobody.
func WithTracer(t Tracer) Option { return func(r *Runner) { r.tracer = t } }

// nobody is the tracer of a runner that has none.
type nobody struct{}

func (nobody) Call(ctx context.Context, _ webhook.Call) (context.Context, func(error)) {
	return ctx, func(error) {}
}

func (nobody) Document(ctx context.Context, _ string) (context.Context, func(error)) {
	return ctx, func(error) {}
}

func (nobody) Verb(ctx context.Context, _ string, _ verbs.Position) (context.Context, func(error)) {
	return ctx, func(error) {}
}

// fault returns an error that makes a call's end an extraordinary one, and nil for any other.
func fault(err error) error {
	if _, message := causeOf(err); message == "" {
		return nil
	}
	return err
}

// valued is a context that ends as one does and holds the values of another.
type valued struct {
	context.Context
	values context.Context
}

func (v valued) Value(key any) any {
	if value := v.Context.Value(key); value != nil {
		return value
	}
	return v.values.Value(key)
}
