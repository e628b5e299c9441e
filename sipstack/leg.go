package sipstack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Leg is a call as SIP sees it: the INVITE's usage of its dialog. It came in ([Stack.OnInvite]) or is one of ours
// ([Stack.Invite]). Its methods may be called by several
// goroutines at once.
type Leg struct {
	stack   *Stack
	dialog  *dialog
	inv     Invitation
	session *session

	reliable *reliable    // provisional responses
	timer    sessionTimer // of the session

	orders    chan order    // to the INVITE's goroutine
	handled   chan struct{} // closed when that one has ended
	confirmed chan struct{} // closed when the ACK is in
	ended     chan struct{} // closed when the usage is over
	hungUp    chan struct{} // closed when our BYE has been answered, or never will be

	mu       sync.Mutex
	answered bool      // a 200 was sent
	hanging  bool      // a BYE is to be sent, or was
	referral *Referral // of a call that was restored, the newest; set before it is served
	err      error
	endTime  time.Time
	onEnd    func(error)
	onDigit  func(media.Digit)
	probing  *time.Timer // the next probe; nil: there is none

	missed int // probes without an answer in a row; the probe's own
}

// order is what the INVITE's goroutine is asked to do.
type order struct {
	code int
	done chan error // room for one
}

// newLeg makes the leg of an INVITE that was let in. An error is a [StatusError]: the offer is refused, or there is no
// port.
func (s *Stack) newLeg(i *invite, inv Invitation, callID string) (*Leg, error) {
	return s.legOf(i, inv, callID, nil)
}

// legOf makes the leg of an INVITE, or makes that again which another process had; nil: there was none.
func (s *Stack) legOf(i *invite, inv Invitation, callID string, had *snapshot) (*Leg, error) {
	on := s.listenerOf(i.tx)
	if on == nil {
		return nil, ErrClosed
	}
	sound, err := s.soundOf(i.req, on, callID, had)
	if err != nil {
		return nil, err
	}
	d := newDialog(s, i.req, on, callID)
	l := &Leg{
		stack: s, dialog: d, inv: inv, session: sound, reliable: newReliable(i.req),
		orders: make(chan order), handled: make(chan struct{}),
		confirmed: make(chan struct{}), ended: make(chan struct{}), hungUp: make(chan struct{}),
	}
	d.leg, d.invite = l, i
	if had != nil {
		l.timer.restore(had.Timer)
		l.answered = had.Answered
		if err := d.resume(*had); err != nil {
			l.closeMedia()
			return nil, err
		}
	}
	if sound.media != nil {
		sound.media.OnDigit(l.digit)
	}
	if !s.remember(d) {
		l.closeMedia()
		return nil, ErrClosed
	}
	return l, nil
}

// Invitation returns what the INVITE said.
func (l *Leg) Invitation() Invitation { return l.inv }

// Media returns the leg's sound. It is closed when the leg ends. nil: the call was restored, and there was none for it.
func (l *Leg) Media() *media.Session { return l.session.media }

// OnEnd has f called, once, when the leg ends for a reason that is not its own Bye or Reject: [ErrRemoteHangup],
// [ErrCanceled], [ErrNoAck], [ErrNoPrack], [ErrNoMedia], [ErrDialogLost] or [ErrClosed], or an error that wraps one. When it has ended
// already, f is called at once. f must not block. A later f takes the place of one that was not called yet.
func (l *Leg) OnEnd(f func(error)) {
	l.mu.Lock()
	err := l.err
	if err == nil {
		l.onEnd = f
	}
	l.mu.Unlock()
	if err != nil && !errors.Is(err, ErrLocalHangup) {
		f(err)
	}
}

// OnDigit has f called for each key that the other side presses, once, when it begins. f must not block, and may be
// called by several goroutines at once. nil: nobody is told.
func (l *Leg) OnDigit(f func(media.Digit)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onDigit = f
}

// digit tells of a key.
func (l *Leg) digit(d media.Digit) {
	l.stack.observer.Digit(l.dialog.callID, d)
	l.mu.Lock()
	told := l.onDigit
	l.mu.Unlock()
	if told != nil {
		told(d)
	}
}

// EndTime returns when the leg ended; zero while it is up.
func (l *Leg) EndTime() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endTime
}

// Err returns why the leg ended, nil while it is up. [ErrLocalHangup] stands for its own Bye or Reject.
func (l *Leg) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// end ends the INVITE's usage; false: it was over. A usage that we end ourselves still holds the dialog until the BYE
// has been answered.
func (l *Leg) end(err error) bool {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return false
	}
	l.err, l.endTime = err, time.Now()
	told := l.onEnd
	if l.probing != nil {
		l.probing.Stop()
	}
	close(l.ended)
	l.mu.Unlock()
	if told != nil && !errors.Is(err, ErrLocalHangup) {
		told(err)
	}
	// After the telling: who plays learns first why there is no sound any more.
	if !l.stack.spawn(l.closeMedia) {
		l.closeMedia()
	}
	return true
}

func (l *Leg) closeMedia() {
	if l.dialog.spare.Load() || l.session.media == nil {
		return
	}
	if err := l.session.media.Close(); err != nil {
		l.dialog.log().Debug("media not closed", zap.Error(err))
	}
}

// over ends the leg, and its usage of the dialog.
func (l *Leg) over(err error) {
	if l.end(err) {
		l.dialog.usageOver()
	}
}

func (l *Leg) isAnswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered
}

func (l *Leg) isConfirmed() bool {
	select {
	case <-l.confirmed:
		return true
	default:
		return false
	}
}

// served runs the call, and hangs up what is left of it.
func (l *Leg) served(adm Admission) {
	defer func() {
		if v := recover(); v != nil {
			l.stack.observer.Panic(l.dialog.callID, v)
		}
		if l.Err() != nil {
			return
		}
		l.dialog.log().Debug("the call was left; hanging up")
		// Either fails only when the call is over, or the stack.
		if l.isAnswered() {
			_ = l.Bye(l.stack.living)
			return
		}
		_ = l.Reject(l.stack.living, sip.StatusInternalServerError)
	}()
	adm.Serve(l)
}

// Ring tells the caller that it rings (180), now and once a minute until there is a final response (RFC 3261 section
// 13.3.1.1); reliably if the caller understands that (RFC 3262). When no PRACK comes within the transaction timeout the
// call is refused with 500 and the leg ends with [ErrNoPrack]. It does nothing when that was told or the call is answered.
// When the leg has ended it returns why.
func (l *Leg) Ring(ctx context.Context) error {
	if l.isAnswered() && l.Err() == nil {
		return nil
	}
	return l.order(ctx, sip.StatusRinging)
}

// Answer answers the call (200), unless that was done, and returns when the ACK is in and the sound runs. The 200 waits
// for the PRACK of a 180 that held our offer, and is repeated for the transaction timeout; then a BYE is sent, and the
// error is [ErrNoAck]. Other errors are [ErrNoMedia], and the reason for which the leg ended before. When ctx ends first
// its cause is returned; the call is answered all the same if the 200 was sent, and Bye is there to end it. A caller whose
// BYE overtakes the ACK has had the 200, so that the call was answered: there is no error, and it is over.
func (l *Leg) Answer(ctx context.Context) error {
	if !l.isAnswered() {
		if err := l.order(ctx, sip.StatusOK); err != nil {
			return err
		}
	}
	select {
	case <-l.confirmed:
	case <-l.ended:
	case <-ctx.Done():
	}
	if l.isConfirmed() {
		return nil
	}
	switch err := l.Err(); {
	case errors.Is(err, ErrRemoteHangup):
		return nil
	case err != nil:
		return err
	}
	return context.Cause(ctx)
}

// Reject ends a call that is not answered with a final response, 300..699; any other code stands for 500. It does
// nothing when the call is over.
func (l *Leg) Reject(ctx context.Context, code int) error {
	if code < 300 || code > 699 {
		code = sip.StatusInternalServerError
	}
	switch {
	case l.Err() != nil:
		return nil
	case l.isAnswered():
		return errAnswered
	}
	err := l.order(ctx, code)
	if l.Err() != nil {
		return nil
	}
	return err
}

// order has the INVITE's goroutine send a response.
func (l *Leg) order(ctx context.Context, code int) error {
	o := order{code: code, done: make(chan error, 1)}
	select {
	case l.orders <- o:
		if code >= 300 || code == sip.StatusRinging {
			return <-o.done // at once
		}
		select {
		case err := <-o.done: // at once, unless it waits for a PRACK: it does not wait for the ACK
			return err
		case <-ctx.Done():
		}
		select {
		case err := <-o.done: // an answer that went out counts
			return err
		default:
			return context.Cause(ctx)
		}
	case <-l.ended:
		return l.Err()
	case <-l.handled:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch {
	case l.Err() != nil:
		return l.Err()
	case code < 300:
		return nil // answered meanwhile
	}
	return errAnswered
}

// Refer sends a REFER for target, a URI, in the dialog of an answered call, and returns when it is on its way. An error
// means that none was sent. See [Referral].
func (l *Leg) Refer(ctx context.Context, target string) (*Referral, error) {
	if !l.isAnswered() {
		return nil, errNotAnswered
	}
	select {
	case <-l.confirmed:
	case <-l.ended:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := l.Err(); err != nil {
		return nil, err
	}
	return l.dialog.referrals.start(target, l.dialog.localURI())
}

// lostBy is the reason of a leg whose dialog the peer does not know any more.
func lostBy(method string, code int, reason string) error {
	return fmt.Errorf("%w: %w", ErrDialogLost, &StatusError{Method: method, Code: code, Reason: reason})
}

// soundOf opens the sound of an INVITE. What another process had offered or answered stays; if its port is taken it is
// another. Where there can be none, and the call has been answered, it gets that answer once more, and is ended then.
func (s *Stack) soundOf(req *sip.Request, on *listener, callID string, had *snapshot) (*session, error) {
	if had == nil {
		return s.newSession(req, on, callID)
	}
	sound, moved, err := s.restoreSession(callID, had.Session, on)
	switch {
	case err != nil && had.Answered:
		return &session{body: []byte(had.Session.Body), silent: err}, nil
	case errors.Is(err, errKeysGone): // none was answered, and none will be missed
		return s.newSession(req, on, callID)
	case err != nil:
		return nil, &StatusError{Method: "INVITE", Code: sip.StatusServiceUnavailable, RetryAfter: busyRetryAfter}
	}
	if moved && sound.propose(req) != nil {
		return nil, errors.Join(&StatusError{Method: "INVITE", Code: sip.StatusNotAcceptableHere}, sound.media.Close())
	}
	if !had.Answered {
		sound.told() // by what it will be answered
	}
	return sound, nil
}
