package interpreter

import (
	"context"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// Leg is the protocol side of an inbound call. The errors that end a call are those of package verbs
// ([verbs.ErrRemoteHangup], …), wherever they come from.
type Leg interface {
	// Answer answers the call and returns when the dialog is confirmed.
	Answer(ctx context.Context) error
	// Reject ends a call that is not answered with a final response of this status.
	Reject(ctx context.Context, status int) error
	// Bye ends an answered call. It returns nil also when the call is over already.
	Bye(ctx context.Context) error
	// EndTime is when the dialog ended; zero while it is up.
	EndTime() time.Time
	// OpenStream connects a stream, as [verbs.Streamer] says.
	OpenStream(ctx context.Context, s verbs.StreamConfig) (verbs.Stream, error)
	// OpenTranscription begins to turn the leg's sound into text, as [verbs.Transcriber] says. It is told of the call as it
	// is then.
	OpenTranscription(ctx context.Context, c webhook.Call, t verbs.TranscriptionConfig) (verbs.Transcription, error)

	verbs.Ringer
	verbs.Referrer
	verbs.Player
	verbs.Keypad
	verbs.Dialer
	verbs.Recognizer
	Recorder
}

// Recorder records the sound of a leg, as [verbs.Recorder] says. It is told of the call as it is when a recording begins;
// the URLs of targets are absolute.
type Recorder interface {
	Record(c webhook.Call, r verbs.Recording) verbs.Take
	StartRecording(c webhook.Call, r verbs.Recording)
	StopRecording()
	PauseRecording()
	ResumeRecording()
}

// Asker delivers synchronous events. [webhook.Client] is one.
type Asker interface {
	Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error)
}

// Sender takes charge of asynchronous events: once Send has returned nil, the event is owed until it has been delivered.
// [webhook.Outbox] is one.
type Sender interface {
	Send(ctx context.Context, to webhook.Target, ev webhook.Event) error
}

// Journal takes the entries of a call. [state.Store] is one.
type Journal interface {
	Append(ctx context.Context, e state.Entry) (seq uint64, err error)
}

// Parser reads documents. [verbs.Parser] is one.
type Parser interface {
	Parse(body []byte, base string) (*verbs.Document, error)
}
