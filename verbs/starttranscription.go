package verbs

import (
	"context"
	"time"

	"github.com/callengine/callengine/webhook"
)

// StartTranscription turns what is said on the call into text while other verbs run.
type StartTranscription struct {
	heading
	Config TranscriptionConfig // as the document has it; no name: the id
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
			c.warnf(n.at("stabilized"), n.name, "stabilized has an effect only with destination; ignored")
		}
	},
	read: func(n *node) Verb {
		s := &StartTranscription{heading: n.heading(), Config: TranscriptionConfig{
			Name:        n.str("name"),
			Destination: n.str("destination"),
			Stabilized:  n.boolean("stabilized"),
			Tracks:      tracksOf(n.str("tracks")),
			Params:      n.params(),
		}}
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
	Begun       time.Time
	Events      *webhook.Target // its URL is absolute; nil: nobody is told
}

// Transcriber turns the sound of a call into text.
type Transcriber interface {
	// OpenTranscription begins to listen, once the destination is connected. An error that is a [*TapError]
	// says what the application is told.
	OpenTranscription(ctx context.Context, t TranscriptionConfig) (Transcription, error)
	// NoteTranscription takes note of what has become of a transcription.
	NoteTranscription(t TranscriptionConfig, c TapChange)
}

// Transcription is one that goes on.
type Transcription interface {
	// Run listens until ctx ends, or the destination closes, and returns at once then. An error that is a
	// [*TapError] says what the application is told.
	Run(ctx context.Context) error
	// Finish has the text of the last words made and kept, behind the call if that has ended, and calls done then. An error
	// says that who wants to know of it was not told.
	Finish(done func(FinishedTranscription) error)
}

// FinishedTranscription is where a transcription can be had.
type FinishedTranscription struct {
	URL       string
	Completed time.Time
	Failed    bool // it is not whole
}

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
	return start(ctx, s.heading, s.Events, newTranscribing(s.Config, newID("t-"), call, transcriber, background))
}

// transcribing is a transcription that goes on.
type transcribing struct {
	tap
	Config        TranscriptionConfig
	transcriber   Transcriber
	transcription Transcription
}

func newTranscribing(c TranscriptionConfig, id string, call Call, transcriber Transcriber, background Background) *transcribing {
	x := &transcribing{tap: newTap(id, c.Name, c.Tracks, call, background), Config: c, transcriber: transcriber}
	x.Config.ID, x.Config.Name = x.id, x.name
	return x
}

// conflicts reports whether the transcription cannot run beside the others of the call, and tells the application then.
func (x *transcribing) conflicts(ctx context.Context) bool {
	switch cause, original := conflict(&x.tap, tapsOf[*transcribing](x.background)); cause {
	case tapDuplicate:
		x.rejected(ctx, cause, "A real-time transcription named "+x.name+" already exists", original)
	case tapTrackLimit:
		x.rejected(ctx, cause, "At most 4 tracks may be transcribed on one call", nil)
	default:
		return false
	}
	return true
}

// Run implements [Activity]. The end of the call does not wait for the text of the last words.
func (x *transcribing) Run(ctx context.Context) {
	x.stopped(ctx, x.transcription.Run(ctx))
	x.transcription.Finish(func(f FinishedTranscription) error { return x.finished(context.WithoutCancel(ctx), f) })
}

func (x *transcribing) open(ctx context.Context) (err error) {
	x.Config.Begun, x.Config.Events = x.begun, x.events
	x.transcription, err = x.transcriber.OpenTranscription(ctx, x.Config)
	return err
}

func (x *transcribing) refused(ctx context.Context, cause, message string) {
	x.rejected(ctx, cause, message, nil)
}

func (x *transcribing) started(ctx context.Context) {
	x.begun = time.Now()
	x.transcriber.NoteTranscription(x.Config, TapChange{Event: "started"})
	if x.Config.Destination != "" {
		_ = x.tell(ctx, webhook.NewRealTimeTranscriptionStarted(x.call.Info(), x.described()))
	}
}

func (x *transcribing) stopped(ctx context.Context, err error) {
	change := stoppedBy(err)
	x.transcriber.NoteTranscription(x.Config, change)
	if x.Config.Destination != "" {
		described := x.described()
		described.Duration = time.Since(x.begun)
		_ = x.tell(ctx, webhook.NewRealTimeTranscriptionStopped(x.call.Info(), described, change.Cause, change.Error))
	}
}

func (x *transcribing) finished(ctx context.Context, f FinishedTranscription) error {
	change := TapChange{Event: "available"}
	if f.Failed {
		change.Event = "failed"
	}
	x.transcriber.NoteTranscription(x.Config, change)
	return x.tell(ctx, webhook.NewRealTimeTranscriptionAvailable(x.call.Info(), x.described(), f.URL, f.Completed, !f.Failed))
}

func (x *transcribing) rejected(ctx context.Context, cause, message string, original *transcribing) {
	x.transcriber.NoteTranscription(x.Config, TapChange{Event: "rejected", Cause: cause, Error: message})
	var other *webhook.RealTimeTranscription
	if original != nil {
		described := original.described()
		other = &described
	}
	_ = x.tell(ctx, webhook.NewRealTimeTranscriptionRejected(x.call.Info(), x.described(), cause, message, other))
}

func (x *transcribing) described() webhook.RealTimeTranscription {
	return webhook.RealTimeTranscription{
		ID: x.id, Name: x.name, StartTime: x.begun, Tracks: x.copied(),
		Destination: WithoutUser(x.Config.Destination), Stabilized: x.Config.Stabilized,
	}
}
