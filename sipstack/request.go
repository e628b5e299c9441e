package sipstack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// send sends a request in the dialog and returns the final response to it. Before an attempt goes out sent, if any, is
// called with its CSeq, under no lock. A digest challenge is answered by another attempt. ctx bounds the wait alone: the
// transaction goes on to its end. Without a final response the error is [errNoResponse], [errTransport] or [ErrClosed].
func (d *dialog) send(ctx context.Context, method sip.RequestMethod, hdrs []sip.Header, body []byte, sent func(cseq uint32)) (*sip.Response, error) {
	type result struct {
		res *sip.Response
		err error
	}
	done := make(chan result, 1) // one is sent, and maybe nobody waits any more
	if !d.stack.spawn(func() {
		r := result{err: errBroken}
		defer func() { done <- r }()
		defer d.stack.survive(d.callID)
		r.res, r.err = d.transact(method, hdrs, body, hooks{sent: sent})
	}) {
		return nil, ErrClosed
	}
	select {
	case r := <-done:
		return r.res, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done: // a result that is there counts
		return r.res, r.err
	default:
		return nil, context.Cause(ctx)
	}
}

// hooks are called on the way of each attempt, under no lock; nil: not.
type hooks struct {
	sent func(cseq uint32) // it is about to go out
	out  func()            // it has gone out, or could not
	stop <-chan struct{}   // closed when nobody waits for the response any more
}

// transact makes as many attempts as the challenges allow.
func (d *dialog) transact(method sip.RequestMethod, hdrs []sip.Header, body []byte, h hooks) (*sip.Response, error) {
	var credentials sip.Header
	course := course{stack: d.stack}
	for prior := 0; ; {
		all := hdrs
		if credentials != nil {
			all = append(hdrs[:len(hdrs):len(hdrs)], credentials)
		}
		res, uri, err := d.attempt(method, all, body, h, &course)
		if course.failsOver(method, res, err) {
			continue
		}
		if err != nil {
			d.log().Debug("request failed", zap.String("method", string(method)), zap.Error(err))
			return nil, err
		}
		signed, ok := authorize(d.stack.cfg.Credentials, res, string(method), uri, prior)
		if !ok {
			d.judge(method, res.StatusCode)
			return res, nil
		}
		credentials = signed
		prior++
		course.again()
	}
}

// judge notes what a final response says of the dialog (RFC 5057 section 5.1).
func (d *dialog) judge(method sip.RequestMethod, code int) {
	switch {
	case method == sip.INVITE, method == sip.UPDATE: // see [Leg.renew]
	case code == sip.StatusCallTransactionDoesNotExists, code == sip.StatusRequestTimeout && method == sip.REFER:
		d.lost.Store(true)
	}
}

// attempt sends one request and waits for its final response. It returns the Request-URI, too, which credentials sign.
func (d *dialog) attempt(method sip.RequestMethod, hdrs []sip.Header, body []byte, h hooks, c *course) (*sip.Response, sip.Uri, error) {
	tx, uri, err := d.launch(method, hdrs, body, h.sent, c)
	if h.out != nil {
		h.out()
	}
	if err != nil {
		return nil, uri, err
	}
	defer tx.Terminate()
	giveUp := time.NewTimer(c.timeLeft())
	defer giveUp.Stop()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				d.completed(tx.Origin(), res)
				return res, uri, nil
			}
			if method == sip.INVITE { // RFC 3261 section 17.1.1.2: timer B ends
				giveUp.Stop()
			}
		case <-tx.Done():
			return nil, uri, d.stack.failure(tx.Err())
		case <-giveUp.C: // the library's own timer is the same for the whole process
			return nil, uri, errNoResponse
		case <-h.stop:
			return nil, uri, errGivenUp
		case <-d.stack.living.Done():
			return nil, uri, ErrClosed
		}
	}
}

// launch takes a number and sends the request, while no other request of the dialog does.
func (d *dialog) launch(method sip.RequestMethod, hdrs []sip.Header, body []byte, sent func(cseq uint32), c *course) (*sip.ClientTx, sip.Uri, error) {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()

	cseq, fresh, save := d.number(c)
	if save {
		d.save()
	}
	if fresh && sent != nil {
		sent(cseq)
	}
	target, set := d.address()
	uri, routes, next := routed(target, set)
	if !c.known() {
		flows, resort, err := d.hops(d.stack.living, next)
		if err != nil {
			return nil, uri, d.stack.failure(err)
		}
		c.found(flows, resort)
	}
	for {
		tx, err := d.stack.request(c.to(), hostOf(next), d.log(), func(to flow) *sip.Request {
			req := d.request(method, cseq, uri, routes, to)
			for _, h := range hdrs {
				req.AppendHeader(h)
			}
			req.SetBody(body)
			return req
		})
		if err == nil {
			return tx, uri, nil
		}
		if errors.Is(err, ErrClosed) || !c.broken() {
			return nil, uri, err
		}
	}
}

// number returns the number of a request, which is a new one unless it goes to another target (RFC 3263 section 4.3) and
// no other request has gone out meanwhile.
//
// Save says that so many have gone out since the dialog was saved that one which is restored might repeat a number.
func (d *dialog) number(c *course) (cseq uint32, fresh, save bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fresh = c.cseq == 0 || c.cseq != d.seq; fresh {
		d.seq++
		c.cseq = d.seq
	}
	return c.cseq, fresh, d.seq-d.saved >= skippedNumbers/2
}

// request connects to where a request goes, the host of that name, builds it and sends it.
func (s *Stack) request(to flow, name string, log *zap.Logger, build func(to flow) *sip.Request) (*sip.ClientTx, error) {
	if err := s.connect(s.living, to, name); err != nil {
		return nil, s.failure(err)
	}
	req := s.fitting(build(to), to, log, build)
	if s.living.Err() != nil {
		return nil, ErrClosed
	}
	tx, err := s.transactions.Request(s.living, req)
	if err != nil {
		return nil, s.failure(fmt.Errorf("%w: %w", errTransport, err))
	}
	return tx, nil
}

// failure gives the reason why a request got no response one of our names.
func (s *Stack) failure(err error) error {
	select {
	case <-s.living.Done():
		return ErrClosed
	default:
	}
	switch {
	case errors.Is(err, sip.ErrTransactionTimeout):
		return errNoResponse
	case errors.Is(err, errTransport), err == nil:
		return errors.Join(err, errTransport)
	}
	return fmt.Errorf("%w: %w", errTransport, err)
}

// newRequest begins a request on its way to a target: with a Via of its own, and through the routes.
func newRequest(method sip.RequestMethod, uri sip.Uri, routes []sip.Uri, to flow) *sip.Request {
	req := sip.NewRequest(method, uri)
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: to.on.transport(), Host: to.on.host, Port: to.on.port,
	}
	via.Params.Add("branch", sip.GenerateBranchN(16))
	via.Params.Add("rport", "")
	req.AppendHeader(via)
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	return req
}

// request builds a request in the dialog (RFC 3261 section 12.2.1.1).
func (d *dialog) request(method sip.RequestMethod, cseq uint32, uri sip.Uri, routes []sip.Uri, to flow) *sip.Request {
	req := newRequest(method, uri, routes, to)
	callID := sip.CallIDHeader(d.id.callID)
	req.AppendHeader(sip.HeaderClone(&d.local))
	req.AppendHeader(sip.HeaderClone(&d.remote))
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	if method != sip.BYE { // RFC 3261 section 20: it has none
		req.AppendHeader(&sip.ContactHeader{Address: *d.contact.Clone()})
	}
	if method != sip.ACK {
		req.AppendHeader(sip.NewHeader("Allow", allow))
		req.AppendHeader(sip.NewHeader("Supported", d.stack.supported()))
	}
	req.AppendHeader(sip.NewHeader("User-Agent", product))

	addressed(req, to)
	return req
}
