package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// grace is how long after the call's end something may still come that a step waits for.
const grace = time.Second

var (
	errOver  = errors.New("the call was over")
	errSteps = errors.New("the phone's steps are done")
)

// play places the call, takes the phone's steps, waits for the call's end, and reads what happened.
func (r *run) play(ctx context.Context) {
	defer func() { r.read(context.WithoutCancel(ctx)) }()
	if err := r.invite(ctx); err != nil {
		r.failed = err
		return
	}
	over, end := context.WithCancelCause(ctx)
	defer end(errSteps)
	r.over = over
	r.behind.Go(func() { r.watchEnd(over, end) })
	for i := range r.spec.Phone {
		s := &r.spec.Phone[i]
		if err := r.take(ctx, s); err != nil {
			r.fail(s.position, "%v", err)
			r.admitted(ctx) // what it has begun with a call the node ends in order
			return
		}
	}
	r.admitted(ctx)
	r.node.Drain(ctx)
	if ctx.Err() != nil {
		r.fail(position{}, "the call is not over: %v", context.Cause(ctx))
	}
}

// admitted waits until the node has let the call in or has refused it: a drain would have it refused.
func (r *run) admitted(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		if _, ok := r.callRecord(ctx); ok {
			return
		}
		select {
		case <-r.answer.came:
			return
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// fail notes a failure that shows where the journal ends by now.
func (r *run) fail(at position, format string, args ...any) {
	var last uint64
	if entries := r.entries(context.Background()); len(entries) > 0 {
		last = entries[len(entries)-1].Seq
	}
	r.failures = append(r.failures, Failure{at.line, at.column, fmt.Sprintf(format, args...), last, nil})
}

// invite sends the INVITE. Its final response is waited for beside the steps.
func (r *run) invite(ctx context.Context) error {
	c := r.spec.Call
	to := r.addresses.in(cmp.Or(c.To, "app"))
	if !strings.Contains(to, ":") {
		to = "sip:" + to + "@" + r.peer.String()
	}
	in := Invite{
		To: to, Peer: r.peer.String(), Headers: c.Headers.with(r.addresses), HoldAck: c.HoldAck,
		NoOffer: c.Offer == "none", Direction: c.Offer,
	}
	if from := r.addresses.in(c.From); strings.Contains(from, ":") {
		in.From = from
	}
	if c.SDP != "" {
		in.SDP = []byte(lines(r.addresses.in(c.SDP)))
	}
	r.began = time.Now()
	call, err := r.phone.Invite(ctx, in)
	if err != nil {
		return err
	}
	r.call = call
	waiting, cancel := context.WithCancel(ctx)
	context.AfterFunc(r.running, cancel)
	r.behind.Go(func() {
		defer cancel()
		r.answer.res, r.answer.err = call.Answered(waiting)
		close(r.answer.came)
	})
	return nil
}

// lines ends each line of a text in CRLF, as SIP and SDP want it.
func lines(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// watchEnd ends what waits for the node a little after the call has ended.
func (r *run) watchEnd(ctx context.Context, end context.CancelCauseFunc) {
	refused := r.answer.came
	for ended := false; !ended; {
		select {
		case <-r.call.Ended():
			ended = true
		case <-refused:
			ended = r.answer.err != nil
			refused = nil
		case <-ctx.Done():
			return
		}
	}
	why := errOver
	if refused == nil && r.answer.res != nil && r.answer.err != nil {
		why = fmt.Errorf("%w: the INVITE got %s", errOver, strings.TrimPrefix(r.answer.res.Start, "SIP/2.0 "))
	}
	if sleep(ctx, grace) == nil {
		end(why)
	}
}

// answered waits for the INVITE's 2xx.
func (r *run) answered(ctx context.Context) error {
	select {
	case <-r.answer.came:
		return r.answer.err
	case <-ctx.Done():
		return fmt.Errorf("the INVITE was not answered: %w", context.Cause(ctx))
	}
}

// next waits for the next message from the node that fits and that no step has waited for yet.
func (r *run) next(want string, p pattern) (*Message, error) {
	m, err := r.phone.inbox.watch(r.over, want, func(m *Message) bool {
		return m.CallID() == r.call.ID() && !r.seen[m] && p.matches(m)
	})
	if err != nil {
		return nil, fmt.Errorf("%s did not come: %w", want, context.Cause(r.over))
	}
	r.seen[m] = true
	return m, nil
}

// How often the journal is looked at for something that a step waits for. The store tells nobody of what is new.
const lookEvery = 5 * time.Millisecond

// entry waits for the next entry that fits and that no step has waited for yet. name stands for the condition.
func (r *run) entry(ctx context.Context, name string, fits func(state.Entry) bool) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		n := 0
		for _, e := range r.entries(ctx) {
			if fits(e) {
				n++
			}
		}
		if n > r.waited[name] {
			r.waited[name]++
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s did not come: %w", name, context.Cause(ctx))
		}
	}
}

// callRecord returns the record of the call that the phone has placed; false: the node has none.
func (r *run) callRecord(ctx context.Context) (state.Record, bool) {
	if r.call == nil {
		return state.Record{}, false
	}
	records, _, err := r.node.Store().Records(ctx, state.Query{})
	if err != nil {
		return state.Record{}, false
	}
	for _, record := range records {
		if record.SIPCallID == r.call.ID() {
			return record, true
		}
	}
	return state.Record{}, false
}

// entries returns the call's journal so far. Of a call that the node did not let in it has none: then what the phone has
// sent and received stands for it.
func (r *run) entries(ctx context.Context) []state.Entry {
	if record, ok := r.callRecord(ctx); ok {
		if entries, err := r.node.Store().Journal(ctx, record.CallID); err == nil {
			return entries
		}
	}
	var entries []state.Entry
	for _, m := range r.phone.inbox.find(func(m *Message) bool { return r.call != nil && m.CallID() == r.call.ID() }) {
		number, _ := m.CSeq()
		direction, status := "in", ""
		if m.in {
			direction = "out"
		}
		if m.Code() > 0 {
			status = reason(m.Code())
		}
		entries = append(entries, state.Entry{
			Seq: uint64(len(entries) + 1), Time: m.Time, CallID: m.CallID(), Type: state.TypeSIP, SIP: &state.SIP{
				Direction: direction, Transport: r.phone.cfg.Transport, Local: r.peer.String(), Remote: r.phone.Addr().String(),
				Method: m.Method(), Code: m.Code(), Reason: status, CSeq: number, Raw: m.String(),
			},
		})
	}
	return entries
}

// read takes over what happened while the node is still there.
func (r *run) read(ctx context.Context) {
	r.journal = r.entries(ctx)
	r.record, _ = r.callRecord(ctx)
	if r.call != nil {
		r.sound = r.call.Heard()
	}
}
