package verbs

import (
	"context"
	"time"

	"github.com/callengine/callengine/webhook"
)

// StartStream sends the sound of the call to a WebSocket while other verbs run, and plays what comes back.
type StartStream struct {
	heading
	Config StreamConfig    // without an id; no name: the id
	Events *webhook.Target // nil: nobody is told; its URL as in the document
}

// startStreamDef sends the sound of the call to a WebSocket.
var startStreamDef = definition{
	name: "StartStream",
	attributes: []attribute{
		wsAttr("destination").needed(),
		userAttr("destinationUsername", "destination"),
		passwordAttr("destinationPassword", "destination"),
		stringAttr("name"),
		enumAttr("mode", "unidirectional", "bidirectional").or("unidirectional"),
		tracksAttr(),
		urlAttr("streamEventUrl"),
		methodAttr("streamEventMethod"),
		userAttr("username", "streamEventUrl").overHTTPS(),
		passwordAttr("password", "streamEventUrl").overHTTPS(),
	},
	children:         []child{{"StreamParam", span{0, 12}, false}},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		s := &StartStream{heading: n.heading(), Config: StreamConfig{
			Name:          n.str("name"),
			Destination:   n.str("destination"),
			Auth:          n.auth("destinationUsername", "destinationPassword"),
			Tracks:        tracksOf(n.str("tracks")),
			Bidirectional: n.str("mode") == "bidirectional",
			Params:        n.params(),
		}}
		if n.has("streamEventUrl") {
			s.Events = n.target("streamEvent")
		}
		return s
	},
}

// StreamConfig says where a stream goes and what it carries.
type StreamConfig struct {
	ID            string // "s-…"
	Name          string // unique on the call
	Destination   string // absolute, ws or wss
	Auth          *webhook.BasicAuth
	Tracks        []string // "inbound", "outbound": seen from the node
	Bidirectional bool     // the other side may send sound, too
	Params        map[string]string
}

// Streamer connects the sound of a call with others over WebSockets.
type Streamer interface {
	// OpenStream connects and returns when the stream is set up. An error that is a [*TapError] says what the
	// application is told.
	OpenStream(ctx context.Context, s StreamConfig) (Stream, error)
	// NoteStream takes note of what has become of a stream.
	NoteStream(s StreamConfig, c TapChange)
}

// Stream is a connection that is set up.
type Stream interface {
	// Run streams until ctx ends or the other side closes the stream, and returns when it is closed. An error that is a
	// [*TapError] says what the application is told.
	Run(ctx context.Context) error
}

// Execute needs a [Streamer] and a [Background]. That a stream cannot be started does not end the call: the application
// is told, and the next verb runs.
func (s *StartStream) Execute(ctx context.Context, call Call) (Outcome, error) {
	streamer, streams := call.(Streamer)
	background, runs := call.(Background)
	if !streams || !runs {
		return Outcome{}, s.lacks("stream its sound")
	}
	return start(ctx, s.heading, s.Events, newStreaming(s.Config, newID("s-"), call, streamer, background))
}

// Lost tells of the end of a stream that had begun and was lost with the process that ran the call: it ends with
// "connection-error". told is whether the application was told of its beginning; else it is not told of its end either.
func (s *StartStream) Lost(ctx context.Context, call Call, id string, begun time.Time, told bool) {
	streamer, streams := call.(Streamer)
	background, runs := call.(Background)
	if !streams || !runs {
		return
	}
	x := newStreaming(s.Config, id, call, streamer, background)
	x.begun = begun
	if told {
		_ = x.toldAt(s.heading, s.Events) // then nobody was told of anything
	}
	x.stopped(ctx, &TapError{Cause: tapLost, Err: errRestarted})
}

// streaming is a stream that goes on.
type streaming struct {
	tap
	Config   StreamConfig
	streamer Streamer
	stream   Stream
	closed   chan struct{} // closed when the stream is, and the application has been told
}

func newStreaming(c StreamConfig, id string, call Call, streamer Streamer, background Background) *streaming {
	x := &streaming{tap: newTap(id, c.Name, c.Tracks, call, background), Config: c, streamer: streamer, closed: make(chan struct{})}
	x.Config.ID, x.Config.Name = x.id, x.name
	return x
}

// conflicts reports whether the stream cannot run beside the others of the call, and tells the application then.
func (x *streaming) conflicts(ctx context.Context) bool {
	switch cause, original := conflict(&x.tap, tapsOf[*streaming](x.background)); cause {
	case tapDuplicate:
		x.rejected(ctx, cause, "The call has a stream of this name", original)
	case tapTrackLimit:
		x.rejected(ctx, cause, "At most 4 tracks may be streamed on one call", nil)
	default:
		return false
	}
	return true
}

// Run implements [Activity].
func (x *streaming) Run(ctx context.Context) {
	defer close(x.closed)
	x.stopped(ctx, x.stream.Run(ctx))
}

// stopped tells of the stream's end, the application first: what it was told can be read in the journal, too, so that it is
// told once whatever happens between the two.
func (x *streaming) stopped(ctx context.Context, err error) {
	change := stoppedBy(err)
	_ = x.tell(ctx, webhook.NewMediaStreamStopped(x.call.Info(), x.described(), time.Since(x.begun), change.Cause, change.Error))
	x.streamer.NoteStream(x.Config, change)
}

func (x *streaming) open(ctx context.Context) (err error) {
	x.stream, err = x.streamer.OpenStream(ctx, x.Config)
	return err
}

func (x *streaming) refused(ctx context.Context, cause, message string) {
	x.rejected(ctx, cause, message, nil)
}

func (x *streaming) started(ctx context.Context) {
	x.begun = time.Now()
	x.streamer.NoteStream(x.Config, TapChange{Event: "started"})
	_ = x.tell(ctx, webhook.NewMediaStreamStarted(x.call.Info(), x.described()))
}

func (x *streaming) rejected(ctx context.Context, cause, message string, original *streaming) {
	x.streamer.NoteStream(x.Config, TapChange{Event: "rejected", Cause: cause, Error: message})
	var other *webhook.MediaStream
	if original != nil {
		described := original.described()
		other = &described
	}
	_ = x.tell(ctx, webhook.NewMediaStreamRejected(x.call.Info(), x.described(), cause, message, other))
}

func (x *streaming) described() webhook.MediaStream {
	return webhook.MediaStream{
		Destination: WithoutUser(x.Config.Destination), ID: x.id, Name: x.name, StartTime: x.begun, Tracks: x.copied(),
	}
}
