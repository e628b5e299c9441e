package verbs

import (
	"context"

	"github.com/callengine/callengine/webhook"
)

// Activity is what a verb has begun on a call and left behind: it goes on while other verbs run, in this document and
// in those that follow, until the call ends.
type Activity interface {
	// Run goes on until ctx ends, or for as long as there is something to do. The cause of ctx is [ErrStopped], or why the
	// call ended: then Run has about a second for what remains to be done, its last events among it, since the disconnect
	// event waits for it. The call's own goroutine waits as well where a verb ends the activity.
	Run(ctx context.Context)
}

// Background is where activities run.
type Background interface {
	// Begin runs an activity in a goroutine of the call's. A panic in it ends the call.
	Begin(ctx context.Context, a Activity)
	// Running returns the activities that are running, in the order in which they were begun.
	Running() []Activity
	// End ends an activity and returns when it has ended. It does nothing when that is over.
	End(a Activity)
	// Tell takes charge of an asynchronous event: when it returns nil, the event is owed until it has been delivered. The
	// target's URL is absolute; one without a time-out has that of the call's application. Any goroutine may tell.
	Tell(ctx context.Context, to webhook.Target, ev webhook.Event) error
}
