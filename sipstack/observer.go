package sipstack

import (
	"time"

	"github.com/callengine/callengine/media"
)

// Message is a SIP message that was received or is about to be sent.
type Message struct {
	Time          time.Time
	In            bool
	Transport     string // "udp", "tcp" or "tls"
	Local, Remote string // host:port
	Method        string // of the request; of a response, its CSeq's
	Code          int    // of a response; 0: a request
	Reason        string // of a response
	CSeq          uint32
	SIPCallID     string
	Summary       string // what a ladder shows beside the start line: Refer-To, the status in a sipfrag, Retry-After
	Raw           string // the whole message
}

// Observer is told what happens on the wire. Its methods are called from many goroutines and must not block. The
// messages of a call are told in the order in which its connection carried them.
type Observer interface {
	// SIP tells of every message once. callID is "" when it belongs to no call. Messages that came before it was
	// known to which call they belong are told when it is.
	SIP(callID string, m Message)
	// Timer tells of a timer: event is "started", "fired" or "stopped", d how long it runs. "ack" is the time allowed
	// for the ACK of a 200 (Config.TransactionTimeout), "prack" that for the PRACK of a reliable 18x, "session" the
	// session timer (RFC 4028), which starts anew with each refresh.
	Timer(callID, name, event string, d time.Duration)
	// Refer tells the state of a referral, each time that it has changed.
	Refer(callID string, s ReferState)
	// Media tells what was agreed on of a call's sound, at its answer and with each re-INVITE or UPDATE.
	Media(callID string, p media.Params)
	// Digit tells of a key that was pressed, once for each.
	Digit(callID string, d media.Digit)
	// Dialog tells how the dialog of a call is from now on, for [Stack.Restore].
	Dialog(callID string, snapshot []byte)
	// Await returns when what was told of a call is written down, as far as somebody relies on it. It is called before each
	// message of a call that goes out, and may take as long as that takes.
	Await(callID string)
	// LateNotify tells of a NOTIFY for a referral that was over.
	LateNotify(callID string)
	// Panic tells that a handler panicked with v, and was recovered. callID is "" when it is not known.
	Panic(callID string, v any)
}

// nobody is the observer of a stack that has none.
type nobody struct{}

func (nobody) SIP(string, Message)                         {}
func (nobody) Timer(string, string, string, time.Duration) {}
func (nobody) Refer(string, ReferState)                    {}
func (nobody) Media(string, media.Params)                  {}
func (nobody) Digit(string, media.Digit)                   {}
func (nobody) Dialog(string, []byte)                       {}
func (nobody) Await(string)                                {}
func (nobody) LateNotify(string)                           {}
func (nobody) Panic(string, any)                           {}
