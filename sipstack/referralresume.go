package sipstack

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Referral returns the newest referral that a restored call had; nil: none. One that was pending goes on:
//
//   - Its clock counts from the acceptance that was written down.
//   - What was answered to its REFER, and what NOTIFYs reported, counts from the messages, whether it was written down what
//     became of it or not.
//   - A REFER that did not go out is sent, and so is one with credentials where the first was challenged.
//   - One over UDP that had no answer is sent once more as it was, within the time of its transaction (RFC 3261
//     section 17.1.2.2): for the peer it is a repetition, to which it repeats its answer. Over a stream it would be another
//     REFER, and is not sent: a NOTIFY may still decide (RFC 6665 section 4.4.1), within the same time.
func (l *Leg) Referral() *Referral { return l.referral }

// restore makes the referrals of another process known, and returns the newest.
func (r *referrals) restore(states []ReferState, h *history) *Referral {
	if len(states) == 0 {
		return nil
	}
	newest := states[len(states)-1]
	first := newest.cseq()
	ctx, cancel := context.WithCancel(context.Background())
	f := &Referral{
		set: r, state: newest, ctx: ctx, cancel: cancel,
		done: make(chan struct{}), sent: make(chan struct{}), unsent: make(chan error, 1),
	}
	close(f.sent)
	r.mu.Lock()
	for _, s := range states {
		r.past[s.cseq()] = struct{}{}
	}
	for _, m := range h.refers {
		switch {
		case m.CSeq < first:
			r.past[m.CSeq] = struct{}{}
		case !f.sentAs(m.CSeq):
			f.attempts = append(f.attempts, m.CSeq)
			f.request = m
		}
	}
	if newest.over() {
		for _, cseq := range f.attempts {
			r.past[cseq] = struct{}{}
		}
		r.mu.Unlock()
		cancel()
		close(f.done)
		return f
	}
	for _, cseq := range f.attempts {
		delete(r.past, cseq)
	}
	r.current = f
	f.tell()
	f.clock = !f.state.Accepted.IsZero()
	for _, n := range h.told {
		f.hear(n)
	}
	r.mu.Unlock()
	r.flush()
	return f
}

// hear takes what came of the REFER before the process ended. Its caller holds the lock.
func (f *Referral) hear(n referNews) {
	switch {
	case f.state.over() || len(f.attempts) == 0:
	case n.notify == nil:
		switch {
		case n.CSeq != f.attempts[len(f.attempts)-1], !f.state.Accepted.IsZero():
		case n.Code < 300:
			f.accept(n.Code, n.Time)
		case f.isChallenge(n.Code):
			f.challenged = true
		default:
			f.reject(n.Code)
		}
	case n.Time.Before(f.state.Sent):
	default:
		ev, ok := readEvent(n.notify)
		if !ok || !strings.EqualFold(ev.name, eventRefer) {
			return
		}
		if found, _ := f.set.find(ev); found != f {
			return
		}
		if rep, refusal := readReport(n.notify); refusal == nil {
			f.take(rep)
		}
	}
}

// resume goes on with a referral that is pending. Refer are the header fields of its REFER. Resend sends a REFER once more,
// if that makes sense, and waits for its answer until the given time.
func (f *Referral) resume(refer []sip.Header, resend func(ctx context.Context, m Message, until time.Time) (code int, err error)) {
	f.set.mu.Lock()
	over, accepted, sent := f.state.over(), f.state.Accepted, f.state.Sent
	f.set.mu.Unlock()
	if over {
		return
	}
	spawned := f.set.env.spawn(func() {
		defer f.survive()
		if len(f.attempts) == 0 || f.challenged {
			f.run(refer)
			return
		}
		if accepted.IsZero() {
			code, err := resend(f.ctx, f.request, sent.Add(f.set.env.answerTimeout))
			if errors.Is(err, errNoRepeat) {
				err = f.unaccepted(sent.Add(max(f.set.env.answerTimeout, f.set.env.notifyTimeout)))
			}
			if err == nil && f.isChallenge(code) {
				f.run(refer)
				return
			}
			if !f.answered(code, err) {
				return
			}
		}
		f.await(f.ctx)
	})
	if !spawned {
		f.Interrupt()
	}
}

// isChallenge reports whether a response to the REFER that another process had sent asks for credentials which that one had
// not given. What it had counted of the challenge went with it: the next REFER is challenged anew.
func (f *Referral) isChallenge(code int) bool {
	_, _, challenge := challengeFields(code)
	return challenge && f.set.env.credentials && !strings.Contains(f.request.Raw, "Authorization:")
}

// errNoRepeat says that no answer to a REFER can come any more.
var errNoRepeat = errors.New("the REFER is not sent once more")

// unaccepted waits for what NOTIFYs tell of a REFER to which no answer can come any more.
func (f *Referral) unaccepted(until time.Time) error {
	f.set.mu.Lock()
	f.alone = true
	if held := f.held; held != nil && !f.state.over() {
		f.held = nil
		f.count(*held)
	}
	f.set.mu.Unlock()
	f.set.flush()
	timer := time.NewTimer(max(time.Until(until), time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return errNoResponse
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
}

// resend sends a REFER as it was, unless that would be another one.
func (r *revival) resend(ctx context.Context, refer Message, until time.Time) (code int, err error) {
	tx := r.repeat(refer, until)
	if tx == nil {
		return 0, errNoRepeat
	}
	defer tx.Terminate()
	giveUp := time.NewTimer(max(time.Until(until), time.Millisecond))
	defer giveUp.Stop()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res.StatusCode, nil
			}
		case <-giveUp.C:
			return 0, errNoResponse
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-r.stack.living.Done():
			return 0, ErrClosed
		}
	}
}

// repeat sends a request once more as it was; nil: that makes no sense, or cannot be done.
func (r *revival) repeat(m Message, until time.Time) *sip.ClientTx {
	s := r.stack
	on := s.listenerAt(m.Transport, m.Local)
	if m.Transport != "udp" || on == nil || r.foreign || !time.Now().Before(until) {
		return nil
	}
	msg, err := s.gate.parser.ParseSIP([]byte(m.Raw))
	req, ok := msg.(*sip.Request)
	if err != nil || !ok {
		return nil
	}
	req.SetTransport(on.transport())
	req.SetDestination(m.Remote)
	req.Laddr = on.local()
	tx, err := s.transactions.Request(s.living, req)
	if err != nil {
		return nil
	}
	return tx
}

// cseq is the number of the first REFER.
func (s ReferState) cseq() uint32 {
	n, _ := strconv.ParseUint(s.ID, 10, 32)
	return uint32(n)
}
