package verbs

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/callengine/callengine/webhook"
)

// maxTracks is how many tracks of a call may be streamed at once.
const maxTracks = 4

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
		}}
		for _, p := range n.children {
			if s.Config.Params == nil {
				s.Config.Params = map[string]string{}
			}
			s.Config.Params[p.str("name")] = p.str("value")
		}
		if n.has("streamEventUrl") {
			s.Events = &webhook.Target{
				URL: n.str("streamEventUrl"), Method: n.str("streamEventMethod"), Auth: n.auth("username", "password"),
			}
		}
		return s
	},
}

// tracksAttr says which side of the call is meant, seen from the node.
func tracksAttr() attribute {
	return enumAttr("tracks", "inbound", "outbound", "both").or("inbound")
}

// tracksOf returns the tracks that a value of tracksAttr names.
func tracksOf(value string) []string {
	if value == "both" {
		return []string{"inbound", "outbound"}
	}
	return []string{value}
}

// paramAttrs are the attributes of a parameter that a WebSocket's other end is told.
func paramAttrs() []attribute {
	return []attribute{
		stringAttr("name").needed().upTo(256),
		stringAttr("value").needed().upTo(2048),
	}
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
	// OpenStream connects and returns when the stream is set up. An error that is a [*StreamError] says what the
	// application is told.
	OpenStream(ctx context.Context, s StreamConfig) (Stream, error)
	// NoteStream takes note of what has become of a stream.
	NoteStream(s StreamConfig, c StreamChange)
}

// Stream is a connection that is set up.
type Stream interface {
	// Run streams until ctx ends or the other side closes the stream, and returns when it is closed. An error that is a
	// [*StreamError] says what the application is told.
	Run(ctx context.Context) error
}

// StreamChange is what has become of a stream.
type StreamChange struct {
	Event string // "started", "rejected", "stopped"
	Cause string // of the last two
	Error string // in words; of an ordinary end empty
}

// StreamError is why a stream could not be started, or ended out of order.
type StreamError struct {
	Cause string // as the events have it: "connection-error", "error"
	Err   error
}

func (e *StreamError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *StreamError) Unwrap() error { return e.Err }

// The causes of the events of streams.
const (
	streamClosed     = "closed"
	streamError      = "error"
	streamDuplicate  = "duplicate"
	streamTrackLimit = "track-limit"
)

// Execute needs a [Streamer] and a [Background]. That a stream cannot be started does not end the call: the application
// is told, and the next verb runs.
func (s *StartStream) Execute(ctx context.Context, call Call) (Outcome, error) {
	streamer, streams := call.(Streamer)
	background, runs := call.(Background)
	if !streams || !runs {
		return Outcome{}, s.lacks("stream its sound")
	}
	x := &streaming{
		Config: s.Config, call: call, streamer: streamer, background: background, closed: make(chan struct{}), begun: time.Now(),
	}
	x.named(newID("s-"))
	var err error
	if x.events, err = s.eventTarget(call); err != nil {
		return Outcome{}, err
	}
	if err = call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	if x.conflicts(ctx) {
		return Outcome{}, ended(ctx, nil)
	}
	x.stream, err = streamer.OpenStream(ctx, x.Config)
	switch {
	case err == nil:
		x.started(ctx)
		background.Begin(ctx, x)
	case ctx.Err() == nil:
		x.rejected(ctx, causeOfStream(err), err.Error(), nil)
	}
	return Outcome{}, ended(ctx, nil)
}

// Lost tells of the end of a stream that had begun and was lost with the process that ran the call: it ends with
// "connection-error". told is whether the application was told of its beginning; else it is not told of its end either.
func (s *StartStream) Lost(ctx context.Context, call Call, id string, begun time.Time, told bool) {
	streamer, streams := call.(Streamer)
	background, runs := call.(Background)
	if !streams || !runs {
		return
	}
	x := &streaming{Config: s.Config, call: call, streamer: streamer, background: background, begun: begun}
	x.named(id)
	if to, err := s.eventTarget(call); err == nil && told {
		x.events = to
	}
	x.stopped(ctx, &StreamError{Cause: "connection-error", Err: errors.New("the node was restarted")})
}

// eventTarget returns where the stream's events go; nil: nowhere.
func (s *StartStream) eventTarget(call Call) (*webhook.Target, error) {
	if s.Events == nil {
		return nil, nil
	}
	to := *s.Events
	var err error
	if to.URL, err = call.URL(to.URL); err != nil {
		return nil, &ActionError{Verb: s.name, Reason: err.Error(), Err: err}
	}
	return &to, nil
}

// streaming is a stream that goes on.
type streaming struct {
	Config     StreamConfig
	call       Call
	streamer   Streamer
	background Background
	events     *webhook.Target // nil: nobody is told
	stream     Stream
	begun      time.Time
	closed     chan struct{} // closed when the stream is, and the application has been told
}

// conflicts reports whether the stream cannot run beside the others of the call, and tells the application then.
func (x *streaming) conflicts(ctx context.Context) bool {
	tracks := len(x.Config.Tracks)
	for _, other := range streamsOf(x.background) {
		if other.is(x.Config.Name) {
			x.rejected(ctx, streamDuplicate, "The call has a stream of this name", other)
			return true
		}
		tracks += len(other.Config.Tracks)
	}
	if tracks > maxTracks {
		x.rejected(ctx, streamTrackLimit, "At most 4 tracks may be streamed on one call", nil)
		return true
	}
	return false
}

// Run implements [Activity].
func (x *streaming) Run(ctx context.Context) {
	defer close(x.closed)
	x.stopped(ctx, x.stream.Run(ctx))
}

// named gives the stream its id, which is its name where the document has none.
func (x *streaming) named(id string) {
	if x.Config.ID = id; x.Config.Name == "" {
		x.Config.Name = id
	}
}

// stopped tells of the stream's end, the application first: what it was told can be read in the journal, too, so that it is
// told once whatever happens between the two.
func (x *streaming) stopped(ctx context.Context, err error) {
	change := StreamChange{Event: "stopped", Cause: streamClosed}
	if err != nil {
		change.Cause, change.Error = causeOfStream(err), err.Error()
	}
	x.tell(ctx, webhook.NewMediaStreamStopped(x.call.Info(), x.described(), time.Since(x.begun), change.Cause, change.Error))
	x.streamer.NoteStream(x.Config, change)
}

func (x *streaming) started(ctx context.Context) {
	x.begun = time.Now()
	x.streamer.NoteStream(x.Config, StreamChange{Event: "started"})
	x.tell(ctx, webhook.NewMediaStreamStarted(x.call.Info(), x.described()))
}

func (x *streaming) rejected(ctx context.Context, cause, message string, original *streaming) {
	x.streamer.NoteStream(x.Config, StreamChange{Event: "rejected", Cause: cause, Error: message})
	var other *webhook.MediaStream
	if original != nil {
		described := original.described()
		other = &described
	}
	x.tell(ctx, webhook.NewMediaStreamRejected(x.call.Info(), x.described(), cause, message, other))
}

// tell hands over an event. That one is lost does not end the call: who hands it over reports it.
func (x *streaming) tell(ctx context.Context, ev webhook.Event) {
	if x.events != nil {
		_ = x.background.Tell(ctx, *x.events, ev)
	}
}

func (x *streaming) described() webhook.MediaStream {
	return webhook.MediaStream{
		Destination: withoutUser(x.Config.Destination), ID: x.Config.ID, Name: x.Config.Name, StartTime: x.begun, Tracks: slices.Clone(x.Config.Tracks),
	}
}

// is reports whether the stream is meant by a name: its own, or the id that it was given.
func (x *streaming) is(name string) bool { return x.Config.Name == name || x.Config.ID == name }

// streamsOf returns the streams of a call that are running.
func streamsOf(background Background) (all []*streaming) {
	for _, a := range background.Running() {
		if x, ok := a.(*streaming); ok {
			all = append(all, x)
		}
	}
	return all
}

// withoutUser returns a URL without user information, which may hold a password.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

func causeOfStream(err error) string {
	var known *StreamError
	if errors.As(err, &known) {
		return known.Cause
	}
	return streamError
}
