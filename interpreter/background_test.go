package interpreter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// begins is a document whose verb begins activities, and waits a while.
type begins struct {
	activities []verbs.Activity
	then       func(ctx context.Context, b verbs.Background) error
}

func (b *begins) Parse([]byte, string) (*verbs.Document, error) {
	return &verbs.Document{Verbs: []verbs.Verb{b}}, nil
}
func (b *begins) Name() string        { return "Begins" }
func (b *begins) Pos() verbs.Position { return verbs.Position{Line: 1, Column: 1} }
func (b *begins) Execute(ctx context.Context, c verbs.Call) (verbs.Outcome, error) {
	behind := c.(verbs.Background)
	for _, a := range b.activities {
		behind.Begin(ctx, a)
	}
	if b.then != nil {
		return verbs.Outcome{}, b.then(ctx, behind)
	}
	select {
	case <-time.After(time.Minute):
		return verbs.Outcome{}, nil
	case <-ctx.Done():
		return verbs.Outcome{}, context.Cause(ctx)
	}
}

// does is an activity.
type does struct {
	run   func(ctx context.Context)
	cause error // of its end
	ended time.Time
}

func (d *does) Run(ctx context.Context) {
	if d.run != nil {
		d.run(ctx)
	} else {
		<-ctx.Done()
	}
	d.cause, d.ended = context.Cause(ctx), time.Now()
}

func (b *bench) begins(d *begins) {
	b.assemble()
	b.runner.parser = d
}

func TestActivitiesEndWithTheCall(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		end   func(b *bench)
		then  func(ctx context.Context, _ verbs.Background) error
		cause error
		after time.Duration
	}{
		"the caller hangs up":  {end: func(b *bench) { b.end(verbs.ErrRemoteHangup) }, cause: verbs.ErrRemoteHangup, after: time.Second},
		"the node is drained":  {end: func(b *bench) { b.drain(verbs.ErrDrained) }, cause: verbs.ErrDrained, after: time.Second},
		"the API ends it":      {end: func(b *bench) { _ = b.runner.Complete() }, cause: verbs.ErrCompleted, after: time.Second},
		"the document is over": {end: func(*bench) {}, cause: verbs.ErrHungUp, after: time.Minute},
		"a verb fails":         {end: func(*bench) {}, then: func(context.Context, verbs.Background) error { return broken }, cause: broken},
		"a verb hangs up": {end: func(*bench) {}, then: func(ctx context.Context, b verbs.Background) error {
			return b.(verbs.Hanger).Hangup(ctx)
		}, cause: verbs.ErrHungUp},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, map[string][]any{"initiate": {""}})
				a := &does{}
				b.begins(&begins{activities: []verbs.Activity{a}, then: tc.then})
				time.AfterFunc(time.Second, func() { tc.end(b) })
				began := time.Now()
				b.run()
				require.ErrorIs(t, a.cause, tc.cause)
				assert.Equal(t, tc.after, a.ended.Sub(began))
			})
		})
	}
}

// TestTheLastEventsOfActivitiesComeBeforeDisconnect: what an activity tells at its end is handed over first.
func TestTheLastEventsOfActivitiesComeBeforeDisconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {""}})
		b.begins(&begins{then: func(ctx context.Context, behind verbs.Background) error {
			behind.Begin(ctx, &does{run: func(ctx context.Context) {
				<-ctx.Done()
				time.Sleep(time.Second)
				assert.NoError(t, behind.Tell(ctx, webhook.Target{URL: "https://app.example/d"}, webhook.NewDTMF(webhook.Call{}, '1')))
			}})
			return nil
		}})
		b.run()
		require.Equal(t, []string{"dtmf", "disconnect"}, types(b.app.sent))
		assert.Equal(t, webhook.Target{URL: "https://app.example/d", Timeout: 7 * time.Second}, b.app.sent[0].to, "the application's time-out")
	})
}

// TestAnActivityThatDoesNotEndDelaysDisconnectForAWhile: the application is told all the same.
func TestAnActivityThatDoesNotEndDelaysDisconnectForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {""}})
		release := make(chan struct{})
		stuck := &does{run: func(context.Context) { <-release }}
		b.begins(&begins{activities: []verbs.Activity{stuck}, then: func(context.Context, verbs.Background) error { return nil }})
		began := time.Now()
		over := make(chan struct{})
		go func() {
			defer close(over)
			b.run()
		}()
		time.Sleep(activityWait)
		synctest.Wait()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
		select {
		case <-over:
			t.Fatal("whoever runs the call does not wait for the activity")
		default:
		}
		close(release)
		<-over
		assert.Equal(t, activityWait, time.Since(began))
	})
}

// TestAPanicOfAnActivityEndsTheCall, and nothing else.
func TestAPanicOfAnActivityEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {""}})
		b.begins(&begins{activities: []verbs.Activity{&does{run: func(context.Context) { panic("broken") }}}})
		b.run()
		assert.Equal(t, 1, b.panics)
		event := b.disconnect()
		assert.Equal(t, "error", event["cause"])
		assert.Contains(t, event["errorMessage"], "broken")
	})
}

// TestAVerbEndsAnActivity, which may take its time; those that are over are not running.
func TestAVerbEndsAnActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {""}})
		over, first := &does{run: func(context.Context) {}}, &does{run: func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
		}}
		second := &does{}
		b.begins(&begins{activities: []verbs.Activity{over, first, second}, then: func(_ context.Context, behind verbs.Background) error {
			synctest.Wait()
			assert.Equal(t, []verbs.Activity{first, second}, behind.Running())
			began := time.Now()
			behind.End(over)
			behind.End(first)
			behind.End(first)
			assert.Equal(t, time.Second, time.Since(began))
			assert.Equal(t, []verbs.Activity{second}, behind.Running())
			return nil
		}})
		b.run()
		require.ErrorIs(t, first.cause, verbs.ErrStopped)
		require.ErrorIs(t, second.cause, verbs.ErrHungUp)
	})
}
