package interpreter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// Resume is [Runner.Run] for a call whose process has ended: it goes on where the journal says that it was, and keeps the
// same promises. CallURL is that of the call's events.
//
// The verb that ran is executed once more. It finds a call on which what it had sent is not sent again: a REFER that went
// out is the leg's, and an event that was asked for is asked for under its id. See [verbs.Resumed] for what a verb may
// know. What had ended is not done again, and what was to be told is.
func (r *Runner) Resume(ctx context.Context, limits Limits, from Resumption, callURL string, invite webhook.Invite, leg Leg) {
	info := from.Call
	info.CallURL = callURL
	r.callID = info.CallID
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	r.changes.begin(ctx, end)
	c := &call{
		Runner: r, leg: leg, info: info, limits: limits, life: ctx, end: end,
		offHook: info.Answered(), resumed: &resumed{from: from},
	}
	defer c.behind.all.Wait()
	if from.end == nil {
		r.note(state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallResumed}})
	}
	ctx, traced := r.tracer.Call(ctx, info)
	if from.end == nil { // else all that went on behind the verbs had ended before
		r.guard(func() { r.tellLost(ctx, c, from) })
	}
	how := r.goOn(ctx, c, from, invite)
	if from.end == nil {
		r.finish(ctx, c, how)
	} else {
		r.conclude(ctx, c, from, how.after)
	}
	traced(fault(how.err))
}

// goOn goes on with the documents, up to their end.
func (r *Runner) goOn(ctx context.Context, c *call, from Resumption, invite webhook.Invite) *ending {
	switch {
	case from.end != nil && (!from.outlives || from.settled):
		return &ending{}
	case from.end != nil, from.ending != nil && from.outlives:
		c.end(verbs.ErrRemoteHangup) // for the verb, whatever it was: what is left of it comes after the end
		how := r.goOnFrom(ctx, c, from)
		how.err, how.cause, how.message = nil, "", ""
		if from.ending != nil {
			how.cause, how.message = from.ending.cause, from.message
		}
		return how
	case from.ending != nil:
		return &ending{cause: from.ending.cause, message: from.message}
	case from.complete:
		return &ending{err: verbs.ErrCompleted}
	}
	r.guard(func() { r.beginAgain(ctx, c, from) })
	switch {
	case len(from.follow) > 0:
		changes, err := from.changes()
		if err != nil {
			return &ending{err: fmt.Errorf("%w: %w", errRestarted, err)}
		}
		return r.execute(ctx, c, r.follow(c, changes))
	case from.document == nil:
		return r.execute(ctx, c, r.initiate(c, &invite))
	}
	return r.goOnFrom(ctx, c, from)
}

// goOnFrom goes on with the document that ran.
func (r *Runner) goOnFrom(ctx context.Context, c *call, from Resumption) *ending {
	if from.document == nil {
		return &ending{err: fmt.Errorf("%w: the document that ran is not known", errRestarted)}
	}
	c.resumed.amid = true
	return r.execute(ctx, c, func(context.Context) (webhook.Reply, error) { return *from.document, nil })
}

// conclude does what is left of a call whose end is journalled.
func (r *Runner) conclude(ctx context.Context, c *call, from Resumption, after func(context.Context)) {
	r.changes.close()
	if !from.told {
		r.disconnect(context.WithoutCancel(ctx), c, *from.end)
	}
	r.outlive(ctx, c, after)
	if from.outlives && !from.settled && after == nil {
		r.settle()
	}
}

// resumed is what a call knows of the process before this one, until it has caught up.
type resumed struct {
	from   Resumption
	amid   bool // the document is to be gone on with, and not run from its start
	behind bool // what goes on behind the verbs is being begun again: it changes nothing else
}

// beginAgain begins what went on behind the verbs.
func (r *Runner) beginAgain(ctx context.Context, c *call, from Resumption) {
	if ctx.Err() != nil {
		return
	}
	c.resumed.behind = true
	defer func() { c.resumed.behind = false }()
	again := slices.Clone(from.behind)
	for _, s := range from.streams {
		if s.document != from.document || s.place != from.next { // that verb is executed once more in any case
			again = append(again, s.behindVerb)
		}
	}
	for _, b := range again {
		v, err := r.verbBehind(b)
		if err == nil {
			c.base = b.document.URL
			_, err = v.Execute(ctx, c)
		}
		if err != nil {
			r.logger().Warn("what went on behind the verbs cannot be begun again", zap.String("verb", b.name), zap.Error(err))
		}
	}
}

// verbBehind returns a verb that has begun what went on behind others.
func (r *Runner) verbBehind(b behindVerb) (verbs.Verb, error) {
	if b.document == nil {
		return nil, errors.New("its document is not known")
	}
	doc, err := r.parser.Parse(b.document.Body, b.document.URL)
	if err != nil {
		return nil, err
	}
	if b.place >= len(doc.Verbs) || doc.Verbs[b.place].Name() != b.name {
		return nil, errors.New("it is not in its document")
	}
	return doc.Verbs[b.place], nil
}

// acceptAgain reads the document that ran, and leaves out of it what has been done.
func (r *Runner) acceptAgain(c *call, reply webhook.Reply) (*verbs.Document, error) {
	from := c.resumed.from
	c.resumed.amid = false
	c.base = reply.URL
	doc, err := r.parser.Parse(reply.Body, reply.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: the document that ran: %w", errRestarted, err)
	}
	if from.next > len(doc.Verbs) || from.begun && (from.next == len(doc.Verbs) || doc.Verbs[from.next].Pos() != from.at) {
		return nil, fmt.Errorf("%w: the verb that ran is not in its document", errRestarted)
	}
	doc.Verbs = doc.Verbs[from.next:]
	if !from.begun {
		c.resumed = nil
	}
	r.changes.fetched(reply.URL)
	return doc, nil
}

// repeated returns an event in the form in which it was asked for.
func (c *call) repeated(ev webhook.Event) webhook.Event {
	if c.resumed == nil {
		return ev
	}
	was, ok := c.resumed.from.asked[ev.Type]
	if !ok {
		return ev
	}
	delete(c.resumed.from.asked, ev.Type)
	return was
}

// Elapsed implements [verbs.Resumed].
func (c *call) Elapsed() time.Duration {
	if c.resumed == nil || c.resumed.from.since.IsZero() {
		return 0
	}
	return time.Since(c.resumed.from.since)
}

// Asked implements [verbs.Resumed].
func (c *call) Asked(eventType string) bool {
	if c.resumed == nil {
		return false
	}
	_, ok := c.resumed.from.asked[eventType]
	return ok
}
