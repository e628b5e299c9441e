package webhook

import (
	"context"

	"go.uber.org/zap"
)

// Ask sends a synchronous event and returns the application's reply: a status from 200 to 299. It returns when the last
// byte of the reply is in, when delivery has failed, or when ctx ends.
//
// An event that cannot be delivered goes to the fallback URL, if the target has one, with the fallback's own method and
// credentials; a fallback without a time-out has that of the target. Without a fallback it is sent once more, at once,
// when there was no connection: none could be made, or one kept alive was closed before the reply began. A time-out is
// not followed by another wait for the same URL.
//
// The error is a [*DeliveryError]; it wraps the cause of ctx when that has ended.
func (c *Client) Ask(ctx context.Context, to Target, ev Event) (Reply, error) {
	reply, failed := c.deliver(ctx, to, ev, manner{wanted: true, again: to.Fallback == nil})
	if failed == nil {
		return reply, nil
	}
	if to.Fallback == nil || ctx.Err() != nil {
		return Reply{}, failed
	}
	reply, second := c.deliver(ctx, to.fallback(), ev, manner{wanted: true, fallback: true, earlier: failed.Attempts})
	if second == nil {
		c.log.Warn("the fallback URL had to be asked", zap.String("call_id", ev.CallID), zap.String("event_id", ev.ID), zap.Error(failed))
		return reply, nil
	}
	second.Before = failed
	return Reply{}, second
}

// fallback returns the fallback target, whose own fallback does not count.
func (t Target) fallback() Target {
	f := *t.Fallback
	if f.Timeout <= 0 {
		f.Timeout = t.Timeout
	}
	return f
}
