package sipstack

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// place sends the INVITE to its targets until it has a final response, and returns that with the INVITE that it got.
func (o *outgoing) place() (sentInvite, *sip.Response, error) {
	s := o.stack
	uri, routes, next := routed(o.to, o.routes)
	bound := s.bound()
	heard := bound[0]
	if udp := ofNetwork(bound, "udp"); udp != nil { // RFC 3263 section 4.1
		heard = udp
	}
	flows, err := o.locate(next, bound, heard)
	if err != nil {
		return sentInvite{}, nil, s.failure(err)
	}
	c := &course{stack: s, fresh: true}
	c.found(flows, nil)
	cseq := uint32(1)
	var credentials sip.Header
	for prior := 0; ; {
		invite, res, err := o.attempt(c, hostOf(next), func(to flow) *sip.Request {
			req := o.request(sip.INVITE, cseq, uri, routes, to)
			if credentials != nil {
				req.AppendHeader(credentials)
			}
			return req
		})
		switch {
		case o.isCanceled() || err == nil && res.IsSuccess():
			return invite, res, err
		case c.failsOver(sip.INVITE, res, err):
			c.wind()
			continue
		case err != nil:
			return sentInvite{}, nil, err
		}
		signed, ok := authorize(s.cfg.Credentials, res, string(sip.INVITE), uri, prior)
		if !ok {
			return invite, res, nil
		}
		credentials = signed
		prior++
		cseq++ // RFC 3261 section 22.2
		c.again()
	}
}

func ofNetwork(bound []*listener, network string) *listener {
	for _, l := range bound {
		if l.network == network {
			return l
		}
	}
	return nil
}

// locate finds the targets, as long as the caller waits.
func (o *outgoing) locate(next sip.Uri, bound []*listener, heard *listener) ([]flow, error) {
	ctx, cancel := context.WithTimeout(o.stack.living, connectTimeout)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	o.stack.spawn(func() {
		select {
		case <-o.canceled:
			cancel()
		case <-done:
		}
	})
	return o.stack.locator.flows(ctx, next, bound, heard)
}

// attempt sends the INVITE to one target, and waits for its final response. Without one the error is [errNoResponse],
// [errTransport], [ErrCanceled] or [ErrClosed].
func (o *outgoing) attempt(c *course, name string, build func(to flow) *sip.Request) (invite sentInvite, res *sip.Response, err error) {
	var tx *sip.ClientTx
	for tx == nil {
		if o.isCanceled() {
			return invite, nil, ErrCanceled
		}
		tx, err = o.stack.request(c.to(), name, o.log, func(to flow) *sip.Request {
			req := build(to)
			invite = sentInvite{req.Clone(), to}
			o.await(o.keep(invite))
			return req
		})
		if err != nil && (o.stack.living.Err() != nil || !c.broken()) {
			return invite, nil, err
		}
	}
	tx.OnRetransmission(o.stack.stray) // every 2xx but the first, of whatever fork
	giveUp := time.NewTimer(c.timeLeft())
	defer giveUp.Stop()
	canceled, proceeding := o.canceled, false
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return invite, res, nil
			}
			o.progress(invite, res)
			if !proceeding {
				proceeding = true
				giveUp.Stop() // RFC 3261 section 17.1.1.2: from now on it rings as long as the caller likes
				if canceled == nil {
					o.cancel(invite, giveUp)
				}
			}
		case <-canceled:
			canceled = nil
			if proceeding {
				o.cancel(invite, giveUp)
			}
		case <-giveUp.C:
			tx.Terminate()
			return invite, nil, errNoResponse
		case <-tx.Done():
			return invite, nil, o.stack.failure(tx.Err())
		case <-o.stack.living.Done():
			tx.Terminate()
			return invite, nil, ErrClosed
		}
	}
}

// keep notes an INVITE that is about to go out, and returns its branch.
func (o *outgoing) keep(invite sentInvite) string {
	branch := branchOf(invite.req)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent[branch] = invite
	return branch
}

// await notes whose first answer is awaited.
func (o *outgoing) await(branch string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.branch = branch
}

func branchOf(msg sip.Message) string {
	via := msg.Via()
	if via == nil {
		return ""
	}
	branch, _ := param(via.Params, "branch")
	return branch
}

// cancel sends the CANCEL of an INVITE that has got a response (RFC 3261 section 9.1), to where that went. Its final
// response is waited for no longer than 64*T1.
func (o *outgoing) cancel(sent sentInvite, giveUp *time.Timer) {
	invite, to := sent.req, sent.to
	giveUp.Reset(o.stack.cfg.TransactionTimeout)
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(sip.HeaderClone(invite.Via()))
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	for _, name := range []string{"Route", "From", "To", "Call-ID"} {
		for _, h := range invite.GetHeaders(name) {
			req.AppendHeader(sip.HeaderClone(h))
		}
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.AppendHeader(sip.NewHeader("User-Agent", product))
	addressed(req, to)
	o.stack.spawn(func() {
		tx, err := o.stack.request(to, "", o.log, func(flow) *sip.Request { return req })
		if err != nil {
			o.log.Debug("CANCEL not sent", zap.Error(err))
			return
		}
		defer tx.Terminate()
		for {
			select {
			case res := <-tx.Responses():
				if !res.IsProvisional() {
					return
				}
			case <-tx.Done():
				return
			case <-o.stack.living.Done():
				return
			}
		}
	})
}

// request builds an INVITE that opens dialogs (RFC 3261 section 8.1.1), with our offer.
func (o *outgoing) request(method sip.RequestMethod, cseq uint32, uri sip.Uri, routes []sip.Uri, to flow) *sip.Request {
	req := newRequest(method, *uri.Clone(), routes, to)
	from := &sip.FromHeader{Address: *o.from.Clone()}
	from.Params.Add("tag", o.id.tag)
	callID := sip.CallIDHeader(o.id.callID)
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: *o.to.Clone()})
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: method})
	contact := o.stack.contact(to.on, o.from.User)
	if isSecure(o.to) {
		contact = o.stack.secured(contact, to.on)
	}
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	req.AppendHeader(sip.NewHeader("Allow", allow))
	req.AppendHeader(sip.NewHeader("Supported", tagReliable))
	req.AppendHeader(sip.NewHeader("User-Agent", product))
	contentType := sip.ContentTypeHeader(typeSDP)
	req.AppendHeader(&contentType)
	req.SetBody(o.sound.offerFrom(o.stack.mediaAddress(to.on)))
	addressed(req, to)
	return req
}

// addressed says where a request goes, and from which of our sockets.
func addressed(req *sip.Request, to flow) {
	req.SetTransport(to.on.transport())
	req.SetDestination(net.JoinHostPort(to.source.Addr().String(), strconv.Itoa(int(to.source.Port()))))
	req.Laddr = to.on.local() // else it would leave from any port
}
