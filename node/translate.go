package node

import (
	"errors"
	"fmt"

	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/verbs"
)

// translated gives an error of the SIP stack the name that the verbs know it by. Both can be recognised in it.
func translated(err error) error {
	for _, t := range []struct{ from, to error }{
		{sipstack.ErrRemoteHangup, verbs.ErrRemoteHangup},
		{sipstack.ErrCanceled, verbs.ErrCanceled},
		{sipstack.ErrNoAck, verbs.ErrNoAck},
		{sipstack.ErrNoPrack, verbs.ErrNoPrack},
		{sipstack.ErrNoMedia, verbs.ErrNoMedia},
		{sipstack.ErrDialogLost, verbs.ErrDialogLost},
	} {
		if errors.Is(err, t.from) {
			return &translatedError{as: t.to, err: err}
		}
	}
	return err
}

// translatedError reads as the verbs' error, followed by what the stack knows beyond it.
type translatedError struct{ as, err error }

func (e *translatedError) Error() string {
	var status *sipstack.StatusError
	switch {
	case errors.As(e.err, &status):
		return fmt.Sprintf("%v (%v)", e.as, status)
	case errors.Is(e.err, sipstack.ErrSessionExpired):
		return fmt.Sprintf("%v (%v)", e.as, sipstack.ErrSessionExpired)
	}
	return e.as.Error()
}

func (e *translatedError) Unwrap() []error { return []error{e.as, e.err} }
