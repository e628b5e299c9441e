package verbs

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/callengine/callengine/webhook"
)

// maxTranscribed is how many tracks of a call may be transcribed at once.
const maxTranscribed = 4

// StartTranscription turns what is said on the call into text while other verbs run.
type StartTranscription struct {
	heading
	Config TranscriptionConfig // without an id; no name: the id
	Events *webhook.Target     // nil: nobody is told; its URL as in the document
}

// startTranscriptionDef transcribes the call while other verbs run.
var startTranscriptionDef = definition{
	name: "StartTranscription",
	attributes: []attribute{
		stringAttr("name"),
		tracksAttr(),
		urlAttr("transcriptionEventUrl"),
		methodAttr("transcriptionEventMethod"),
		userAttr("username", "transcriptionEventUrl").overHTTPS(),
		passwordAttr("password", "transcriptionEventUrl").overHTTPS(),
		wsAttr("destination"),
		booleanAttr("stabilized", "true"),
	},
	children:         []child{{"CustomParam", span{0, 12}, false}},
	inTransferAnswer: true,
	check: func(c *checker, n *node) {
		if n.has("stabilized") && !n.has("destination") {
			c.warnf(n.at["stabilized"], n.name, "stabilized has an effect only with destination; ignored")
		}
	},
	read: func(n *node) Verb {
		s := &StartTranscription{heading: n.heading(), Config: TranscriptionConfig{
			Name:        n.str("name"),
			Destination: n.str("destination"),
			Stabilized:  n.boolean("stabilized"),
			Tracks:      []string{n.str("tracks")},
		}}
		if s.Config.Tracks[0] == "both" {
			s.Config.Tracks = []string{"inbound", "outbound"}
		}
		for _, p := range n.children {
			if s.Config.Params == nil {
				s.Config.Params = map[string]string{}
			}
			s.Config.Params[p.str("name")] = p.str("value")
		}
		if n.has("transcriptionEventUrl") {
			s.Events = n.target("transcriptionEvent")
		}
		return s
	},
}

// TranscriptionConfig says what is transcribed and where the updates go.
type TranscriptionConfig struct {
	ID          string   // "t-…"
	Name        string   // unique on the call
	Tracks      []string // "inbound", "outbound": seen from the node
	Destination string   // ws or wss; "": nobody gets updates
	Stabilized  bool     // only updates that will not change any more are sent
	Params      map[string]string
}

// Transcriber turns the sound of a call into text.
type Transcriber interface {
	// OpenTranscription begins to listen, once the destination is connected. An error that is a [*TranscriptionError]
	// says what the application is told.
	OpenTranscription(ctx context.Context, t TranscriptionConfig) (Transcription, error)
	// NoteTranscription takes note of what has become of a transcription.
	NoteTranscription(t TranscriptionConfig, c TranscriptionChange)
}

// Transcription is one that goes on.
type Transcription interface {
	// Run listens until ctx ends, or the destination closes, and returns at once then. An error that is a
	// [*TranscriptionError] says what the application is told.
	Run(ctx context.Context) error
	// Finish has the text of the last words made and kept, behind the call if that has ended, and calls done then.
	Finish(done func(FinishedTranscription))
}

// FinishedTranscription is where a transcription can be had.
type FinishedTranscription struct {
	URL       string
	Completed time.Time
	Failed    bool // it is not whole
}

// TranscriptionChange is what has become of a transcription.
type TranscriptionChange struct {
	Event string // "started", "rejected", "stopped", "available", "failed"
	Cause string // of "rejected" and "stopped"
	Error string // in words; of an ordinary end empty
}

// TranscriptionError is why a transcription could not be started, or ended out of order.
type TranscriptionError struct {
	Cause string // as the events have it: "connection-error", "error"
	Err   error
}

func (e *TranscriptionError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *TranscriptionError) Unwrap() error { return e.Err }

// Execute needs a [Transcriber] and a [Background]. That a transcription cannot be started does not end the call: the
// application is told, and the next verb runs.
//
// realTimeTranscriptionStarted and Stopped are sent where both the destination and the URL of events are set; Rejected and
// Available wherever there is that URL (docs/bxml.md).
func (s *StartTranscription) Execute(ctx context.Context, call Call) (Outcome, error) {
	transcriber, transcribes := call.(Transcriber)
	background, runs := call.(Background)
	if !transcribes || !runs {
		return Outcome{}, s.lacks("be transcribed")
	}
	x := &transcribing{Config: s.Config, call: call, transcriber: transcriber, background: background, begun: time.Now()}
	x.Config.ID = newID("t-")
	if x.Config.Name == "" {
		x.Config.Name = x.Config.ID
	}
	if s.Events != nil {
		to := *s.Events
		var err error
		if to.URL, err = call.URL(to.URL); err != nil {
			return Outcome{}, &ActionError{Verb: s.name, Reason: err.Error(), Err: err}
		}
		x.events = &to
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	if x.conflicts(ctx) {
		return Outcome{}, ended(ctx, nil)
	}
	var err error
	x.transcription, err = transcriber.OpenTranscription(ctx, x.Config)
	switch {
	case err == nil:
		x.started(ctx)
		background.Begin(ctx, x)
	case ctx.Err() == nil:
		x.rejected(ctx, causeOfTranscription(err), err.Error(), nil)
	}
	return Outcome{}, ended(ctx, nil)
}

// transcribing is a transcription that goes on.
type transcribing struct {
	Config        TranscriptionConfig
	call          Call
	transcriber   Transcriber
	background    Background
	events        *webhook.Target // nil: nobody is told
	transcription Transcription
	begun         time.Time
}

// conflicts reports whether the transcription cannot run beside the others of the call, and tells the application then.
func (x *transcribing) conflicts(ctx context.Context) bool {
	tracks := len(x.Config.Tracks)
	for _, other := range transcriptionsOf(x.background) {
		if other.is(x.Config.Name) {
			x.rejected(ctx, "duplicate", "A real-time transcription named "+x.Config.Name+" already exists", other)
			return true
		}
		tracks += len(other.Config.Tracks)
	}
	if tracks > maxTranscribed {
		x.rejected(ctx, "track-limit", "At most 4 tracks may be transcribed on one call", nil)
		return true
	}
	return false
}

// Run implements [Activity]. The end of the call does not wait for the text of the last words.
func (x *transcribing) Run(ctx context.Context) {
	err := x.transcription.Run(ctx)
	change := TranscriptionChange{Event: "stopped", Cause: "closed"}
	if err != nil {
		change.Cause, change.Error = causeOfTranscription(err), err.Error()
	}
	x.transcriber.NoteTranscription(x.Config, change)
	if x.Config.Destination != "" {
		described := x.described()
		described.Duration = time.Since(x.begun)
		x.tell(ctx, webhook.NewRealTimeTranscriptionStopped(x.call.Info(), described, change.Cause, change.Error))
	}
	x.transcription.Finish(func(f FinishedTranscription) {
		change := TranscriptionChange{Event: "available"}
		if f.Failed {
			change.Event = "failed"
		}
		x.transcriber.NoteTranscription(x.Config, change)
		x.tell(context.WithoutCancel(ctx), webhook.NewRealTimeTranscriptionAvailable(x.call.Info(), x.described(), f.URL, f.Completed, !f.Failed))
	})
}

func (x *transcribing) started(ctx context.Context) {
	x.begun = time.Now()
	x.transcriber.NoteTranscription(x.Config, TranscriptionChange{Event: "started"})
	if x.Config.Destination != "" {
		x.tell(ctx, webhook.NewRealTimeTranscriptionStarted(x.call.Info(), x.described()))
	}
}

func (x *transcribing) rejected(ctx context.Context, cause, message string, original *transcribing) {
	x.transcriber.NoteTranscription(x.Config, TranscriptionChange{Event: "rejected", Cause: cause, Error: message})
	var other *webhook.RealTimeTranscription
	if original != nil {
		described := original.described()
		other = &described
	}
	x.tell(ctx, webhook.NewRealTimeTranscriptionRejected(x.call.Info(), x.described(), cause, message, other))
}

// tell hands over an event. That one is lost does not end the call: who hands it over reports it.
func (x *transcribing) tell(ctx context.Context, ev webhook.Event) {
	if x.events != nil {
		_ = x.background.Tell(ctx, *x.events, ev)
	}
}

func (x *transcribing) described() webhook.RealTimeTranscription {
	return webhook.RealTimeTranscription{
		ID: x.Config.ID, Name: x.Config.Name, StartTime: x.begun, Tracks: slices.Clone(x.Config.Tracks),
		Destination: bareURL(x.Config.Destination), Stabilized: x.Config.Stabilized,
	}
}

// is reports whether the transcription is meant by a name: its own, or the id that it was given.
func (x *transcribing) is(name string) bool { return x.Config.Name == name || x.Config.ID == name }

// transcriptionsOf returns the transcriptions of a call that are running.
func transcriptionsOf(background Background) (all []*transcribing) {
	for _, a := range background.Running() {
		if x, ok := a.(*transcribing); ok {
			all = append(all, x)
		}
	}
	return all
}

func causeOfTranscription(err error) string {
	var known *TranscriptionError
	if errors.As(err, &known) {
		return known.Cause
	}
	return "error"
}

// bareURL returns a URL without user information, which may hold a password.
func bareURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}
