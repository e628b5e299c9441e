package transcribe

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

// Limits of a service that is spoken to over a WebSocket.
const (
	connectTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second // of a message that it does not take
	finalTimeout   = 30 * time.Second // from "stop" to its close
	maxMessage     = 1 << 20          // bytes
	chunk          = SampleRate / 10  // samples of a message: what is there is sent, this at most
)

// webSocket is a service elsewhere. The protocol is in docs/configuration.md: a message "start" that says what is wanted,
// binary messages with the sound, and "stop"; the service sends "transcription" messages, or "error", and closes when it
// has told everything.
type webSocket struct {
	address  string // without user information
	header   http.Header
	client   *http.Client
	patience time.Duration // for the last of the text
}

func newWebSocket(address string, client *http.Client) (*webSocket, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, errors.New("media.stt.url: the engine websocket needs a ws or wss URL")
	}
	bare, header := withoutUser(u)
	return &webSocket{address: bare, header: header, client: client, patience: finalTimeout}, nil
}

// withoutUser makes HTTP Basic of the user information of a URL.
func withoutUser(u *url.URL) (bare string, header http.Header) {
	header = http.Header{}
	if u.User != nil {
		password, _ := u.User.Password()
		req := http.Request{Header: header}
		req.SetBasicAuth(u.User.Username(), password)
		stripped := *u
		stripped.User = nil
		u = &stripped
	}
	return u.String(), header
}

// dial connects. Its error says nothing of the URL, which may hold secrets in its query.
func dial(ctx context.Context, address string, header http.Header, client *http.Client) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, ErrSlow)
	defer cancel()
	c, res, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
	switch {
	case err == nil:
		c.SetReadLimit(maxMessage)
		return c, nil
	case ctx.Err() != nil:
		return nil, &ConnectError{Err: context.Cause(ctx)}
	case res != nil && res.StatusCode != http.StatusSwitchingProtocols:
		return nil, &ConnectError{Err: fmt.Errorf("the server answered %s", res.Status)}
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	return nil, &ConnectError{Err: err}
}

// writeText sends a message of this package's, which always marshals.
func writeText(ctx context.Context, c *websocket.Conn, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return write(ctx, c, websocket.MessageText, text)
}

func write(ctx context.Context, c *websocket.Conn, t websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, ErrSlow)
	defer cancel()
	if err := c.Write(ctx, t, p); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return &ConnectError{Err: err}
	}
	return nil
}

// Transcribe implements [Transcriber].
func (w *webSocket) Transcribe(ctx context.Context, sound Sound, o Options, tell func(Result)) error {
	c, err := dial(ctx, w.address, w.header, w.client)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer c.CloseNow() // without effect once the service has closed
	all, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told := make(chan struct{})
	var reading error // how the service has ended
	go func() {
		defer close(told)
		reading = listen(all, c, o.Partial, tell)
		stop(errEnded) // nobody needs the rest of the sound
	}()
	writing := w.send(all, c, sound, o)
	if writing == nil {
		late := time.AfterFunc(w.patience, func() { stop(ErrSlow) })
		defer late.Stop()
	} else {
		stop(writing)
	}
	<-told
	switch cause := context.Cause(all); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(cause, ErrSlow):
		return &EngineError{Engine: EngineWebSocket, Reason: ErrSlow.Error(), Err: ErrSlow}
	case reading != nil && !errors.Is(reading, context.Canceled):
		return reading
	case writing == nil:
		return nil
	case errors.Is(writing, errEnded):
		return &ConnectError{Err: errors.New("the service closed before the end of the sound")}
	}
	return writing
}

// errEnded stops the sending: the service has closed.
var errEnded = errors.New("the service has closed")

// send sends the sound, and what is said before and behind it.
func (w *webSocket) send(ctx context.Context, c *websocket.Conn, sound Sound, o Options) error {
	if err := writeText(ctx, c, startOf(o)); err != nil {
		return err
	}
	samples, bytes := make([]int16, chunk), make([]byte, 0, 2*chunk)
	for ctx.Err() == nil {
		n, err := sound.ReadFrame(samples)
		if n > 0 {
			bytes = bytes[:0]
			for _, s := range samples[:n] {
				bytes = binary.LittleEndian.AppendUint16(bytes, uint16(s))
			}
			if err := write(ctx, c, websocket.MessageBinary, bytes); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return writeText(ctx, c, stopMessage{EventType: "stop"})
		case err != nil:
			return err
		}
	}
	return context.Cause(ctx)
}

// listen tells results until the service closes.
func listen(ctx context.Context, c *websocket.Conn, partial bool, tell func(Result)) error {
	for {
		kind, text, err := c.Read(ctx)
		switch code := websocket.CloseStatus(err); {
		case code == websocket.StatusNormalClosure, code == websocket.StatusGoingAway:
			return nil
		case err != nil && ctx.Err() != nil:
			return context.Canceled
		case err != nil:
			return &ConnectError{Err: err}
		case kind != websocket.MessageText:
			return &EngineError{Engine: EngineWebSocket, Reason: "it sent a binary message"}
		}
		result, ok, err := readMessage(text)
		if err != nil {
			return &EngineError{Engine: EngineWebSocket, Reason: err.Error(), Err: err}
		}
		if ok && (partial || !result.Partial) {
			tell(result)
		}
	}
}
