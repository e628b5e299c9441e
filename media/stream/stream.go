package stream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/coder/websocket"
)

const (
	// maxMessage is the size up to which a message of the other side is read: 16 s of sound at 24,000 samples a second.
	maxMessage = 1 << 20
	// writeWait is how long the other side may not take a message before it counts as gone.
	writeWait = 10 * time.Second
	// pingEvery and pongWait find one that is gone without a word. Sound that waits on its way delays the pong.
	pingEvery, pongWait = 20 * time.Second, 20 * time.Second
	// closeWait is how long the end of a stream may take: what waits to be sent, "stop", the closing handshake.
	closeWait = time.Second
)

// Session is the sound of a call. [media.Session] is one.
type Session interface {
	Listen(f media.Listener) (stop func())
	Play(ctx context.Context, src media.Source) error
}

// Counters is told what was lost. Its methods are called by any goroutine and must not block.
type Counters interface {
	StreamFramesDropped(frames int)      // of one track, 20 ms each: the other side did not take them in time
	StreamMessagesRefused(reason string) // "invalid", or "full": more sound than may wait to be played
}

// Config says where a stream goes and what it carries.
type Config struct {
	URL                string // ws or wss; user information in it counts as credentials
	Username, Password string // of HTTP Basic authentication; both empty: none
	UserAgent          string
	Metadata
	Bidirectional bool // what the other side sends is played
}

// Stream is a connection that is open. Whoever has one calls Run, once.
type Stream struct {
	cfg     Config
	session Session
	count   Counters
	conn    *websocket.Conn
	queue   *queue
	player  *player
	deafen  func() // the session
	budget  budget
}

// Open connects to the other side and tells it of the call; ctx bounds that. client decides whom may be connected to. From
// now on the session is listened to.
func Open(ctx context.Context, client *http.Client, s Session, c Counters, cfg Config) (*Stream, error) {
	address, header, err := cfg.request()
	if err != nil {
		return nil, err
	}
	// The response of a handshake has no body that has to be closed.
	conn, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	if err != nil {
		return nil, readable(err)
	}
	conn.SetReadLimit(maxMessage)
	if err := conn.Write(ctx, websocket.MessageText, cfg.start()); err != nil {
		_ = conn.CloseNow()
		return nil, readable(err)
	}
	x := &Stream{cfg: cfg, session: s, count: c, conn: conn, queue: newQueue(cfg.Tracks), player: newPlayer()}
	x.deafen = s.Listen(x.queue.put)
	return x, nil
}

// request returns the URL and the header of the handshake.
func (c Config) request() (address string, header http.Header, err error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return "", nil, errors.New("the URL cannot be read") // its error would quote the URL
	}
	username, password := c.Username, c.Password
	if u.User != nil && username == "" && password == "" {
		username = u.User.Username()
		password, _ = u.User.Password()
	}
	u.User = nil
	header = http.Header{}
	if username != "" || password != "" {
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
	}
	if c.UserAgent != "" {
		header.Set("User-Agent", c.UserAgent)
	}
	return u.String(), header, nil
}

// readable returns a dialling error without the URL, whose query may hold a secret.
func readable(err error) error {
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// Run streams until ctx ends, when it says goodbye within a second and returns nil, or until the other side closes the
// stream, which is nil as well if it does so in order. The error of any other end is a [*ConnectionError] if the
// connection was lost.
func (x *Stream) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var reading, pinging error
	var all sync.WaitGroup
	all.Go(func() {
		defer end()
		reading = x.read(life)
	})
	all.Go(func() {
		defer end()
		pinging = x.ping(life)
	})
	if x.cfg.Bidirectional {
		all.Go(func() { x.player.run(life, x.session) })
	}
	all.Go(func() { bound(ctx, life, end) })
	sending := x.send(ctx, life)
	said := ctx.Err() != nil // goodbye: what becomes of the connection does not matter any more
	end()
	x.deafen()
	x.lost()
	_ = x.conn.CloseNow()
	all.Wait()
	switch websocket.CloseStatus(reading) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return nil
	}
	switch {
	case said:
		return nil
	case websocket.CloseStatus(reading) != -1, errors.Is(reading, websocket.ErrMessageTooBig):
		return reading
	}
	// Whoever saw the connection go has seen why; the others find it closed.
	for _, err := range []error{pinging, sending, reading} {
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
			return &ConnectionError{err}
		}
	}
	return &ConnectionError{net.ErrClosed}
}

// ConnectionError is a connection that was lost.
type ConnectionError struct{ Err error }

func (e *ConnectionError) Error() string { return "the connection was lost: " + e.Err.Error() }

// Unwrap returns what was seen of it.
func (e *ConnectionError) Unwrap() error { return e.Err }

// bound gives the goodbye its time.
func bound(ctx, life context.Context, end func()) {
	select {
	case <-ctx.Done():
	case <-life.Done():
		return
	}
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-timer.C:
		end()
	case <-life.Done():
	}
}

// send sends the call's sound until ctx ends, then what is left of it and the goodbye. It returns why it cannot go on.
func (x *Stream) send(ctx, life context.Context) error {
	var f frame
	var message []byte
	for {
		for x.queue.pop(&f) {
			for i, t := range x.cfg.Tracks {
				message = appendMedia(message[:0], t, f.number, f.tracks[i][:])
				if err := x.write(life, message); err != nil {
					return err
				}
			}
			x.lost()
		}
		if ctx.Err() != nil {
			return x.goodbye(life)
		}
		select {
		case <-x.queue.ready:
		case <-ctx.Done():
			x.deafen()
		case <-life.Done():
			return life.Err()
		}
	}
}

// lost counts what the other side was too slow for.
func (x *Stream) lost() {
	if n := x.queue.lost(); n > 0 {
		x.count.StreamFramesDropped(int(n) * len(x.cfg.Tracks))
	}
}

func (x *Stream) write(life context.Context, message []byte) error {
	timed, stop := context.WithTimeout(life, writeWait)
	defer stop()
	err := x.conn.Write(timed, websocket.MessageText, message)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing was read within %v", writeWait)
	}
	return err
}

// goodbye ends the stream in order.
func (x *Stream) goodbye(life context.Context) error {
	if err := x.write(life, x.cfg.stop()); err != nil {
		return err
	}
	return x.conn.Close(websocket.StatusNormalClosure, "")
}

// read takes what the other side sends. It returns why it cannot go on.
func (x *Stream) read(life context.Context) error {
	for {
		kind, message, err := x.conn.Read(life)
		if errors.Is(err, websocket.ErrMessageTooBig) {
			return fmt.Errorf("a message was longer than %d bytes: %w", maxMessage, websocket.ErrMessageTooBig)
		} else if err != nil {
			return err
		}
		if err := x.budget.spend(life, len(message)); err != nil {
			return err
		}
		if !x.cfg.Bidirectional {
			continue // it listens alone
		}
		c, err := parse(message)
		switch {
		case kind != websocket.MessageText, errors.Is(err, errUnknown):
		case err != nil:
			x.count.StreamMessagesRefused("invalid")
		case c.clear:
			x.player.clear()
		case !x.player.add(c):
			x.count.StreamMessagesRefused("full")
		}
	}
}

// ping asks whether the other side is there. It returns why it is not.
func (x *Stream) ping(life context.Context) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-life.Done():
			return life.Err()
		}
		timed, stop := context.WithTimeout(life, pongWait)
		err := x.conn.Ping(timed)
		stop()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("a ping was not answered within %v", pongWait)
		case err != nil:
			return err
		}
	}
}
