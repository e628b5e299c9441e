package transcribe

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// maxUpdates is how many updates may wait for an application: some minutes of speech. One that takes none for so long is lost.
const maxUpdates = 1000

// feedPatience is how long the closing handshake of a feed may take.
const feedPatience = 5 * time.Second

// Feed tells an application of the results of a live transcription, over a WebSocket (docs/bxml.md).
type Feed struct {
	conn *websocket.Conn
	meta FeedMetadata

	ctx     context.Context // ends when the feed is over
	end     context.CancelCauseFunc
	updates chan Message
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// FeedMetadata says which transcription a feed is about.
type FeedMetadata struct {
	AccountID  string      `json:"accountId"`
	CallID     string      `json:"callId"`
	ID         string      `json:"realTimeTranscriptionId"`
	Name       string      `json:"transcriptionName"`
	Tracks     []FeedTrack `json:"tracks"`
	Stabilized bool        `json:"stabilized"`
}

// FeedTrack is a track of it: "inbound" or "outbound".
type FeedTrack struct {
	Name string `json:"name"`
}

type feedMessage struct {
	EventType string            `json:"eventType"` // "start" or "stop"
	Metadata  FeedMetadata      `json:"metadata"`
	Params    map[string]string `json:"customParams,omitempty"` // of "start"
}

// errPeerClosed is the cause of a feed that the application has closed.
var errPeerClosed = errors.New("closed by the other side")

// OpenFeed connects to an application, user information of its address being sent as HTTP Basic, and tells it the
// beginning. ctx bounds that alone. Who has opened a feed closes it. The error is a [*ConnectError].
func OpenFeed(ctx context.Context, client *http.Client, address string, meta FeedMetadata, params map[string]string) (*Feed, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, &ConnectError{Err: errors.New("the URL is not valid")}
	}
	bare, header := withoutUser(u)
	conn, err := dial(ctx, bare, header, client)
	if err != nil {
		return nil, err
	}
	if err := writeText(ctx, conn, feedMessage{"start", meta, params}); err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	f := &Feed{conn: conn, meta: meta, updates: make(chan Message, maxUpdates), closing: make(chan struct{})}
	f.ctx, f.end = context.WithCancelCause(context.WithoutCancel(ctx))
	f.running.Go(f.read)
	f.running.Go(f.send)
	return f, nil
}

// Tell tells of a result of a track. It never waits.
func (f *Feed) Tell(track string, r Result) {
	select {
	case f.updates <- MessageOf(track, r):
	default:
		f.end(&ConnectError{Err: errors.New("the other side does not take the updates")})
	}
}

// Done is closed when the connection is over.
func (f *Feed) Done() <-chan struct{} { return f.ctx.Done() }

// Err says why the connection is over: nil if the other side has closed it, or it was closed here.
func (f *Feed) Err() error {
	if cause := context.Cause(f.ctx); cause != nil && !errors.Is(cause, errPeerClosed) && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// Close sends what was told, and the end, and returns when the connection is closed.
func (f *Feed) Close() {
	f.once.Do(func() { close(f.closing) })
	f.running.Wait()
}

// read passes over what the application says, until it closes.
func (f *Feed) read() {
	for {
		_, _, err := f.conn.Read(f.ctx)
		if err == nil {
			continue
		}
		switch websocket.CloseStatus(err) {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			err = errPeerClosed
		default:
			err = &ConnectError{Err: err}
		}
		f.end(err) // the first end counts
		return
	}
}

// send sends updates until the feed is closed or broken.
func (f *Feed) send() {
	defer f.conn.CloseNow() // without effect after an orderly end
	for {
		select {
		case m := <-f.updates:
			if err := writeText(f.ctx, f.conn, m); err != nil {
				f.end(err)
				return
			}
		case <-f.ctx.Done():
			return
		case <-f.closing:
			f.finish()
			return
		}
	}
}

// finish sends what is left and closes.
func (f *Feed) finish() {
	for len(f.updates) > 0 && f.ctx.Err() == nil {
		if err := writeText(f.ctx, f.conn, <-f.updates); err != nil {
			f.end(err)
			return
		}
	}
	if err := writeText(f.ctx, f.conn, feedMessage{EventType: "stop", Metadata: f.meta}); err != nil {
		f.end(err)
		return
	}
	late := time.AfterFunc(feedPatience, func() { f.end(context.Canceled) })
	defer late.Stop()
	_ = f.conn.Close(websocket.StatusNormalClosure, "") // that the other side does not answer changes nothing
	f.end(context.Canceled)
}
