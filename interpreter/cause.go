package interpreter

import (
	"context"
	"errors"
	"fmt"

	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// errPanic ends a call in which the node itself failed.
var errPanic = errors.New("internal error")

// causeOf decides what a call's end is called, from the error that ended it: the one place where it is decided
// (docs/webhooks.md). The message is what disconnect carries as errorMessage; an ordinary end has none.
func causeOf(err error) (cause verbs.Cause, message string) {
	switch {
	case err == nil, errors.Is(err, verbs.ErrRemoteHangup), errors.Is(err, verbs.ErrCompleted), errors.Is(err, verbs.ErrReplaced):
		return verbs.CauseHangup, ""
	case errors.Is(err, verbs.ErrCanceled):
		return verbs.CauseCancel, ""
	case errors.Is(err, verbs.ErrNoAck), errors.Is(err, verbs.ErrNoPrack), errors.Is(err, verbs.ErrNoMedia),
		errors.Is(err, verbs.ErrDialogLost), errors.Is(err, verbs.ErrDrained):
		return verbs.CauseError, err.Error()
	case is[*verbs.SyntaxError](err):
		return verbs.CauseInvalidBXML, err.Error()
	case is[*verbs.ActionError](err):
		return verbs.CauseApplicationError, err.Error()
	case is[*webhook.DeliveryError](err):
		return verbs.CauseCallbackError, err.Error()
	}
	return verbs.CauseError, err.Error()
}

// is reports whether an error is, or wraps, one of a type.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// remote reports whether the error means that the other side's end of the call is over, so that there is nobody left to
// hang up on.
func remote(err error) bool {
	return errors.Is(err, verbs.ErrRemoteHangup) || errors.Is(err, verbs.ErrCanceled) ||
		errors.Is(err, verbs.ErrDialogLost) || errors.Is(err, verbs.ErrNoAck) || errors.Is(err, verbs.ErrNoPrack) ||
		errors.Is(err, verbs.ErrNoMedia)
}

// because returns why ctx ended instead of an error that merely says that something was interrupted by it.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// recovered makes an error of a panic's value.
func recovered(v any) error { return fmt.Errorf("%w: %v", errPanic, v) }
