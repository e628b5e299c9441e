package sipstack

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// defaultNotifyTimeout is how long an accepted REFER waits for its final NOTIFY.
const defaultNotifyTimeout = 30 * time.Second

// errReferPending is returned for a REFER on a dialog on which one is pending.
var errReferPending = errors.New("a REFER is pending on this call")

// referEnv is what referrals need of their dialog. All functions are called under no lock.
type referEnv struct {
	// send sends a request in the dialog, see dialog.send. Its context ends when the outcome is known otherwise.
	send func(ctx context.Context, method sip.RequestMethod, hdrs []sip.Header, body []byte, sent func(cseq uint32)) (*sip.Response, error)
	// observer is told of each change in order, one at a time.
	observer Observer
	callID   string
	// notifyTimeout is the time from the acceptance to the final NOTIFY; 0: 30 s.
	notifyTimeout time.Duration
	// answerTimeout is the time from the sending of a REFER to its final response.
	answerTimeout time.Duration
	credentials   bool // there are some for who asks for them
	log           *zap.Logger
	// spawn runs what a referral does in a goroutine, which ends with the referral; false: the stack is closed.
	spawn func(func()) bool
	// lost, if any, is called when the peer answered a REFER with 408 or 481: the dialog is over (RFC 5057 section 5.1).
	// It is called after Done, so that whoever waits for both sees the outcome of the REFER.
	lost func(code int)
	// release, if any, is called when a referral has ended and none is pending any more.
	release func()
}

// referrals are the REFERs of one dialog: the one that is pending, and what has to be known of those before it. NOTIFYs
// find theirs by the CSeq of the REFER, so that a late one of an earlier REFER never counts for the next.
type referrals struct {
	env referEnv

	mu        sync.Mutex // a leaf: no other lock, no I/O and no callback under it
	current   *Referral  // pending; nil: none
	past      map[uint32]struct{}
	closed    bool
	due       []func()  // callbacks, in the order in which their reasons arose
	telling   bool      // one goroutine is calling them
	told      sync.Cond // telling became false
	answering int       // NOTIFYs whose response isn't out yet: callbacks wait, so that a BYE never overtakes it
}

func newReferrals(env referEnv) *referrals {
	if env.notifyTimeout <= 0 {
		env.notifyTimeout = defaultNotifyTimeout
	}
	if env.log == nil {
		env.log = zap.NewNop()
	}
	r := &referrals{env: env, past: map[uint32]struct{}{}}
	r.told.L = &r.mu
	return r
}

// start sends a REFER for target, a URI that goes into Refer-To as it is. It returns when the first attempt goes out; an
// error means that nothing was sent.
func (r *referrals) start(target, referredBy string) (*Referral, error) {
	hdrs, err := referHeaders(target, referredBy)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Referral{
		set: r, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), sent: make(chan struct{}), unsent: make(chan error, 1),
		state: ReferState{Target: target, Status: ReferPending},
	}
	if err := r.add(f); err != nil {
		cancel()
		return nil, err
	}
	if !r.env.spawn(func() { f.run(hdrs) }) {
		f.answered(0, ErrClosed)
	}
	select {
	case <-f.sent:
		return f, nil
	case err := <-f.unsent:
		return nil, err
	}
}

// add makes f the pending one, before its REFER goes out: the NOTIFY may be faster than the response.
func (r *referrals) add(f *Referral) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return ErrClosed
	case r.current != nil:
		return errReferPending
	}
	r.current = f
	return nil
}

// notify judges a NOTIFY in the dialog and answers it by one call of respond. It never waits for the response to the
// REFER. What follows from the NOTIFY (the observer's news, Done) follows between the return of respond and its own: the
// answer to the NOTIFY goes out before our BYE, and the outcome is known before the peer's BYE, which may come in the
// same breath, is handled.
func (r *referrals) notify(req *sip.Request, respond func(code int, reason string, hdrs ...sip.Header)) {
	answer := r.judge(req)
	defer r.settle()
	if answer.code != sip.StatusOK {
		r.env.log.Debug("NOTIFY refused", zap.String("call_id", r.env.callID), zap.Int("code", answer.code))
	}
	respond(answer.code, answer.reason, answer.hdrs...)
}

// settle has what the answer to a NOTIFY held back told, and returns when that is done, whoever does it.
func (r *referrals) settle() {
	r.mu.Lock()
	r.answering--
	r.mu.Unlock()
	r.flush()
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.telling {
		r.told.Wait()
	}
}

// judge finds the REFER that a NOTIFY belongs to and lets it count there. It leaves one more NOTIFY to be answered.
func (r *referrals) judge(req *sip.Request) notifyAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answering++
	ev, ok := readEvent(req)
	if !ok || !strings.EqualFold(ev.name, eventRefer) {
		return badEvent()
	}
	f, late := r.find(ev)
	if f == nil {
		if late {
			r.due = append(r.due, func() { r.env.observer.LateNotify(r.env.callID) })
		}
		return noSubscription()
	}
	rep, refusal := readReport(req)
	if refusal != nil {
		return *refusal
	}
	f.take(rep)
	return notifyAnswer{code: sip.StatusOK, reason: "OK"}
}

// find returns the pending REFER that an Event names: by its CSeq, or, without an id, the one that is pending (RFC 3515
// section 2.4.6). Late tells that there was such a REFER, and that it is over.
func (r *referrals) find(ev eventHeader) (f *Referral, late bool) {
	if ev.id == "" {
		return r.current, r.current == nil && len(r.past) > 0
	}
	cseq, ok := ev.cseq()
	if !ok {
		return nil, false
	}
	if r.current != nil && r.current.sentAs(cseq) {
		return r.current, false
	}
	_, late = r.past[cseq]
	return nil, late
}

// over notes that f is pending no more. Its caller holds the lock.
func (r *referrals) over(f *Referral) {
	if r.current == f {
		r.current = nil
	}
	for _, cseq := range f.attempts {
		r.past[cseq] = struct{}{}
	}
}

// cseqs are those of the REFERs that are over.
func (r *referrals) cseqs() []uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.past))
}

// pending reports whether the outcome of a REFER is still to come, so that NOTIFYs must find this dialog.
func (r *referrals) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current != nil
}

// interrupt interrupts the pending referral. No other can be started.
func (r *referrals) interrupt() {
	r.mu.Lock()
	r.closed = true
	f := r.current
	r.mu.Unlock()
	if f != nil {
		f.Interrupt()
	}
}

func (r *referrals) releaseIfIdle() {
	if r.env.release != nil && !r.pending() {
		r.env.release()
	}
}

// flush makes the callbacks that are due, in order. When another goroutine is at it already, that one makes them.
func (r *referrals) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.telling {
		return
	}
	r.telling = true
	defer func() {
		r.telling = false
		r.told.Broadcast()
	}()
	for r.answering == 0 && len(r.due) > 0 {
		next := r.due[0]
		r.due = r.due[1:]
		r.unlocked(next)
	}
}

// unlocked calls f without the lock, and holds it again whichever way f ends.
func (r *referrals) unlocked(f func()) {
	r.mu.Unlock()
	defer r.mu.Lock()
	f()
}
