package verbs

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/callengine/callengine/webhook"
)

// maxTracks is how many tracks of a call may be streamed at once, and how many may be transcribed.
const maxTracks = 4

// The causes of the events of streams and transcriptions.
const (
	tapClosed     = "closed"
	tapError      = "error"
	tapDuplicate  = "duplicate"
	tapTrackLimit = "track-limit"
	tapLost       = "connection-error"
)

// errRestarted is why what had tapped a call has ended with the process that ran it.
var errRestarted = errors.New("the node was restarted")

// tap is what a stream and a transcription of a call have in common: behind the verbs, it takes the sound of some tracks, has a
// name that is unique on the call, and tells the application what becomes of it.
type tap struct {
	id         string
	name       string
	tracks     []string
	call       Call
	background Background
	events     *webhook.Target // nil: nobody is told; its URL is absolute
	begun      time.Time
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

// params reads the parameters within a tag; nil: there are none.
func (n *node) params() (params map[string]string) {
	for _, p := range n.children {
		if params == nil {
			params = map[string]string{}
		}
		params[p.str("name")] = p.str("value")
	}
	return params
}

// newTap makes one that has this id, which is its name where the document has none.
func newTap(id, name string, tracks []string, call Call, background Background) tap {
	if name == "" {
		name = id
	}
	return tap{id: id, name: name, tracks: tracks, call: call, background: background, begun: time.Now()}
}

// toldAt has events go to a URL of the document; nil: nowhere.
func (x *tap) toldAt(h heading, events *webhook.Target) error {
	if events == nil {
		return nil
	}
	to := *events
	var err error
	if to.URL, err = x.call.URL(to.URL); err != nil {
		return &ActionError{Verb: h.name, Reason: err.Error(), Err: err}
	}
	x.events = &to
	return nil
}

// tell hands over an event, where somebody is told. That one is lost does not end the call: who hands it over reports it.
func (x *tap) tell(ctx context.Context, ev webhook.Event) error {
	if x.events == nil {
		return nil
	}
	return x.background.Tell(ctx, *x.events, ev)
}

// is reports whether it is meant by a name: its own, or the id that it was given.
func (x *tap) is(name string) bool { return x.name == name || x.id == name }

// tapping is an [Activity] that is a tap.
type tapping interface {
	Activity
	tapped() *tap
}

func (x *tap) tapped() *tap { return x }

// starting is one that a verb begins.
type starting interface {
	tapping
	conflicts(ctx context.Context) bool // and the application was told
	open(ctx context.Context) error
	started(ctx context.Context)
	refused(ctx context.Context, cause, message string)
}

// start begins one whose events go to a URL of the document. That it cannot be started does not end the call: the
// application is told, and the next verb runs.
func start(ctx context.Context, h heading, events *webhook.Target, x starting) (Outcome, error) {
	tap := x.tapped()
	if err := tap.toldAt(h, events); err != nil {
		return Outcome{}, err
	}
	if err := tap.call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	if x.conflicts(ctx) {
		return Outcome{}, ended(ctx, nil)
	}
	switch err := x.open(ctx); {
	case err == nil:
		x.started(ctx)
		tap.background.Begin(ctx, x)
	case ctx.Err() == nil:
		x.refused(ctx, causeOfTap(err), err.Error())
	}
	return Outcome{}, ended(ctx, nil)
}

// conflict looks for why it cannot run beside the others of its kind: one that has its name, or too many tracks; "": it can.
func conflict[T tapping](x *tap, others []T) (cause string, original T) {
	tracks := len(x.tracks)
	for _, other := range others {
		if other.tapped().is(x.name) {
			return tapDuplicate, other
		}
		tracks += len(other.tapped().tracks)
	}
	if tracks > maxTracks {
		cause = tapTrackLimit
	}
	return cause, original
}

// tapsOf returns those of a kind that are running on a call.
func tapsOf[T tapping](background Background) (all []T) {
	for _, a := range background.Running() {
		if x, ok := a.(T); ok {
			all = append(all, x)
		}
	}
	return all
}

// TapError is why a stream or a transcription could not be started, or ended out of order.
type TapError struct {
	Cause string // as the events have it: "connection-error", "error"
	Err   error
}

func (e *TapError) Error() string { return e.Err.Error() }

// Unwrap returns what was wrong.
func (e *TapError) Unwrap() error { return e.Err }

// TapChange is what has become of a stream or a transcription.
type TapChange struct {
	Event string // "started", "rejected", "stopped"; of a transcription also "available", "failed"
	Cause string // of "rejected" and "stopped"
	Error string // in words; of an ordinary end empty
}

// stoppedBy is the end of one that an error has ended; nil: it was ended in order.
func stoppedBy(err error) TapChange {
	if err == nil {
		return TapChange{Event: "stopped", Cause: tapClosed}
	}
	return TapChange{Event: "stopped", Cause: causeOfTap(err), Error: err.Error()}
}

func causeOfTap(err error) string {
	var known *TapError
	if errors.As(err, &known) {
		return known.Cause
	}
	return tapError
}

// WithoutUser returns a URL without user information, which may hold a password.
func WithoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = nil
	return u.String()
}

// copied are the tracks for an event, which is nobody else's.
func (x *tap) copied() []string { return slices.Clone(x.tracks) }
