package verbs

import (
	"context"

	"github.com/callengine/callengine/webhook"
)

// Outcome is what follows from a verb. The zero value means: go on with the next verb.
type Outcome struct {
	// Replace replaces the document by this reply; the verbs that follow never run.
	Replace *webhook.Reply
	// End ends the call with this cause.
	End Cause
	// After is what is still owed once the call's end has been journalled and its disconnect event is on its way. It
	// runs in the call's goroutine; its context ends when the node cannot wait any longer.
	After func(ctx context.Context)
}

// Cause is why a call ended, the property "cause" of the disconnect event (docs/webhooks.md).
type Cause string

const (
	CauseHangup           Cause = "hangup"            // either side hung up, or the document ended
	CauseCancel           Cause = "cancel"            // the caller gave up before the answer
	CauseCallbackError    Cause = "callback-error"    // a synchronous event could not be delivered
	CauseInvalidBXML      Cause = "invalid-bxml"      // a document was not valid
	CauseApplicationError Cause = "application-error" // a verb that the call cannot do
	CauseError            Cause = "error"             // anything else
)
