package verbs

import (
	"context"
	"time"

	"github.com/callengine/callengine/webhook"
)

// Call is what every verb may ask of the call that it runs on. All methods but Info belong to the one goroutine that runs
// the document; ctx ends with a typed cause ([ErrRemoteHangup], …) when the call ends.
type Call interface {
	// Info returns the properties of the call as they are now. Any goroutine may ask.
	Info() webhook.Call
	// SetTag sets the call's tag; "" clears it.
	SetTag(tag string)
	// Answer answers the call, if it is not answered yet, and returns when the dialog is confirmed.
	Answer(ctx context.Context) error
	// URL resolves a URL of the document against the URL that returned the document (RFC 3986; docs/bxml.md).
	URL(ref string) (string, error)
	// Ask delivers a synchronous event and returns the application's reply. The target's URLs may be relative.
	Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error)
}

// Hanger hangs up: BYE on an answered call, a final response on one that is not. It returns when the other side has
// confirmed, and at once when the call is over already. A verb needs it only where something has to happen after the
// call's end; otherwise it returns [Outcome.End]. It may be called while [Call.Ask] waits.
type Hanger interface {
	Hangup(ctx context.Context) error
}

// Ringer tells a caller whose call is not answered that it rings (180). It does nothing on an answered call.
type Ringer interface {
	Ring(ctx context.Context) error
}

// Referrer sends REFER. Refer returns at once with the referral under way. A rejected REFER is a result of the
// referral, not an error; an error means that none was sent.
type Referrer interface {
	// CanRefer reports why this call cannot be referred to target; nil: it can.
	CanRefer(target string) error
	Refer(ctx context.Context, target string) (Referral, error)
}

// Referral is a REFER under way. It is not bound to the call's context: the REFER and its subscription outlive a BYE
// (RFC 5057), bounded by timer F and the time allowed for the final NOTIFY.
type Referral interface {
	// Done is closed when the outcome is known.
	Done() <-chan struct{}
	// Result is the outcome, once Done is closed.
	Result() ReferResult
	// Interrupt ends the referral with what is known so far, unless its outcome is known already.
	Interrupt()
}

// ReferResult is the outcome of a REFER.
type ReferResult struct {
	Success    bool
	ReferCode  int  // status of the REFER; 0: no response was received
	NotifyCode int  // final status that a NOTIFY reported; 0: none
	DialogLost bool // the peer knows no such dialog any more (408 or 481 to the REFER, RFC 5057)
	CallGone   bool // the call had ended from the other side before this became known
}

// Player puts sound on an answered call. Each method returns when the sound has ended, or with the context's cause.
type Player interface {
	// Speak speaks. An error that is an [ActionError] tells what the node lacks.
	Speak(ctx context.Context, s Speech) error
	// PlayURL plays the audio file at an absolute URL.
	PlayURL(ctx context.Context, url string, auth *webhook.BasicAuth) error
	// PlayRinging plays ringing tone until ctx ends, and returns nil then.
	PlayRinging(ctx context.Context) error
}

// Keypad tells of the keys that the other side of a call presses: 0 to 9, *, #, A to D. Each method returns those that are
// pressed from now on until stop is called, which may be done more than once.
type Keypad interface {
	// Digits is for a verb while it runs: of several who listen so, the one who began last is told.
	Digits() (keys <-chan byte, stop func())
	// TakeDigits is Digits for a verb that keeps the keys to itself: who overhears is not told of them.
	TakeDigits() (keys <-chan byte, stop func())
	// OverhearDigits is for what goes on behind the verbs: it tells of the keys that other verbs are told of, too.
	OverhearDigits() (keys <-chan byte, stop func())
}

// Recognizer understands what the other side of an answered call says.
type Recognizer interface {
	// CanRecognize reports why this node recognises no speech; nil: it does.
	CanRecognize() error
	// Recognize begins to listen. Who has begun it stops it.
	Recognize(ctx context.Context, s SpeechInput) (Recognition, error)
}

// Recognition listens for one utterance: until somebody has spoken and is silent again.
type Recognition interface {
	// Began is closed when somebody begins to speak.
	Began() <-chan struct{}
	// Done is closed when it is known what was said, or that this will never be known.
	Done() <-chan struct{}
	// Said is what was said, once Done is closed; an error where it could not be recognised.
	Said() (webhook.Speech, error)
	// Stop ends it, if it goes on, and does not wait for anything. It may be called more than once.
	Stop()
}

// SpeechInput says what is listened for.
type SpeechInput struct {
	Language        string   // BCP 47; "": the engine's own
	Hints           []string // words and phrases that are likely
	Model           string   // the engine's own name of a model; "": its default
	ProfanityFilter bool
	// Partial is told of what is understood while somebody speaks, all of it each time, by another goroutine; nil: nobody is.
	Partial func(transcript string)
}

// Dialer presses keys on an answered call, for the other side to hear.
type Dialer interface {
	// SendDigits presses them one after the other, and returns when the last pause is over, or with the context's cause.
	SendDigits(ctx context.Context, strokes []Stroke) error
}

// Stroke is a key that is pressed, and the silence behind it.
type Stroke struct {
	Key           byte // 0 to 9, *, #, A to D; 0: none, there is only silence
	Length, Pause time.Duration
}

// Recorder records the sound of an answered call. That a recording cannot be written is no error: it has ended then.
type Recorder interface {
	// Record begins a recording of the other side, which goes on until the take is stopped or the call ends.
	Record(r Recording) (Take, error)
	// StartRecording begins a recording of both sides, which goes on while other verbs run until StopRecording or the end
	// of the call. It does nothing while there is one already.
	StartRecording(r Recording) error
	// StopRecording, PauseRecording and ResumeRecording concern that of StartRecording, and do nothing when there is none.
	StopRecording()
	PauseRecording()
	ResumeRecording()
}

// Take is a recording under way that a verb waits for.
type Take interface {
	// Ended is closed when the recording has ended by itself: it was long enough, silent for long enough, or could not be
	// written.
	Ended() <-chan struct{}
	// Stop ends the recording, if it goes on, and returns what is known of it; its file may not be ready yet. A digit that
	// ends it is not to be heard in the file.
	Stop(digit bool) webhook.Recording
}

// Recording says how the call is recorded, and who is told of it. URLs are as in the document.
type Recording struct {
	Format         string        // "wav" or "mp3"
	MultiChannel   bool          // of StartRecording: a channel for each side
	Longest        time.Duration // of Record
	Silence        time.Duration // of Record: of the other side, after which it ends; 0: never
	Tag            *string       // that the verb gave the call; nil: none
	Available      *webhook.Target
	Transcribe     bool
	DetectLanguage bool
	Transcribed    *webhook.Target
}

// Speech is a text to speak.
type Speech struct {
	Voice  string // name in the voice table, "susan"
	Locale string // of the voice, as the table writes it
	Gender string // "female" or "male"
	Text   string // plain text, white space folded
	SSML   string // the same text as an SSML document with <speak> as its root; "" when there is no markup
}
