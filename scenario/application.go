package scenario

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Reply is what a scripted application answers. The zero value is 204 without a body.
type Reply struct {
	Status   int // 0: 200 with a body, 204 without; 307 with Redirect
	Header   http.Header
	Body     string          // BXML mostly; its Content-Type is application/xml unless Header says otherwise
	Delay    time.Duration   // before the answer begins
	Until    <-chan struct{} // the answer does not begin before this is closed
	Hang     bool            // no answer at all; the connection stays open until the other end closes it
	Drop     bool            // no answer: the connection is closed
	Redirect string          // value of Location
}

// BXML is a reply of 200 with a document.
func BXML(document string) Reply { return Reply{Body: document} }

// ApplicationConfig says what an application is.
type ApplicationConfig struct {
	Address string // where it listens; "": 127.0.0.1:0
}

// Application is a scripted web application: it answers the node's webhooks as told to and keeps them all. Requests for
// which nothing is told get 204. It is safe for concurrent use.
type Application struct {
	server   *http.Server
	listener net.Listener
	serving  sync.WaitGroup
	stop     context.CancelFunc

	mu      sync.Mutex
	replies map[string][]Reply // by path ("/…") or event type
	events  []*Event
	taken   map[*Event]bool
	decide  func(*Event) Reply // in place of replies; nil: those are given
	changed chan struct{}      // closed and replaced with every request

	webSockets func(http.ResponseWriter, *http.Request) // nil: they are taken, and nothing is said
}

// NewApplication opens the application's listener and serves. Close the application.
func NewApplication(ctx context.Context, n Network, cfg ApplicationConfig) (*Application, error) {
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	l, err := n.Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("application: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	a := &Application{
		listener: l, stop: stop,
		replies: map[string][]Reply{}, taken: map[*Event]bool{}, changed: make(chan struct{}),
	}
	a.server = &http.Server{
		Handler:     a,
		BaseContext: func(net.Listener) context.Context { return running },
		ErrorLog:    log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew: // told by the goroutine of Serve, which is being waited for too
				a.serving.Add(1)
			case http.StateClosed, http.StateHijacked:
				a.serving.Done()
			}
		},
	}
	a.serving.Go(func() { _ = a.server.Serve(l) }) // http.ErrServerClosed, after Close
	return a, nil
}

// Close closes the listener and all connections, and waits until every request has ended.
func (a *Application) Close() error {
	a.stop()
	err := a.server.Close()
	a.serving.Wait()
	return err
}

// URL is the address of a path of the application: "http://127.0.0.1:8080/path".
func (a *Application) URL(path string) string {
	at := unmapped(a.listener.Addr().(*net.TCPAddr).AddrPort())
	return "http://" + netip.AddrPortFrom(at.Addr(), at.Port()).String() + path
}

// On tells what to answer to requests for a path, if key begins with "/", or to events of a type. The replies are given in
// turn, the last one for good. A path comes before an event type. What was told before for the key is forgotten.
func (a *Application) On(key string, replies ...Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.replies[key] = replies
}

// Decide has every request answered as f says, whatever [Application.On] was told. f is called for one at a time.
func (a *Application) Decide(f func(*Event) Reply) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decide = f
}

// next returns the reply to an event and moves on. The lock is held.
func (a *Application) next(e *Event) Reply {
	if a.decide != nil {
		return a.decide(e)
	}
	for _, key := range []string{e.Path, e.Type()} {
		replies, ok := a.replies[key]
		if !ok || len(replies) == 0 {
			continue
		}
		if len(replies) > 1 {
			a.replies[key] = replies[1:]
		}
		return replies[0]
	}
	return Reply{}
}

// maxBody is the largest body of a request that is kept.
const maxBody = 1 << 20

// ServeHTTP records the request and answers it.
func (a *Application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isUpgrade(r) {
		a.takeWebSocket(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the other end is gone
	}
	e := newEvent(r, body)
	a.mu.Lock()
	a.events = append(a.events, e)
	reply := a.next(e)
	close(a.changed)
	a.changed = make(chan struct{})
	a.mu.Unlock()
	if !reply.begin(r.Context()) {
		panic(http.ErrAbortHandler) // closes the connection
	}
	reply.write(w)
}

// begin waits until the answer may begin; false: there is none.
func (r Reply) begin(ctx context.Context) bool {
	if r.Hang {
		<-ctx.Done()
	}
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if r.Until != nil {
		select {
		case <-r.Until:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil && !r.Drop
}

func (r Reply) write(w http.ResponseWriter) {
	if r.Body != "" {
		w.Header().Set("Content-Type", "application/xml")
	}
	for name, values := range r.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if r.Redirect != "" {
		w.Header().Set("Location", r.Redirect)
	}
	switch {
	case r.Status != 0:
		w.WriteHeader(r.Status)
	case r.Redirect != "":
		w.WriteHeader(http.StatusTemporaryRedirect)
	case r.Body == "":
		w.WriteHeader(http.StatusNoContent)
	}
	_, _ = io.WriteString(w, r.Body) // fails when the other end is gone
}

// Events returns all requests so far, in order.
func (a *Application) Events() []*Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*Event(nil), a.events...)
}

// EventsOf returns the requests so far of one event type, in order.
func (a *Application) EventsOf(eventType string) []*Event {
	var found []*Event
	for _, e := range a.Events() {
		if e.Type() == eventType {
			found = append(found, e)
		}
	}
	return found
}

// Forget forgets the requests so far, as if they had not come: an application that runs for long would keep them all.
func (a *Application) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events, a.taken = nil, map[*Event]bool{}
}

// Expect returns the first event of a type, or with a path if want begins with "/", that Expect has not returned yet. It
// waits for ctx; the error is then a *[NotSeenError].
func (a *Application) Expect(ctx context.Context, want string) (*Event, error) {
	for {
		a.mu.Lock()
		for _, e := range a.events {
			if !a.taken[e] && (e.Type() == want || e.Path == want) {
				a.taken[e] = true
				a.mu.Unlock()
				return e, nil
			}
		}
		changed := a.changed
		a.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, a.notSeen(want, context.Cause(ctx))
		}
	}
}

func (a *Application) notSeen(want string, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &NotSeenError{Want: "event " + want, Err: err}
	var ladder strings.Builder
	for _, event := range a.events {
		if !a.taken[event] {
			e.Came = append(e.Came, event.String())
		}
		fmt.Fprintf(&ladder, "%9.3f <-- %s\n", event.Time.Sub(a.events[0].Time).Seconds(), event)
	}
	e.Ladder = ladder.String()
	return e
}
