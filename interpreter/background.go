package interpreter

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// activityWait is how long the end of a call waits for what goes on behind its verbs. What takes longer is waited for
// when the application has been told of the end.
const activityWait = 5 * time.Second

// activities are those of a call that have not ended.
type activities struct {
	mu     sync.Mutex
	list   []*activity
	ending error // why the call ends; nil: it does not
	all    sync.WaitGroup
}

type activity struct {
	verbs.Activity
	end  context.CancelCauseFunc
	done chan struct{}
}

// Begin implements [verbs.Background].
func (c *call) Begin(ctx context.Context, a verbs.Activity) {
	ctx, end := context.WithCancelCause(valued{c.life, ctx})
	begun := &activity{a, end, make(chan struct{})}
	b := &c.behind
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, begun)
	if b.ending != nil {
		end(b.ending)
	}
	b.all.Go(func() {
		defer close(begun.done)
		defer b.over(begun)
		defer end(nil)
		defer func() {
			if v := recover(); v != nil {
				c.recovered(v)
				c.end(recovered(v))
			}
		}()
		a.Run(ctx)
	})
}

func (b *activities) over(a *activity) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(have *activity) bool { return have == a })
}

func (b *activities) running() []*activity {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

// Running implements [verbs.Background].
func (c *call) Running() (all []verbs.Activity) {
	for _, a := range c.behind.running() {
		all = append(all, a.Activity)
	}
	return all
}

// End implements [verbs.Background].
func (c *call) End(a verbs.Activity) {
	for _, running := range c.behind.running() {
		if running.Activity == a {
			running.end(verbs.ErrStopped)
			<-running.done
		}
	}
}

// endAll ends the activities, those included that are begun later, because the call ends.
func (c *call) endAll(cause error) {
	c.behind.mu.Lock()
	if c.behind.ending == nil {
		c.behind.ending = cause
	}
	c.behind.mu.Unlock()
	running := c.behind.running()
	for _, a := range running {
		a.end(cause)
	}
	if len(running) == 0 {
		return
	}
	enough := time.NewTimer(activityWait)
	defer enough.Stop()
	for _, a := range running {
		select {
		case <-a.done:
		case <-enough.C:
			c.logger().Warn("the end of the call does not wait for what goes on behind its verbs", zap.Duration("after", activityWait))
			return
		}
	}
}

// Tell implements [verbs.Background].
func (c *call) Tell(ctx context.Context, to webhook.Target, ev webhook.Event) error {
	if to.Timeout == 0 {
		to.Timeout = c.app.Timeout
	}
	if err := c.sender.Send(context.WithoutCancel(ctx), to, ev); err != nil {
		c.logger().Error("an event could not be stored", zap.String("event_type", ev.Type), zap.Error(err))
		return err
	}
	return nil
}
