package webhook

import (
	"context"
	"net/http"
)

// Tracer follows the requests of events through other systems. It is called from many goroutines and must not block.
type Tracer interface {
	// Begin is told of a request that is about to be sent, and may add headers to it. ctx holds the values of the context
	// under which the event was asked or sent. What Begin returns is called with the exchange once that has ended, as
	// [Observer].Reply is.
	Begin(ctx context.Context, x Exchange, h http.Header) (ended func(Exchange))
}

// WithTracer has t follow every request. Default: nobody.
func WithTracer(t Tracer) Option { return func(c *Client) { c.tracer = t } }

func (nobody) Begin(context.Context, Exchange, http.Header) func(Exchange) { return func(Exchange) {} }

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
