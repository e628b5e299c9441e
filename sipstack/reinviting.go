package sipstack

import (
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// completed takes the final response to a request of ours: what it says of the peer, and, of a 2xx to an INVITE, that it
// needs an ACK (RFC 3261 section 13.2.2.4).
func (d *dialog) completed(req *sip.Request, res *sip.Response) {
	d.learn(res)
	if res.StatusCode/100 != 2 || req.Method != sip.INVITE && req.Method != sip.UPDATE {
		return
	}
	d.refreshed(res)
	if req.Method == sip.INVITE {
		d.mu.Lock()
		d.accepted = req
		d.mu.Unlock()
		d.acknowledge(req)
	}
}

// acknowledge sends the ACK of a 2xx to an INVITE of ours: with its number, and its credentials.
func (d *dialog) acknowledge(invite *sip.Request) {
	d.mu.Lock()
	target := d.target
	d.mu.Unlock()
	uri, routes, next := routed(target, d.routes)
	flows, resort, err := d.hops(d.stack.living, next)
	if resort != nil {
		flows = append(flows, *resort)
	}
	for _, to := range flows {
		if err = d.stack.connect(d.stack.living, to, hostOf(next)); err != nil {
			continue
		}
		ack := d.request(sip.ACK, invite.CSeq().SeqNo, uri, routes, to)
		for _, name := range []string{"Authorization", "Proxy-Authorization"} {
			for _, h := range invite.GetHeaders(name) {
				ack.AppendHeader(sip.HeaderClone(h))
			}
		}
		ack.SetBody(nil)
		if err = d.stack.transport.WriteMsg(ack); err == nil {
			return
		}
	}
	d.log.Debug("ACK not sent", zap.Error(err))
}

// acknowledgeAgain repeats the ACK of a 2xx that came once more; false: it is none of ours.
func (d *dialog) acknowledgeAgain(res *sip.Response) bool {
	d.mu.Lock()
	invite := d.accepted
	d.mu.Unlock()
	if invite == nil || res.StatusCode/100 != 2 || *res.CSeq() != *invite.CSeq() {
		return false
	}
	return d.stack.spawn(func() { d.acknowledge(invite) })
}

// dialogOfResponse returns the dialog of a response to a request of ours; nil: none.
func (s *Stack) dialogOfResponse(res *sip.Response) *dialog {
	if res.From() == nil || res.To() == nil || res.CallID() == nil || res.CSeq() == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogs[dialogID{res.CallID().Value(), tagOf(res.From().Params), tagOf(res.To().Params)}]
}
