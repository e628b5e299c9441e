package sipstack

import (
	"sync"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// dialogID names a dialog (RFC 3261 section 12), by the tags as they are on our side.
type dialogID struct{ callID, local, remote string }

// dialogOf returns the dialog that a request from the peer names.
func dialogOf(req *sip.Request) dialogID {
	return dialogID{req.CallID().Value(), tagOf(req.To().Params), tagOf(req.From().Params)}
}

// dialog is what both sides share after an INVITE (RFC 3261 section 12), and longer than its INVITE's usage: it ends when
// that is over and no referral is pending (RFC 5057).
type dialog struct {
	stack     *Stack
	id        dialogID
	callID    string // the call's, as the observer knows it
	leg       *Leg
	invite    *invite        // nil: the call is ours
	local     sip.FromHeader // From of our requests
	remote    sip.ToHeader   // To of our requests
	contact   sip.Uri        // ours
	secure    bool           // by SIPS: nothing of it goes by another way than TLS
	inbox     inbox
	referrals *referrals

	ownsCallID bool // we made the Call-ID: the call is one of ours

	// turn lets one request of ours at a time take its number and go out, so that they arrive in order.
	turn chan struct{}
	// lost says that the peer has no such dialog any more: nothing needs to be sent in it.
	lost atomic.Bool
	// spare says that another dialog of the same INVITE of ours is the call, or none is yet: the sound is not this one's.
	spare atomic.Bool

	mu       sync.Mutex
	routes   []sip.Uri // the route set, in order
	path     path
	seq      uint32  // of our newest request
	saved    uint32  // seq when the dialog was told to the observer
	target   sip.Uri // remote target
	flow     flow    // where the peer was heard last
	acks     *ackWait
	ours     bool         // an INVITE of ours is under way
	accepted *sip.Request // our newest INVITE that got a 2xx: that may come again
	updates  bool         // the peer takes UPDATE
	using    bool         // the INVITE's usage is up
	gone     bool
	before   uint32 // highest CSeq that another process may have used; 0: there was none
}

// newDialog makes the dialog that an INVITE opens (RFC 3261 section 12.1.1).
func newDialog(s *Stack, req *sip.Request, on *listener, callID string) *dialog {
	from, to := req.From(), req.To()
	d := &dialog{
		stack: s, id: dialogOf(req), callID: callID,
		local:   sip.FromHeader{DisplayName: to.DisplayName, Address: *to.Address.Clone()},
		remote:  sip.ToHeader{DisplayName: from.DisplayName, Address: *from.Address.Clone()},
		contact: s.contact(on, req.Recipient.User),
		path:    pathOf(req),
		secure:  isSecure(req.Recipient),
		inbox:   inbox{last: req.CSeq().SeqNo},
		turn:    make(chan struct{}, 1),
		flow:    flow{on: on, source: sourceOf(req)},
		using:   true,
	}
	d.local.Params.Add("tag", d.id.local)
	if d.id.remote != "" { // RFC 2543 knew none
		d.remote.Params.Add("tag", d.id.remote)
	}
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *rr.Address.Clone())
		}
	}
	d.target = remoteTarget(req, d.remote.Address.User)
	d.learn(req)
	if secureContact(req) {
		d.contact = s.secured(d.contact, on)
	}
	d.referrals = newReferrals(referEnv{
		send: d.send, observer: s.observer, callID: callID, notifyTimeout: s.cfg.NotifyTimeout, answerTimeout: s.cfg.TransactionTimeout,
		credentials: len(s.cfg.Credentials) > 0,
		log:         s.log, spawn: s.spawn, lost: d.lostByRefer, release: d.retire,
	})
	return d
}

// log returns the logger of the call's lines. It is made for each of them: there are few, and many calls.
func (d *dialog) log() *zap.Logger { return d.stack.log.WithLazy(zap.String("call_id", d.callID)) }

// remoteTarget is the Contact of a request. Where there is none the peer is asked where it sent from.
func remoteTarget(req *sip.Request, user string) sip.Uri {
	if c := req.Contact(); c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		return requestURI(c.Address)
	}
	source := sourceOf(req)
	return sip.Uri{Scheme: "sip", User: user, Host: source.Addr().String(), Port: int(source.Port())}
}

// localURI is our own URI of the call: that of the INVITE's To.
func (d *dialog) localURI() string { return d.local.Address.String() }

// learn notes what a message of the peer says that it takes.
func (d *dialog) learn(msg sip.Message) {
	if updates, known := allows(msg, sip.UPDATE); known {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.updates = updates
	}
}

// takesUpdates reports whether the peer takes UPDATE.
func (d *dialog) takesUpdates() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.updates
}

// noUpdates notes that it does not, whatever it has said.
func (d *dialog) noUpdates() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.updates = false
}

// refresh takes the remote target of a request whose answer is a 2xx (RFC 3261 section 12.2.2).
func (d *dialog) refresh(req *sip.Request) {
	if c := req.Contact(); c == nil {
		return
	}
	d.retarget(remoteTarget(req, d.remote.Address.User))
}

// refreshed takes the remote target of a 2xx to a request of ours that refreshes it (RFC 3261 section 12.2.1.2).
func (d *dialog) refreshed(res *sip.Response) {
	if c := res.Contact(); c != nil && !c.Address.Wildcard && c.Address.Host != "" {
		d.retarget(requestURI(c.Address))
	}
}

func (d *dialog) retarget(target sip.Uri) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = target
}

// heard notes where a request of the peer came from.
func (d *dialog) heard(f flow) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flow = f
}

// usageOver says that the INVITE's usage is over.
func (d *dialog) usageOver() {
	d.mu.Lock()
	d.using = false
	d.mu.Unlock()
	d.retire()
}

// retire ends the dialog, unless something still uses it. It is remembered a while: what comes late is told as the call's.
func (d *dialog) retire() {
	pending := d.referrals.pending()
	d.mu.Lock()
	retired := !d.using && !pending && !d.gone
	if retired {
		d.gone = true
	}
	d.mu.Unlock()
	if !retired {
		return
	}
	d.stack.retired.put(d)
	if !d.spare.Load() {
		d.stack.tap.ended(d.id.callID, d.callID)
	}
}

// isGone reports whether the dialog has ended.
func (d *dialog) isGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gone
}

// lostByRefer ends the call whose peer answered 408 or 481 to a REFER (RFC 5057 section 5.1).
func (d *dialog) lostByRefer(code int) {
	d.leg.end(lostBy(string(sip.REFER), code, ""))
}
