package sipstack

import (
	"slices"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// newOutboundDialog makes the dialog that a response to an INVITE of ours opens (RFC 3261 section 12.1.2).
func newOutboundDialog(s *Stack, sent sentInvite, res *sip.Response, callID string) *dialog {
	invite := sent.req
	from, to := invite.From(), res.To()
	d := &dialog{
		stack: s, callID: callID,
		id:      dialogID{invite.CallID().Value(), tagOf(from.Params), tagOf(to.Params)},
		local:   sip.FromHeader{DisplayName: from.DisplayName, Address: *from.Address.Clone()},
		remote:  sip.ToHeader{DisplayName: to.DisplayName, Address: *to.Address.Clone()},
		contact: *invite.Contact().Address.Clone(),
		inbox:   inbox{open: true},
		turn:    make(chan struct{}, 1),
		seq:     invite.CSeq().SeqNo,
		flow:    flow{on: sent.to.on, source: sourceOf(res)},
		target:  invite.Recipient,
		using:   true,
		secure:  isSecure(invite.To().Address),
	}
	d.spare.Store(true)
	d.local.Params.Add("tag", d.id.local)
	if d.id.remote != "" {
		d.remote.Params.Add("tag", d.id.remote)
	}
	d.established(res)
	d.learn(res)
	d.referrals = newReferrals(referEnv{
		send: d.send, observer: s.observer, callID: callID, notifyTimeout: s.cfg.NotifyTimeout, answerTimeout: s.cfg.TransactionTimeout,
		log: s.log, spawn: s.spawn, lost: d.lostByRefer, release: d.retire,
	})
	return d
}

// established takes the route set and the remote target of a response to an INVITE of ours: those of the 2xx hold, and
// before it came those of the provisional response (RFC 3261 section 13.2.2.4).
func (d *dialog) established(res *sip.Response) {
	var routes []sip.Uri
	for _, h := range res.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			routes = append(routes, *rr.Address.Clone())
		}
	}
	slices.Reverse(routes)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.routes = routes
	d.path = path{direct: len(routes) == 0}
	if c := res.Contact(); c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		d.target = requestURI(c.Address)
	}
}

// acknowledge sends the ACK of a 2xx to an INVITE of ours: with its number and its credentials (RFC 3261 sections
// 13.2.2.4 and 22.1), along the dialog's route set.
func (d *dialog) acknowledge(invite *sip.Request) error {
	target, set := d.address()
	uri, routes, next := routed(target, set)
	flows, resort, err := d.hops(d.stack.living, next)
	if err != nil {
		return d.stack.failure(err)
	}
	c := &course{stack: d.stack}
	c.found(flows, resort)
	for {
		err := d.stack.connect(d.stack.living, c.to(), hostOf(next))
		if err == nil {
			ack := d.request(sip.ACK, invite.CSeq().SeqNo, uri, routes, c.to())
			for _, name := range []string{"Authorization", "Proxy-Authorization"} {
				for _, h := range invite.GetHeaders(name) {
					ack.AppendHeader(sip.HeaderClone(h))
				}
			}
			ack.SetBody(nil)
			err = d.stack.transport.WriteMsg(ack)
		}
		if err == nil || d.stack.living.Err() != nil || !c.broken() {
			return err
		}
	}
}

// confirmInvite is acknowledge for who can do nothing about an error: the 2xx will come again.
func (d *dialog) confirmInvite(invite *sip.Request) {
	if err := d.acknowledge(invite); err != nil {
		d.log().Debug("ACK not sent", zap.Error(err))
	}
}

// address returns the remote target and the route set.
func (d *dialog) address() (sip.Uri, []sip.Uri) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.target, d.routes
}
