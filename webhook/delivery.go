package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.uber.org/zap"
)

// manner says how an event is to be delivered to a URL.
type manner struct {
	wanted   bool // the reply's body is wanted: the event is synchronous
	fallback bool // the URL is a fallback
	again    bool // once more, at once, after a connection failure
	earlier  int  // attempts that were made before, elsewhere or at another time
}

// delivery is one event on its way to one URL: an attempt, or two.
type delivery struct {
	manner
	client  *Client
	ctx     context.Context // of who asked: it tells the end of that from the end of an attempt's time
	timeout time.Duration
	target  *url.URL // where the first request of each attempt goes, as it is told

	exchange Exchange // the request under way
	location *url.URL // where it goes; without user information, as target is
	begun    time.Time
	traced   func(Exchange) // told of its end
	line     line
	asked    time.Duration // Retry-After of the last reply
	reply    Reply

	clock *time.Timer // ends an attempt
	late  atomic.Bool // it has ended one
}

// deliveryKey is what a delivery is found by in the context of its requests.
type deliveryKey struct{}

func deliveryOf(ctx context.Context) *delivery { return ctx.Value(deliveryKey{}).(*delivery) }

// requestsOf returns what sends the requests of a client's deliveries.
func requestsOf(c *Client) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{Transport: gate{c}, CheckRedirect: func(next *http.Request, via []*http.Request) error {
			return deliveryOf(next.Context()).redirected(next, via)
		}},
		RequestLogHook: func(_ retryablehttp.Logger, req *http.Request, _ int) { deliveryOf(req.Context()).attempt(req) },
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return deliveryOf(ctx).failed(err), nil
		},
		RetryMax:     1,
		Backoff:      func(time.Duration, time.Duration, int, *http.Response) time.Duration { return 0 },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

func (c *Client) deliver(ctx context.Context, to Target, ev Event, m manner) (Reply, *DeliveryError) {
	d := &delivery{manner: m, client: c, ctx: ctx, timeout: to.Timeout}
	d.exchange = Exchange{Event: ev, Fallback: m.fallback, Attempt: m.earlier}
	if d.timeout <= 0 {
		d.timeout = c.cfg.Timeout
	}
	// The time-out holds for each attempt: from connecting to the last byte, redirects included (docs/webhooks.md).
	// http.Client.Timeout would do the same with a goroutine for each request.
	timed, end := context.WithCancelCause(ctx)
	defer end(nil)
	d.clock = time.AfterFunc(d.timeout, func() {
		d.late.Store(true)
		end(context.DeadlineExceeded)
	})
	defer d.clock.Stop()
	timed = httptrace.WithClientTrace(context.WithValue(timed, deliveryKey{}, d), d.line.trace())
	req, target, err := c.newRequest(timed, to, ev)
	if err != nil {
		failed := &DeliveryError{EventType: ev.Type, Fallback: m.fallback, Err: err}
		if target != nil {
			failed.URL = withoutQuery(target)
		}
		return Reply{}, failed
	}
	d.target = target
	req.SetResponseHandler(d.read)
	// The body has been read and closed by d.read, or there is none.
	if _, err := c.requests.Do(req); err != nil {
		return Reply{}, d.failure(err)
	}
	return d.reply, nil
}

// attempt notes that a request to the target is about to be sent.
func (d *delivery) attempt(req *http.Request) {
	d.clock.Reset(d.timeout)
	d.exchange.Attempt++
	d.begin(req, d.target)
}

// begin is told of each request; its URL is told as to.
func (d *delivery) begin(req *http.Request, to *url.URL) {
	d.line.lost()
	d.begun = time.Now()
	d.location = to
	x := &d.exchange
	x.Method, x.URL, x.Status, x.Body, x.Err, x.Duration = req.Method, to.String(), 0, nil, nil, 0
	d.client.observer.Request(*x)
	d.traced = d.client.tracer.Begin(req.Context(), *x, req.Header)
}

func (d *delivery) end(err error) {
	x := &d.exchange
	x.Err, x.Duration = err, time.Since(d.begun)
	d.client.observer.Reply(*x)
	d.traced(*x)
	if line := d.client.log.Check(zap.DebugLevel, "webhook sent"); line != nil {
		line.Write(zap.String("call_id", x.Event.CallID), zap.String("event_id", x.Event.ID),
			zap.String("event_type", x.Event.Type), zap.String("method", x.Method), zap.String("url", withoutQuery(d.location)),
			zap.Int("attempt", x.Attempt), zap.Int("status", x.Status), zap.Duration("duration", x.Duration), zap.Error(err))
	}
}

// redirected decides about a redirect (docs/webhooks.md): 307 and 308 keep method and body; after the others a POST would
// lose the event, so that they are the reply, and a failure.
func (d *delivery) redirected(next *http.Request, via []*http.Request) error {
	status := next.Response.StatusCode
	keeps := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !keeps && via[0].Method != http.MethodGet {
		return http.ErrUseLastResponse
	}
	d.exchange.Status = status
	if err := checkHop(next, via); err != nil {
		return err
	}
	d.end(nil)
	d.begin(next, next.URL)
	return nil
}

// errStatus stands for a reply whose status says that the event was not taken.
var errStatus = errors.New("not a status of success")

const drained = 4 << 10 // bytes of an unwanted body that are read so that the connection can be used again

// read takes the reply.
func (d *delivery) read(res *http.Response) error {
	defer func() { _ = res.Body.Close() }() // what is unread then ends the connection
	d.exchange.Status = res.StatusCode
	d.asked = retryAfter(res.Header.Get("Retry-After"))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return errStatus
	}
	if d.wanted {
		body, err := bodyOf(res)
		if err != nil {
			return err
		}
		d.exchange.Body = body
		d.reply = Reply{URL: d.exchange.URL, Status: res.StatusCode, Body: body}
	} else {
		_, _ = io.CopyN(io.Discard, res.Body, drained) // the status has said all
	}
	d.end(nil)
	return nil
}

// bodyOf reads the body of a reply. One byte more than allowed tells that there was more; nothing is gained by reading on.
// The limit is one of decoded bytes: of a compressed body, whose length is not known, no more is unpacked.
func bodyOf(res *http.Response) ([]byte, error) {
	if res.ContentLength < 0 || res.ContentLength > MaxReply {
		return io.ReadAll(io.LimitReader(res.Body, MaxReply+1))
	}
	body := make([]byte, res.ContentLength)
	_, err := io.ReadFull(res.Body, body)
	return body, err
}

// failed is told how each attempt ended and decides whether there is another: after a connection failure alone, and
// retryablehttp counts.
func (d *delivery) failed(err error) (again bool) {
	switch {
	case err == nil:
		return false
	case errors.Is(err, errStatus):
		d.end(nil)
		return false
	}
	unconnected := d.ctx.Err() == nil && !d.timedOut(err) && !errors.Is(err, ErrRefused) && d.line.failed()
	if unconnected && d.line.reused() {
		// The server has ended a connection that it kept alive; others that wait are likely to have gone the same way.
		d.client.transport.CloseIdleConnections()
	}
	d.end(d.reason(err))
	return unconnected && d.again
}

// timedOut reports whether an attempt failed because its time was over.
func (d *delivery) timedOut(err error) bool {
	return d.late.Load() || errors.Is(err, context.DeadlineExceeded)
}

func (d *delivery) reason(err error) error {
	switch {
	case d.ctx.Err() != nil:
		return context.Cause(d.ctx)
	case d.timedOut(err):
		return &safeError{ErrTimeout.Error() + " (" + d.timeout.String() + ")", ErrTimeout}
	}
	return safe(err)
}

func (d *delivery) failure(err error) *DeliveryError {
	failed := &DeliveryError{
		EventType: d.exchange.Event.Type, URL: withoutQuery(d.location), Fallback: d.fallback,
		Status: d.exchange.Status, Attempts: d.exchange.Attempt - d.earlier, retryAfter: d.asked,
	}
	if !errors.Is(err, errStatus) {
		failed.Err = d.reason(err)
	}
	return failed
}

// retryAfter reads a Retry-After header (RFC 9110 section 10.2.3); 0: none, or nothing that can be read.
func retryAfter(value string) time.Duration {
	if value = strings.TrimSpace(value); value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// line is the state of the connection that a request is sent on. The transport tells of it from its own goroutines.
type line struct{ state atomic.Int32 }

const (
	lineNone   int32 = iota // no connection, or not yet
	lineFresh               // a connection made for this request
	lineReused              // a connection that served another request before
	lineReply               // the reply has begun
)

func (l *line) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused {
				l.state.Store(lineReused)
			} else {
				l.state.Store(lineFresh)
			}
		},
		GotFirstResponseByte: func() { l.state.Store(lineReply) },
	}
}

func (l *line) lost() { l.state.Store(lineNone) }

func (l *line) reused() bool { return l.state.Load() == lineReused }

// failed reports whether an error is a connection failure (docs/webhooks.md): no connection, a TLS failure, or a reused
// connection that ended before the first byte of the reply.
func (l *line) failed() bool {
	state := l.state.Load()
	return state == lineNone || state == lineReused
}
