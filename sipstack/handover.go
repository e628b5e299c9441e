package sipstack

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Owners knows which node of a cluster has a dialog.
type Owners interface {
	// Owner returns the SIP URI of the node that has the dialogs with this Call-ID; false: none has, or this one. It may
	// wait as long as ctx lasts.
	Owner(ctx context.Context, sipCallID string) (uri string, ok bool)
}

// WithOwners has requests in dialogs that this node does not have handed to the node that has them: a dispatcher before
// several nodes may send them to any. Default: they get 481.
func WithOwners(o Owners) Option { return func(s *Stack) { s.owners = o } }

// Has reports whether the stack has a dialog of a call with this Call-ID, or had one a moment ago.
func (s *Stack) Has(sipCallID string) bool { return s.tap.bound(sipCallID) }

const (
	// ownerTimeout bounds the question who the owner is: who asks waits for no longer before it repeats its request.
	ownerTimeout = 2 * time.Second
	// handedMark is a parameter of our Via that says that a request was handed over, so that it is not handed on, and
	// perhaps back, by a node that has no such dialog either.
	handedMark = "handed"
)

// handOver proxies a request to the owner of its dialog (RFC 3261 section 16.6, with the owner as the one target), and
// returns when it has its final response; false: nobody is known to own it. A CANCEL ends such an INVITE here alone.
func (s *Stack) handOver(req *sip.Request, tx *sip.ServerTx) bool {
	flows, ok := s.ownersOf(req)
	if !ok {
		return false
	}
	if hops := req.MaxForwards(); hops != nil && *hops == 0 {
		s.respond(tx, s.response(req, sip.StatusTooManyHops, ""))
		return true
	}
	for _, to := range flows {
		handed, err := s.request(to, "", s.log, func(to flow) *sip.Request { return handedOver(req, to) })
		if err == nil {
			s.relay(req, tx, handed)
			return true
		}
		if errors.Is(err, ErrClosed) {
			return true
		}
		s.log.Debug("the owner of a dialog cannot be reached", zap.Error(err))
	}
	s.respond(tx, s.response(req, sip.StatusServiceUnavailable, ""))
	return true
}

// handOverAck is handOver for an ACK, which has no response.
func (s *Stack) handOverAck(req *sip.Request) {
	flows, ok := s.ownersOf(req)
	if !ok {
		return
	}
	for _, to := range flows {
		err := s.connect(s.living, to, "")
		if err == nil {
			err = s.transport.WriteMsg(handedOver(req, to))
		}
		if err == nil || s.living.Err() != nil {
			return
		}
		s.log.Debug("an ACK could not be handed over", zap.Error(err))
	}
}

// ownersOf returns where the owner of a request's dialog is reached.
func (s *Stack) ownersOf(req *sip.Request) ([]flow, bool) {
	if s.owners == nil || isHanded(req) || tagOf(req.To().Params) == "" {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(s.living, ownerTimeout)
	defer cancel()
	owner, ok := s.owners.Owner(ctx, req.CallID().Value())
	if !ok {
		return nil, false
	}
	uri, err := sipURI(owner)
	if err == nil {
		bound := s.bound()
		var flows []flow
		if flows, err = s.locator.flows(ctx, uri, bound, bound[0]); err == nil {
			return flows, true
		}
	}
	s.log.Warn("the owner of a dialog is not known by name", zap.String("owner", owner), zap.Error(err))
	return nil, false
}

// isHanded reports whether another node has handed a request over: it does not come from where its sender is.
func isHanded(req *sip.Request) bool {
	via := req.Via()
	return via != nil && via.Params.Has(handedMark)
}

// handedOver returns the request as it goes on to the owner.
func handedOver(req *sip.Request, to flow) *sip.Request {
	on := req.Clone()
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: to.on.transport(), Host: to.on.host, Port: to.on.port,
	}
	via.Params.Add("branch", sip.GenerateBranchN(16))
	via.Params.Add("rport", "")
	via.Params.Add(handedMark, "")
	on.PrependHeader(via)
	hops := sip.MaxForwardsHeader(70)
	if had := req.MaxForwards(); had != nil {
		hops = sip.MaxForwardsHeader(max(*had, 1) - 1)
		on.RemoveHeader("Max-Forwards")
	}
	on.AppendHeader(&hops)
	addressed(on, to)
	return on
}

// relay passes the owner's responses on.
func (s *Stack) relay(req *sip.Request, tx *sip.ServerTx, handed *sip.ClientTx) {
	if req.IsInvite() { // a 2xx is repeated until its ACK is there (section 16.7)
		handed.OnRetransmission(func(res *sip.Response) { s.spawn(func() { s.respond(tx, relayed(req, res)) }) })
	} else {
		defer handed.Terminate()
	}
	for {
		select {
		case res := <-handed.Responses():
			if res.StatusCode == sip.StatusTrying {
				continue
			}
			s.respond(tx, relayed(req, res))
			if !res.IsProvisional() {
				return
			}
		case <-handed.Done():
			s.respond(tx, s.response(req, sip.StatusRequestTimeout, ""))
			return
		case <-tx.Done(): // canceled, or the connection is gone
			return
		case <-s.living.Done():
			return
		}
	}
}

// relayed returns the owner's response as it goes back to who sent the request: without our Via.
func relayed(req *sip.Request, res *sip.Response) *sip.Response {
	back := sip.NewResponseFromRequest(req, res.StatusCode, res.Reason, nil)
	for _, h := range slices.Clone(back.Headers()) {
		if h.Name() != "Via" {
			back.RemoveHeader(h.Name())
		}
	}
	for _, h := range res.Headers() {
		if name := h.Name(); name != "Via" && name != "Content-Length" {
			back.AppendHeader(sip.HeaderClone(h))
		}
	}
	back.SetBody(res.Body())
	return back
}
