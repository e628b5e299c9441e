package webhook

import (
	"context"
	"time"
)

// BasicAuth are the credentials of HTTP Basic authentication.
type BasicAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// Target is where an event goes.
type Target struct {
	URL      string        `json:"url"`            // absolute http or https; user information in it counts as credentials
	Method   string        `json:"method"`         // "POST" or "GET"; empty: POST
	Auth     *BasicAuth    `json:"auth,omitempty"` // nil: none
	Fallback *Target       `json:"fallback,omitempty"`
	Timeout  time.Duration `json:"timeout"` // for each attempt, from connecting to the last byte of the reply; 0: 15 s
}

// Reply is the answer of an application to a synchronous event.
type Reply struct {
	URL    string // that finally answered; the base of relative URLs in the document
	Status int
	Body   []byte // at most MaxReply+1 bytes: one more than allowed tells that there was more
}

// MaxReply is the size in bytes up to which the body of a reply is a BXML document (docs/bxml.md).
const MaxReply = 65536

// Ledger is what delivery needs of the store. Both calls return when the fact is safe.
type Ledger interface {
	// Owe notes that an event of a call has to be delivered. packed is all that this takes, as JSON; it does not change any more.
	Owe(ctx context.Context, to Target, ev Event, packed []byte) (seq uint64, err error)
	// Delivered notes that the event owed under seq needs no more attempts.
	Delivered(ctx context.Context, callID string, seq uint64) error
}

// Exchange is one HTTP request of an event and what became of it.
type Exchange struct {
	Event    Event
	Method   string
	URL      string // with user information masked
	Attempt  int    // from 1
	Fallback bool   // sent to the fallback URL
	Status   int    // 0: no reply
	Body     []byte // of the reply to a synchronous event
	Err      error
	Duration time.Duration
}

// Observer is told of every HTTP request. Its methods are called from the goroutine that delivers and must not block.
type Observer interface {
	Request(Exchange) // about to be sent: Status, Body, Err and Duration are zero
	Reply(Exchange)   // its end, whatever it was
}
