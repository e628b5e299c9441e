package verbs

import (
	"errors"
	"fmt"
)

// Why a call's context ended, or why a verb could not go on. They decide the cause of the call's end; whoever runs
// calls over a real protocol translates its own errors into these.
var (
	ErrRemoteHangup = errors.New("the caller hung up")
	ErrCanceled     = errors.New("the caller gave up before the answer")
	ErrNoAck        = errors.New("no ACK was received for the answer")
	ErrNoPrack      = errors.New("no PRACK was received for the ringing")
	ErrNoMedia      = errors.New("the caller's ACK held no usable answer to our offer")
	ErrDialogLost   = errors.New("the caller's side no longer knows the call")
	ErrDrained      = errors.New("the node was shut down before the call had ended")
	ErrCompleted    = errors.New("the call was ended through the API")
)

// ErrReplaced is why a document's context ended while its call goes on: another document takes its place, through the
// API.
var ErrReplaced = errors.New("the document was replaced through the API")

// ActionError is a verb that the call cannot do: it ends the call with [CauseApplicationError].
type ActionError struct {
	Verb   string // its name
	Reason string // what cannot be done, and why
	Err    error  // what was behind it; may be nil
}

func (e *ActionError) Error() string { return fmt.Sprintf("%s: %s", e.Verb, e.Reason) }

// Unwrap returns what was behind the error.
func (e *ActionError) Unwrap() error { return e.Err }

// Why the context of an [Activity] ended, besides what ends a call's.
var (
	ErrStopped = errors.New("stopped by a verb")
	ErrHungUp  = errors.New("the call was hung up")
)
