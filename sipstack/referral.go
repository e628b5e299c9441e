package sipstack

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Status of a referral, as [ReferState] tells it.
const (
	ReferPending = "pending"
	ReferSuccess = "success"
	ReferFailure = "failure"
)

// Evidence says how the outcome of a referral is known.
const (
	EvidenceFinalNotify       = "final-notify"       // a NOTIFY reported a final status
	EvidenceRejected          = "rejected"           // the REFER got a 3xx-6xx
	EvidenceNoResponse        = "no-response"        // timer F: the REFER got no final response
	EvidenceTransportError    = "transport-error"    // the REFER could not be sent
	EvidenceSubscriptionEnded = "subscription-ended" // a NOTIFY ended the subscription without a final status
	EvidenceNotifyTimeout     = "notify-timeout"     // no final NOTIFY in the time after the acceptance
	EvidenceAuthFailed        = "auth-failed"        // challenged, and no credentials for it or refused again
	EvidenceInterrupted       = "interrupted"        // we stopped waiting
)

// timerReferNotify is the name under which an [Observer] hears of the clock of a referral.
const timerReferNotify = "refer.notify"

// ReferState is what is known of a referral at one moment. Once Status is not [ReferPending], it never changes again.
type ReferState struct {
	ID     string // within the call: the CSeq of the first REFER, which a digest challenge may make send again
	Target string // the URI in Refer-To

	Sent     time.Time
	Accepted time.Time // when the 2xx came; zero: none came
	Ended    time.Time // zero while pending

	ReferCode  int // status of the REFER; 0: it got no response
	NotifyCode int // final status that a NOTIFY reported; 0: none did
	Progress   int // newest provisional status (1xx) that a NOTIFY reported; 0: none did

	Status     string // ReferPending, ReferSuccess, ReferFailure
	Evidence   string // EvidenceFinalNotify, …; empty while pending
	DialogLost bool   // the peer knows no such dialog any more: it answered 408 or 481 (RFC 5057 section 5.1)
}

// Billable reports whether the peer accepted the REFER: by a 2xx, or, where that got lost, by a NOTIFY of its outcome.
func (s ReferState) Billable() bool {
	return !s.Accepted.IsZero() || s.Evidence == EvidenceFinalNotify
}

// over reports whether the outcome is known.
func (s ReferState) over() bool { return s.Status != ReferPending }

// Referral is a REFER under way: its transaction, the subscription that it makes (RFC 3515 section 2.4.4), and the clock
// of that subscription. It depends neither on the context of the call nor on the INVITE's usage of the dialog (RFC 5057):
// a BYE of either side leaves it pending. What bounds it are timer F, the clock, and Interrupt.
//
//	sending --2xx--> accepted --final NOTIFY, end of the subscription, clock--> over
//	   \--3xx-6xx, no response, transport failure--> over
//
// A NOTIFY that overtakes the REFER's response is held until that is in. Its methods are safe for concurrent use.
type Referral struct {
	set    *referrals // its lock guards the fields below
	done   chan struct{}
	ctx    context.Context    // of the waiting
	cancel context.CancelFunc // ends the waiting
	sent   chan struct{}      // closed when the first attempt goes out
	unsent chan error         // why no attempt went out; room for that one error, so that run never waits for its reader

	state    ReferState
	attempts []uint32 // CSeqs of all REFERs sent for it
	held     *report  // of a NOTIFY that came before the REFER's response
	clock    bool     // running
	request  Message  // the newest REFER, if another process has sent it

	alone      bool // no answer to that can come any more
	challenged bool // it asked for credentials, and no other REFER has followed
}

// Done is closed when the outcome is known and the observer has been told.
func (f *Referral) Done() <-chan struct{} { return f.done }

// Result returns what is known by now. After Done it is the outcome.
func (f *Referral) Result() ReferState {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	return f.state
}

// Interrupt stops waiting: a referral whose outcome isn't known yet fails as [EvidenceInterrupted] with the codes that
// are known so far. Where the REFER's response is still out but a NOTIFY of the outcome is in, that NOTIFY decides.
func (f *Referral) Interrupt() {
	f.set.mu.Lock()
	switch {
	case f.state.over():
	case len(f.attempts) == 0 && f.state.ID == "": // Nothing was sent, so there is nothing to tell: run ends, and start returns why.
		f.set.due = append(f.set.due, f.cancel)
	case f.held != nil && f.held.final():
		f.count(*f.held)
	default:
		f.end(ReferFailure, EvidenceInterrupted)
	}
	f.set.mu.Unlock()
	f.set.flush()
}

// run sends the REFER, and waits for the outcome.
func (f *Referral) run(hdrs []sip.Header) {
	defer f.survive()
	code := 0
	res, err := f.set.env.send(f.ctx, sip.REFER, hdrs, nil, f.attempt)
	if err == nil {
		code = res.StatusCode
	}
	if f.answered(code, err) {
		f.await(f.ctx)
	}
}

// survive is deferred where a referral has its goroutine: a panic ends the referral, and not the process.
func (f *Referral) survive() {
	if v := recover(); v != nil {
		f.set.env.observer.Panic(f.set.env.callID, v)
		f.Interrupt()
	}
}

// await waits for the outcome of a REFER that was accepted.
func (f *Referral) await(ctx context.Context) {
	f.set.mu.Lock()
	accepted := f.state.Accepted
	f.set.mu.Unlock()
	clock := time.NewTimer(f.set.env.notifyTimeout - time.Since(accepted))
	defer clock.Stop()
	select {
	case <-clock.C:
		f.expire()
	case <-ctx.Done():
	}
}

// attempt notes that a REFER with this CSeq is about to go out: the first, or one more with credentials.
func (f *Referral) attempt(cseq uint32) {
	f.set.mu.Lock()
	f.attempts = append(f.attempts, cseq)
	switch {
	case len(f.attempts) > 1:
	case f.state.ID != "": // another process was about to send it
		f.state.Sent = time.Now()
		f.tell()
	default:
		f.state.ID = strconv.FormatUint(uint64(cseq), 10)
		f.state.Sent = time.Now()
		f.tell()
		close(f.sent)
	}
	f.set.mu.Unlock()
	f.set.flush()
}

// answered takes the end of the REFER's transaction, and reports whether the clock has to run now.
func (f *Referral) answered(code int, err error) (clock bool) {
	f.set.mu.Lock()
	switch {
	case f.state.over():
	case len(f.attempts) == 0 && f.state.ID == "":
		f.abandon(err)
	case err != nil:
		f.unanswered(err)
	case code >= 200 && code < 300:
		f.accept(code, time.Now())
	default:
		f.reject(code)
	}
	clock = f.clock
	f.set.mu.Unlock()
	f.set.flush()
	return clock
}

// expire takes the end of the clock. A NOTIFY that was looked at before wins.
func (f *Referral) expire() {
	f.set.mu.Lock()
	if !f.state.over() {
		f.stopClock("fired")
		f.end(ReferFailure, EvidenceNotifyTimeout)
	}
	f.set.mu.Unlock()
	f.set.flush()
}

// The methods below change the state. Their caller holds the lock and flushes afterwards.

// abandon takes back a REFER that never went out.
func (f *Referral) abandon(err error) {
	if err == nil {
		err = errors.New("no REFER was sent")
	}
	f.unsent <- err
	f.set.over(f)
	f.set.due = append(f.set.due, f.cancel, f.set.releaseIfIdle)
}

func (f *Referral) accept(code int, at time.Time) {
	f.state.ReferCode, f.state.Accepted = code, at
	f.tell()
	if held := f.held; held != nil {
		f.held = nil
		f.count(*held)
	}
	if f.state.over() {
		return
	}
	f.clock = true
	f.set.due = append(f.set.due, func() {
		f.set.env.observer.Timer(f.set.env.callID, timerReferNotify, "started", f.set.env.notifyTimeout)
	})
}

func (f *Referral) reject(code int) {
	f.state.ReferCode = code
	switch code {
	case sip.StatusUnauthorized, sip.StatusProxyAuthRequired:
		f.end(ReferFailure, EvidenceAuthFailed)
	case sip.StatusRequestTimeout, sip.StatusCallTransactionDoesNotExists: // RFC 5057 section 5.1: these destroy the dialog. A missing response doesn't: the next request tells.
		f.state.DialogLost = true
		f.end(ReferFailure, EvidenceRejected)
	default:
		f.end(ReferFailure, EvidenceRejected)
	}
}

func (f *Referral) unanswered(err error) {
	switch {
	case f.held != nil && f.held.final():
		f.count(*f.held) // who reports the outcome had accepted the REFER: its response alone got lost
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		f.end(ReferFailure, EvidenceInterrupted)
	case errors.Is(err, errNoResponse):
		f.end(ReferFailure, EvidenceNoResponse)
	default:
		f.end(ReferFailure, EvidenceTransportError)
	}
}

// take takes what a NOTIFY reports, before the REFER's response or after it.
func (f *Referral) take(rep report) {
	switch {
	case !f.state.Accepted.IsZero() || f.alone:
		f.count(rep)
	case f.held == nil || !f.held.decides(): // RFC 6665 section 4.4.1: a NOTIFY may overtake the 2xx.
		f.held = &rep
	}
}

// count lets a report count.
func (f *Referral) count(rep report) {
	switch {
	case rep.final():
		f.state.NotifyCode = rep.code
		status := ReferFailure
		if rep.code < 300 {
			status = ReferSuccess
		}
		f.end(status, EvidenceFinalNotify)
	case rep.terminated:
		f.end(ReferFailure, EvidenceSubscriptionEnded)
	default: // It does not restart the clock.
		if rep.code != 0 {
			f.state.Progress = rep.code
		}
		f.tell()
	}
}

func (f *Referral) end(status, evidence string) {
	f.state.Status, f.state.Evidence, f.state.Ended = status, evidence, time.Now()
	f.held = nil
	f.stopClock("stopped")
	f.set.over(f)
	f.tell()
	f.set.due = append(f.set.due, f.cancel, func() { close(f.done) })
	if lost := f.set.env.lost; f.state.DialogLost && lost != nil {
		code := f.state.ReferCode
		f.set.due = append(f.set.due, func() { lost(code) })
	}
	f.set.due = append(f.set.due, f.set.releaseIfIdle)
}

func (f *Referral) stopClock(event string) {
	if !f.clock {
		return
	}
	f.clock = false
	f.set.due = append(f.set.due, func() {
		f.set.env.observer.Timer(f.set.env.callID, timerReferNotify, event, f.set.env.notifyTimeout)
	})
}

// tell lets the observer know the state as it is now.
func (f *Referral) tell() {
	now := f.state
	f.set.due = append(f.set.due, func() { f.set.env.observer.Refer(f.set.env.callID, now) })
}

// sentAs reports whether one of its REFERs had this CSeq.
func (f *Referral) sentAs(cseq uint32) bool { return slices.Contains(f.attempts, cseq) }
