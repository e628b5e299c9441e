package sipstack

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// ErrNotRestored is how the leg of a call ends with which this process cannot go on. What it wraps says why.
var ErrNotRestored = errors.New("the node was restarted")

// Why a call cannot be gone on with.
var (
	errTransactionGone = errors.New("the call was not answered, and the connection that its INVITE came on is gone")
	errSoundGone       = errors.New("no RTP port is left for the call")
	errKeysGone        = errors.New("its sound was protected, and nobody else has the keys and counts of that")
)

// revival is a call of another process on its way back.
type revival struct {
	stack     *Stack
	admission Admission
	saved     Saved
	history   *history
	snapshot  *snapshot     // nil: there is none
	leg       *Leg          // nil: its INVITE is yet to be taken up again
	foreign   bool          // it was another node's, at other addresses
	moved     bool          // its sound, or the node, has another address than the peer was told
	unfit     error         // why its dialog is restored to be ended
	returned  bool          // its INVITE was; guarded by the stack's lock
	taken     chan struct{} // closed when that was taken up
}

// Restore takes up a call that another process had. It is called between Bind and Start; adm serves the call once the
// stack has started, as if it had been let in: with a leg that goes on, or that has ended, if need be with
// [ErrNotRestored].
//
//   - A dialog is restored with all that it had, and its CSeq is ahead. Its sound has the port that it had, or another one,
//     which a re-INVITE tells. A session timer runs on, and the peer is soon asked whether it is still there.
//   - An INVITE over UDP that had no final response, or no ACK of its 200, is handled once more, under the same tag: its
//     transaction is the same for the caller, who has been waiting. Over a stream its transaction went with the connection.
//   - A pending referral goes on, see [Leg.Referral].
//   - What the messages tell of the end of the call counts.
func (s *Stack) Restore(saved Saved, adm Admission) {
	r := &revival{stack: s, admission: adm, saved: saved, taken: make(chan struct{})}
	if err := r.read(); err != nil {
		s.log.Error("a call cannot be restored", zap.String("call_id", saved.CallID), zap.Error(err))
		r.dead(err, nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revivals = append(s.revivals, r)
}

// TakeUp is [Stack.Restore] for a call of a node that is gone, while this one runs. Its peer is told of this node's
// Contact by a re-INVITE. An INVITE that had no final response went with its node, and so did the answer to a REFER.
func (s *Stack) TakeUp(saved Saved, adm Admission) {
	r := &revival{stack: s, admission: adm, saved: saved, foreign: true, taken: make(chan struct{})}
	if err := r.read(); err != nil {
		s.log.Error("a call cannot be taken up", zap.String("call_id", saved.CallID), zap.Error(err))
		r.dead(err, nil)
	}
	r.begin(false)
}

// read finds out what there is to go on with.
func (r *revival) read() (err error) {
	s := r.stack
	tag := ""
	if r.saved.Snapshot != nil {
		snap, err := readSnapshot(r.saved.Snapshot)
		if err != nil {
			return err
		}
		r.snapshot, tag = &snap, snap.LocalTag
	}
	if r.history, err = s.readHistory(r.saved, tag); err != nil {
		return err
	}
	h := r.history
	s.tap.bind(h.id.callID, r.saved.CallID)
	udp := h.arrived.Transport == "udp" && !r.foreign // so that its INVITE can be handled once more
	switch at, over := r.ended(); {
	case over != nil && h.refused != 0 && udp: // which may not have gone out
		return errors.Join(r.restoreOver(over, at), r.again())
	case over != nil:
		return r.restoreOver(over, at)
	case h.ack == nil && udp:
		return r.again()
	case r.snapshot != nil && r.snapshot.Answered:
		return r.restoreUp()
	}
	return errTransactionGone
}

// ended returns why the call is over by what its messages tell; nil: it is not.
func (r *revival) ended() (at time.Time, over error) {
	h := r.history
	switch {
	case h.bye != nil:
		return h.bye.Time, ErrRemoteHangup
	case h.hungUp, h.refused != 0 && h.refused != sip.StatusRequestTerminated:
		return h.endedTime, ErrLocalHangup
	case h.refused != 0:
		return h.endedTime, ErrCanceled
	}
	return at, nil // also where the call is over: the peer may not have learned it
}

// restoreUp restores an answered call.
func (r *revival) restoreUp() error {
	d, l, err := r.dialog()
	if err != nil {
		return err
	}
	close(l.confirmed)
	close(l.handled)
	l.answered = true
	on := d.flow.on
	var moved bool
	l.session, moved, err = r.stack.restoreSession(r.saved.CallID, r.snapshot.Session, on)
	r.moved = r.moved || moved
	if err != nil {
		r.unfit = fmt.Errorf("%w: %w", ErrNotRestored, err)
		l.session = &session{}
	} else {
		l.session.media.OnDigit(l.digit)
	}
	if err := r.enter(); err != nil {
		return err
	}
	r.reopen()
	return nil
}

// restoreOver restores a call that has ended, of which a referral may be pending.
func (r *revival) restoreOver(over error, at time.Time) error {
	d, l, err := r.dialog()
	if err != nil {
		return err
	}
	close(l.handled)
	l.err, l.endTime = over, at
	close(l.ended)
	if errors.Is(over, ErrLocalHangup) {
		l.hanging = true
		close(l.hungUp)
	}
	l.session = &session{}
	d.using = false
	return r.enter()
}

// dialog makes the dialog, and its leg, as they were.
func (r *revival) dialog() (*dialog, *Leg, error) {
	s, h := r.stack, r.history
	on := s.listenerAt(h.arrived.Transport, h.arrived.Local)
	if on == nil {
		return nil, nil, fmt.Errorf("no listener for %s any more", h.arrived.Transport)
	}
	d := newDialog(s, h.invite, on, r.saved.CallID)
	if r.snapshot != nil {
		if err := d.resume(*r.snapshot); err != nil {
			return nil, nil, err
		}
	}
	if r.foreign {
		d.contact = s.contact(on, h.invite.Recipient.User)
		if secureContact(h.invite) {
			d.contact = s.secured(d.contact, on)
		}
		r.moved = true
	}
	d.seq = max(d.seq, h.sent) + skippedNumbers
	d.before = d.seq
	d.saved = d.seq - skippedNumbers // so that the first request has the new number saved
	d.catchUp(h)
	d.invite = s.inviteBefore(h)
	l := &Leg{
		stack: s, dialog: d, inv: readInvitation(h.invite, s.cfg.PSTNTrunks), reliable: newReliable(h.invite),
		orders: make(chan order), handled: make(chan struct{}),
		confirmed: make(chan struct{}), ended: make(chan struct{}), hungUp: make(chan struct{}),
	}
	l.inv.Time = h.arrived.Time
	if r.snapshot != nil {
		l.timer.restore(r.snapshot.Timer)
	}
	d.leg, r.leg = l, l
	return d, l, nil
}

// catchUp takes what the peer has sent since the snapshot. Two of its requests count although they were not answered, as
// far as is known: a BYE and a NOTIFY. When they are repeated they get the answer that they would have got.
func (d *dialog) catchUp(h *history) {
	past := map[uint32]answer{}
	for _, n := range h.told {
		if n.notify != nil {
			past[n.CSeq] = answer{method: string(sip.NOTIFY), code: sip.StatusOK, reason: "OK"}
		}
	}
	if h.bye != nil {
		past[h.bye.CSeq] = answer{method: string(sip.BYE), code: sip.StatusOK, reason: "OK"}
	}
	maps.Copy(past, h.answers)
	d.inbox.restored(past)
	if h.last == nil {
		return
	}
	if on := d.stack.listenerAt(h.lastSeen.Transport, h.lastSeen.Local); on != nil {
		d.heard(flow{on, sourceOf(h.last)})
	}
}

// enter makes the dialog known, so that what comes finds it.
func (r *revival) enter() error {
	d := r.leg.dialog
	r.leg.referral = d.referrals.restore(r.saved.Refers, r.history)
	if r.stack.claim(d.invite) != nil || !r.stack.remember(d) {
		return ErrClosed
	}
	return nil
}

// dead gives the call a leg that has ended. Copies of its INVITE, which is i if it came once more, are known for a while.
func (r *revival) dead(why error, i *invite) {
	s := r.stack
	d := &dialog{
		stack: s, callID: r.saved.CallID,
		turn: make(chan struct{}, 1), invite: i,
	}
	d.lost.Store(true)
	d.referrals = newReferrals(referEnv{observer: s.observer, callID: r.saved.CallID, spawn: s.spawn, log: s.log})
	l := &Leg{
		stack: s, dialog: d, session: &session{},
		err: fmt.Errorf("%w: %w", ErrNotRestored, why), endTime: time.Now(), hanging: true,
		orders: make(chan order), handled: make(chan struct{}),
		confirmed: make(chan struct{}), ended: make(chan struct{}), hungUp: make(chan struct{}),
	}
	close(l.handled)
	close(l.ended)
	close(l.hungUp)
	d.leg, r.leg = l, l
	known := &history{}
	if h := r.history; h != nil && h.invite != nil {
		known, d.id = h, h.id
		if i == nil {
			d.invite = s.inviteBefore(h)
			s.claim(d.invite)
		}
		s.remember(d)
	}
	if l.referral = d.referrals.restore(r.saved.Refers, known); l.referral != nil {
		l.referral.Interrupt()
	}
}

// hangUp ends what is up of a call that is over.
func (r *revival) hangUp() {
	l := r.leg
	if l.isAnswered() {
		l.stack.spawn(func() { _ = l.Bye(l.stack.living) }) // the call's last words do not wait for it
	}
}

// begin goes on with the call, when the stack has started; returns: its leg is that of an INVITE which is to be taken up.
func (r *revival) begin(returns bool) {
	if !r.stack.spawn(func() {
		if returns {
			r.untilTaken()
		}
		r.serve()
	}) {
		r.admission.Abandon()
	}
}

func (r *revival) serve() {
	s, l := r.stack, r.leg
	if l.Err() == nil {
		source := l.inv.Source.Addr()
		s.door.sources.arrived(source, time.Now())
		defer func() { s.door.sources.left(source, time.Now()) }()
		if r.saved.Over {
			r.hangUp()
		} else {
			r.revive()
		}
	}
	if l.Err() != nil {
		l.dialog.retire()
	}
	if l.referral != nil {
		hdrs, _ := referHeaders(l.referral.state.Target, l.dialog.localURI()) // those that it had
		l.referral.resume(hdrs, r.resend)
	}
	l.served(r.admission)
}
