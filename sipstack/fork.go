package sipstack

import (
	"cmp"
	"fmt"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// fork is one of the dialogs that an INVITE of ours has opened: each of those who answer has a tag of its own (RFC 3261
// section 12.1). Early ones are there for the requests of the other side; the first that gets a 2xx is the call.
type fork struct {
	leg      *Leg
	accepted bool // a 2xx has come
	acked    bool // and its ACK has gone out

	// Of the goroutine that waits for the INVITE's final response.
	reliable  acknowledged
	described *sip.Response // the first reliable response with a description: the answer to our offer
}

// maxForks bounds the dialogs of one INVITE.
const maxForks = 32

// progress takes a provisional response. A reliable one is acknowledged, and one that came before is not taken again (RFC
// 3262 section 4).
func (o *outgoing) progress(invite sentInvite, res *sip.Response) {
	if res.StatusCode == sip.StatusTrying {
		return
	}
	f := o.forkOf(invite, res)
	if _, reliable := readRSeq(res); reliable && f != nil && !o.pracked(f, res) {
		return
	}
	if o.call.Progress != nil && !o.isCanceled() {
		o.call.Progress(res.StatusCode)
	}
}

// pracked acknowledges a reliable provisional response; false: it was taken before, or one before it is missing. Whoever
// gets no PRACK repeats the response, and then refuses the INVITE, so that nothing is to be done about a failure here.
func (o *outgoing) pracked(f *fork, res *sip.Response) bool {
	if !f.reliable.next(res) {
		return false
	}
	if f.described == nil && len(res.Body()) > 0 {
		f.described = res
	}
	return o.stack.spawn(func() {
		if err := f.leg.dialog.acknowledge1xx(o.stack.living, res); err != nil {
			f.leg.dialog.log().Debug("PRACK failed", zap.Error(err))
		}
	})
}

// forkOf returns the dialog of a response, and opens it where it is new; nil: there is none.
func (o *outgoing) forkOf(invite sentInvite, res *sip.Response) *fork {
	tag := tagOf(res.To().Params)
	if tag == "" && !res.IsSuccess() {
		return nil // RFC 2543 knew answers without a tag
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.forks[tag]; f != nil {
		return f
	}
	if len(o.forks) >= maxForks {
		return nil
	}
	leg := o.newLeg(invite, res)
	if !o.stack.remember(leg.dialog) {
		return nil
	}
	f := &fork{leg: leg}
	o.forks[tag] = f
	return f
}

// newLeg makes the leg of a fork. It is not answered yet.
func (o *outgoing) newLeg(invite sentInvite, res *sip.Response) *Leg {
	d := newOutboundDialog(o.stack, invite, res, o.call.CallID)
	l := &Leg{
		stack: o.stack, dialog: d, session: o.sound.fork(), reliable: newReliable(invite.req),
		orders: make(chan order), handled: make(chan struct{}),
		confirmed: make(chan struct{}), ended: make(chan struct{}), hungUp: make(chan struct{}),
	}
	close(l.handled) // there is no INVITE to be answered
	d.leg = l
	return l
}

// early returns the forks that have got no 2xx.
func (o *outgoing) early() []*fork {
	o.mu.Lock()
	defer o.mu.Unlock()
	var early []*fork
	for _, f := range o.forks {
		if !f.accepted {
			early = append(early, f)
		}
	}
	return early
}

// accept notes a 2xx; false: it had one, or is over.
func (o *outgoing) accept(f *fork) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f.accepted {
		return false
	}
	f.accepted = true
	return true
}

// answered takes the first 2xx. The call is its fork's, unless nobody waits for it any more.
func (o *outgoing) answered(invite sentInvite, res *sip.Response) {
	f := o.forkOf(invite, res)
	if f == nil || !o.accept(f) {
		o.settle(nil, ErrClosed) // there was room for it as long as the stack is open: no other has come before it
		return
	}
	o.await("")
	l := f.leg
	l.session.media.OnDigit(l.digit)
	l.dialog.spare.Store(o.isCanceled())
	bad := l.session.accept(cmp.Or(f.described, res)) // RFC 3262 section 5: what comes after an answer is none
	if err := o.acknowledge(f, invite, res); err != nil {
		o.settle(nil, err)
		l.hangUp(ErrLocalHangup)
		return
	}
	if bad != nil {
		l.dialog.log().Debug("no usable answer to the INVITE", zap.Error(bad))
		o.settle(nil, fmt.Errorf("%w: %w", ErrNoMedia, bad))
		l.hangUp(ErrNoMedia)
		return
	}
	if !o.isCanceled() {
		l.session.start()
	}
	if !o.settle(l, nil) { // the caller was faster than the answer, but the answer than the CANCEL
		l.hangUp(ErrLocalHangup)
		return
	}
	l.keepAlive()
}

// further takes a 2xx that is not the first: of another fork, which gets its ACK and a BYE, or one that came again, and
// gets its ACK again (RFC 3261 section 13.2.2.4).
func (o *outgoing) further(res *sip.Response) {
	invite, ok := o.inviteOf(res)
	if !ok {
		return
	}
	f := o.forkOf(invite, res)
	switch {
	case f == nil:
	case o.accept(f):
		if err := o.acknowledge(f, invite, res); err != nil {
			f.leg.dialog.log().Debug("ACK not sent", zap.Error(err))
		}
		f.leg.hangUp(ErrLocalHangup)
	case o.isAcked(f):
		f.leg.dialog.confirmInvite(invite.req)
	}
}

// inviteOf returns the INVITE that a further 2xx answers; false: none of ours, or its first has still to be looked at, and
// this one will come again.
func (o *outgoing) inviteOf(res *sip.Response) (sentInvite, bool) {
	branch := branchOf(res)
	o.mu.Lock()
	defer o.mu.Unlock()
	invite, ok := o.sent[branch]
	return invite, ok && branch != o.branch
}

// acknowledge sends the ACK of a fork's 2xx. The leg is answered before, since the peer goes on as soon as it has it.
func (o *outgoing) acknowledge(f *fork, invite sentInvite, res *sip.Response) error {
	l := f.leg
	l.dialog.established(res)
	l.mu.Lock()
	l.answered = true
	l.mu.Unlock()
	err := l.dialog.acknowledge(invite.req)
	close(l.confirmed)
	o.mu.Lock()
	defer o.mu.Unlock()
	f.acked = err == nil
	return err
}

func (o *outgoing) isAcked(f *fork) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f.acked
}
