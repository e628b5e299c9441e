package state

import (
	"encoding/json"
	"time"
)

// Type is the kind of a journal entry.
type Type string

const (
	TypeSIP       Type = "sip"
	TypeWebhook   Type = "webhook"
	TypeDocument  Type = "document"
	TypeVerb      Type = "verb"
	TypeTimer     Type = "timer"
	TypeCall      Type = "call"
	TypeMedia     Type = "media"
	TypeDigit     Type = "digit"
	TypeDialog    Type = "dialog"
	TypeRecording Type = "recording"
)

// Entry is one thing that happened on a call. Exactly the payload that Type names is set. Entries are values: whoever
// appends one must not change what it points at afterwards.
type Entry struct {
	Seq    uint64    `json:"seq"`  // from 1, without gaps within a call; given by the store
	Time   time.Time `json:"time"` // zero when appended: the store's clock
	CallID string    `json:"callId"`
	Type   Type      `json:"type"`

	SIP       *SIP       `json:"sip,omitempty"`
	Webhook   *Webhook   `json:"webhook,omitempty"`
	Document  *Document  `json:"document,omitempty"`
	Verb      *Verb      `json:"verb,omitempty"`
	Timer     *Timer     `json:"timer,omitempty"`
	Call      *Call      `json:"call,omitempty"`
	Media     *Media     `json:"media,omitempty"`
	Digit     *Digit     `json:"digit,omitempty"`
	Dialog    *Dialog    `json:"dialog,omitempty"`
	Recording *Recording `json:"recording,omitempty"`
}

// Vital reports whether recovery cannot do without the entry: a store that writes behind makes haste with it, and has it safe
// from the end of the process when [Store].Await returns, or Append did, and with it all that was appended before it. Of
// the others a crash may cost the newest.
//
// An entry is vital if something leaves the node behind it that relies on it, before another one that is: a message, a
// request, an answer. What can be told from those before it is not, nor is what nothing relies on yet.
func (e *Entry) Vital() bool {
	switch {
	case e.Dialog != nil: // the 2xx that follows is not sent again once it is acknowledged
		return true
	case e.Call != nil:
		return e.Call.Event == CallAnswered || e.awaited()
	case e.SIP != nil && e.SIP.Code == 0:
		switch e.SIP.Method {
		case "INVITE", "CANCEL", "BYE", "NOTIFY": // are not sent again once they are answered
			return e.SIP.Direction == "in"
		case "REFER": // must not be sent twice
			return e.SIP.Direction == "out"
		}
		return false
	case e.Webhook != nil:
		return e.awaited()
	case e.Verb != nil && e.Verb.Refer != nil: // the verbs that follow a Refer rely on its outcome
		return e.Verb.Refer.Status != ReferPending
	}
	return false
}

// awaited reports whether Append returns when the entry, which is vital, is safe. With the others that are vital, who sends
// something because of them waits then: they are told by goroutines that must not wait, such as the one that reads a socket.
func (e *Entry) awaited() bool {
	switch {
	case e.Call != nil:
		switch e.Call.Event {
		case CallModified, CallResumed, CallEnded: // is answered by the API; makes another try; is a line of the details
			return true
		}
	case e.Webhook != nil: // a synchronous event that is asked for twice has to be the same one
		return e.Webhook.Event == WebhookOwed || e.Webhook.Event == WebhookRequest && e.Webhook.EventType != disconnectEvent
	}
	return false
}

// SIP is a SIP message that was received or sent.
type SIP struct {
	Direction string `json:"direction"` // "in" or "out"
	Transport string `json:"transport"` // "udp", "tcp"
	Local     string `json:"local"`     // host:port
	Remote    string `json:"remote"`
	Method    string `json:"method"`           // of the request; of a response, its CSeq's
	Code      int    `json:"code,omitempty"`   // of a response; 0: a request
	Reason    string `json:"reason,omitempty"` // of a response
	CSeq      uint32 `json:"cseq"`
	Summary   string `json:"summary,omitempty"` // what a ladder shows beside the start line: Refer-To, sipfrag, Retry-After
	Raw       string `json:"raw"`               // the whole message
}

// Webhook events.
const (
	WebhookOwed      = "owed"      // an asynchronous event has to be delivered
	WebhookRequest   = "request"   // an HTTP request was sent
	WebhookReply     = "reply"     // its answer, or its failure
	WebhookDelivered = "delivered" // an owed event needs no more attempts
	WebhookFailed    = "failed"    // an event was given up
)

// Webhook is a step in the life of an event.
type Webhook struct {
	Event     string          `json:"event"`   // WebhookOwed, …
	EventID   string          `json:"eventId"` // Callengine-Event-Id
	EventType string          `json:"eventType"`
	Method    string          `json:"method,omitempty"`
	URL       string          `json:"url,omitempty"`
	Attempt   int             `json:"attempt,omitempty"`
	Status    int             `json:"status,omitempty"` // of a reply; 0: none was received
	Error     string          `json:"error,omitempty"`
	Millis    int64           `json:"millis,omitempty"`  // a reply's time
	Body      json.RawMessage `json:"body,omitempty"`    // of a request: the event's properties
	Owed      json.RawMessage `json:"owed,omitempty"`    // WebhookOwed: all that delivery needs, credentials included
	OwedSeq   uint64          `json:"owedSeq,omitempty"` // WebhookDelivered, WebhookFailed: the number of what was owed
}

// Document is a BXML document that was received.
type Document struct {
	URL      string   `json:"url"`
	Body     string   `json:"body"`
	Verbs    []string `json:"verbs,omitempty"` // names, in order; none: empty or refused
	Warnings []string `json:"warnings,omitempty"`
	Error    string   `json:"error,omitempty"` // why it was refused
}

// Verb events.
const (
	VerbStarted  = "started"
	VerbProgress = "progress"
	VerbEnded    = "ended"
)

// Verb is a step of a verb.
type Verb struct {
	Event  string `json:"event"` // VerbStarted, …
	Name   string `json:"name"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Next   string `json:"next,omitempty"`  // ended: "next verb", "new document", "end"
	Error  string `json:"error,omitempty"` // ended
	Cause  string `json:"cause,omitempty"` // ended: why the call is to end, if it is
	// Outlived tells of one that ended that it has something under way which goes on beyond the call's end.
	Outlived bool   `json:"outlived,omitempty"`
	Refer    *Refer `json:"refer,omitempty"` // progress of a Refer
}

// Timer is a timer that was started, ran out, or was stopped.
type Timer struct {
	Name  string `json:"name"`
	Event string `json:"event"` // "started", "fired", "stopped"
	After string `json:"after,omitempty"`
}

// Call events.
const (
	CallInitiated = "initiated"
	CallRinging   = "ringing"
	CallAnswered  = "answered"
	CallTagged    = "tagged"
	CallModified  = "modified" // through the API
	CallResumed   = "resumed"  // the node was restarted, and goes on with the call
	CallEnded     = "ended"
	CallSettled   = "settled" // what outlived the call is over, too: nothing is left to do
)

// Changes by which a call is modified.
const (
	ChangeRedirect  = "redirect"  // another document is fetched
	ChangeDocument  = "document"  // another document was given
	ChangeCompleted = "completed" // the call ends
)

// Call is a change of the call's own state. What does not change with an event is empty in it.
type Call struct {
	Event         string `json:"event"` // CallInitiated, …
	AccountID     string `json:"accountId,omitempty"`
	ApplicationID string `json:"applicationId,omitempty"`
	From          string `json:"from,omitempty"`
	To            string `json:"to,omitempty"`
	Direction     string `json:"direction,omitempty"`
	SIPCallID     string `json:"sipCallId,omitempty"`
	// StirShaken is what a telephone network has found out about the caller's number.
	StirShaken map[string]string `json:"stirShaken,omitempty"`
	Tag        *string           `json:"tag,omitempty"`
	Change     string            `json:"change,omitempty"` // of CallModified: ChangeRedirect, …
	URL        string            `json:"url,omitempty"`    // of ChangeRedirect
	// Follow is all that it takes to follow a change, credentials included; opaque, and never read out.
	Follow       json.RawMessage `json:"follow,omitempty"`
	At           time.Time       `json:"at,omitzero"` // when it happened, if that is not the entry's time: a dialog's end
	Cause        string          `json:"cause,omitempty"`
	ErrorMessage string          `json:"errorMessage,omitempty"`
	ErrorID      string          `json:"errorId,omitempty"`
	Untold       bool            `json:"untold,omitempty"`   // of CallEnded: no disconnect event is due
	Outlived     bool            `json:"outlived,omitempty"` // of CallEnded: a verb has something under way that goes on until CallSettled
}

// Media events of streams.
const (
	MediaStreaming   = "streaming"    // a WebSocket gets the sound from now on
	MediaStreamed    = "streamed"     // it is closed
	MediaNotStreamed = "not streamed" // there was none
)

// Media events of transcriptions.
const (
	MediaTranscribing   = "transcribing"    // what is said is turned into text from now on
	MediaNotTranscribed = "not transcribed" // it could not begin
	MediaTranscribed    = "transcribed"     // nobody listens any more
	MediaTextAvailable  = "text available"  // the text can be fetched
	MediaTextFailed     = "text failed"     // it is not whole
)

// Media events of a Gather that listens.
const (
	MediaListening    = "listening"     // to what is said
	MediaNotListening = "not listening" // nobody can
	MediaUnderstood   = "understood"    // what was said
	MediaUnheard      = "unheard"       // nobody has spoken, or nobody listened to the end
)

// Media is a change of the call's sound: parameters agreed, playing started or ended, streams to others, text.
type Media struct {
	Event  string `json:"event"` // "agreed", "playing", "played", MediaStreaming, …
	Detail string `json:"detail,omitempty"`
	Stream string `json:"stream,omitempty"` // of a stream: its id
	Cause  string `json:"cause,omitempty"`  // of a stream: why it was closed, or why there was none
}

// Digit is a key that the other side pressed.
type Digit struct {
	Digit  string `json:"digit"`            // 0 to 9, *, #, A to D
	By     string `json:"by"`               // "rtp" (RFC 4733), "info" (SIP INFO), "tone" (in the sound)
	Millis int64  `json:"millis,omitempty"` // how long it was pressed, where that was told with it
}

// Dialog is the SIP dialog of a call and its session, as they are from now on: all that it takes to go on with them when
// the node was restarted.
type Dialog struct {
	Snapshot json.RawMessage `json:"snapshot,omitempty"` // opaque, and never read out
}

// Recording events.
const (
	RecordingStarted   = "started"
	RecordingPaused    = "paused"
	RecordingResumed   = "resumed"
	RecordingEnded     = "ended"
	RecordingAvailable = "available" // its file is where it stays; or it is known that there is none
)

// Recording is a step in the life of a recording of the call. What is known of recordings is kept elsewhere (package
// recordings): nothing is read from here.
type Recording struct {
	Event    string `json:"event"` // RecordingStarted, …
	ID       string `json:"recordingId"`
	Format   string `json:"fileFormat,omitempty"` // of RecordingStarted
	Channels int    `json:"channels,omitempty"`   // of RecordingStarted
	Millis   int64  `json:"millis,omitempty"`     // length of its sound; of RecordingEnded and RecordingAvailable
	Status   string `json:"status,omitempty"`     // of RecordingAvailable: "complete", "partial" or "error"
	Reason   string `json:"reason,omitempty"`     // of a status that is not "complete"
}
