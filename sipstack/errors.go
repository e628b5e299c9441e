package sipstack

import (
	"errors"
	"fmt"
	"strings"
)

// Why a leg is over. [Leg.OnEnd] tells these, and methods that come too late return them; compare with errors.Is.
var (
	ErrRemoteHangup = errors.New("the caller hung up")
	ErrCanceled     = errors.New("the caller gave up before the answer")
	ErrNoAck        = errors.New("no ACK was received for the answer")
	ErrNoPrack      = errors.New("no PRACK was received for the ringing")
	ErrNoMedia      = errors.New("the ACK held no usable answer to the offer")
	ErrDialogLost   = errors.New("the caller's side no longer knows the dialog")
	ErrLocalHangup  = errors.New("the call was hung up here")
	ErrClosed       = errors.New("the SIP stack was closed")
)

// ErrSessionExpired is what an [ErrDialogLost] wraps when the session was not refreshed before its timer ended (RFC 4028).
var ErrSessionExpired = errors.New("the session was not refreshed in time")

// errNotAnswered is returned for what needs an answered call, errAnswered for what needs one that is not.
var (
	errNotAnswered = errors.New("the call is not answered")
	errAnswered    = errors.New("the call is answered")
)

// errBroken ends a leg whose handler panicked, and a request of ours whose goroutine did.
var errBroken = errors.New("the SIP stack failed in this call")

// errNoResponse means that a request of ours got no final response (timer F, RFC 3261 section 17.1.2.2), errTransport
// that it could not be sent.
var (
	errNoResponse = errors.New("no response")
	errTransport  = errors.New("transport error")
)

// StatusError is a final SIP failure response (RFC 3261 section 21): one that was received to a request of ours, or, from
// [Stack.OnInvite], one that is to be sent.
type StatusError struct {
	Method     string // "INVITE"
	Code       int    // 300..699
	Reason     string // of a received response: as received, may be empty; of one to be sent: empty stands for the usual phrase
	RetryAfter int    // seconds, of a response to be sent; 0: no such header
}

func (e *StatusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s rejected: %d %s", e.Method, e.Code, e.Reason), " ")
}
