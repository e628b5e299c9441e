package interpreter

import (
	"context"
	"errors"
	"fmt"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// maxRedirects is how many documents in a row may do nothing but lead to another (docs/bxml.md).
const maxRedirects = 100

// documents runs a document, and whatever replaces it, until the call is to end.
func (r *Runner) documents(ctx context.Context, c *call, reply *webhook.Reply) *ending {
	redirects := 0
	for {
		out, idle, err := r.document(ctx, c, reply)
		switch {
		case err != nil:
			return &ending{err: err, after: out.After}
		case out.Replace == nil:
			return &ending{cause: out.End, after: out.After}
		}
		if redirects++; !idle {
			redirects = 0
		}
		if redirects == maxRedirects {
			return &ending{err: &verbs.ActionError{Verb: "Redirect",
				Reason: fmt.Sprintf("%d documents in a row did nothing but redirect", maxRedirects)}}
		}
		reply = out.Replace
	}
}

// document runs one document.
func (r *Runner) document(ctx context.Context, c *call, reply *webhook.Reply) (out verbs.Outcome, idle bool, err error) {
	err = errPanic // unless it returns
	ctx, traced := r.tracer.Document(ctx, reply.URL)
	defer func() { traced(fault(err)) }()
	doc, err := r.accept(ctx, c, reply)
	if err != nil {
		return verbs.Outcome{}, false, err
	}
	return r.walk(ctx, c, doc)
}

// accept reads the document of a reply, whole, before anything of it runs.
func (r *Runner) accept(ctx context.Context, c *call, reply *webhook.Reply) (*verbs.Document, error) {
	if c.resumed != nil && c.resumed.amid {
		return r.acceptAgain(c, *reply)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c.resumed = nil
	c.base = reply.URL
	entry := &state.Document{URL: reply.URL, Body: string(reply.Body)}
	doc, err := r.parser.Parse(reply.Body, reply.URL)
	reply.Body = nil // it is in the journal, and the document may run for as long as the call lasts
	if err != nil {
		entry.Error = err.Error()
		r.note(state.Entry{Type: state.TypeDocument, Document: entry})
		return nil, err // it ends the call, which is logged with it
	}
	for _, v := range doc.Verbs {
		entry.Verbs = append(entry.Verbs, v.Name())
	}
	for _, w := range doc.Warnings {
		entry.Warnings = append(entry.Warnings, w.String())
	}
	r.note(state.Entry{Type: state.TypeDocument, Document: entry})
	r.changes.fetched(reply.URL)
	if len(entry.Warnings) > 0 {
		r.logger().Warn("BXML with parts that are ignored", zap.Strings("warnings", entry.Warnings))
	}
	return doc, nil
}

// walk executes the verbs in order until one leads elsewhere. A document that runs out ends the call: the implicit
// Hangup (docs/bxml.md). idle reports that nothing but Redirect and Tag ran.
func (r *Runner) walk(ctx context.Context, c *call, doc *verbs.Document) (out verbs.Outcome, idle bool, err error) {
	idle = true
	for _, v := range doc.Verbs {
		if ctx.Err() != nil && c.resumed == nil {
			return verbs.Outcome{}, idle, context.Cause(ctx)
		}
		if v.Name() != "Redirect" && v.Name() != "Tag" {
			idle = false
		}
		out, err = r.step(ctx, c, v)
		if err != nil || out.Replace != nil || out.End != "" {
			return out, idle, err
		}
	}
	return verbs.Outcome{End: verbs.CauseHangup}, idle, nil
}

// What the journal says of a verb's end: what comes next.
const (
	nextVerb     = "next verb"
	nextDocument = "new document"
	nextEnd      = "end"
)

func (r *Runner) step(ctx context.Context, c *call, v verbs.Verb) (out verbs.Outcome, err error) {
	err = errPanic // unless it returns
	ctx, traced := r.tracer.Verb(ctx, v.Name(), v.Pos())
	defer func() { traced(fault(err)) }()
	entry := r.started(v, c.resumed != nil)
	told := c.resumed != nil && c.resumed.from.ending != nil
	out, err = v.Execute(ctx, c)
	c.resumed = nil
	if interrupted(err) {
		err = because(ctx, err)
	}
	r.noteChanges() // before what they have led to
	r.ended(entry, out, err, told)
	return out, err
}

// started journals that a verb begins, unless that is there.
func (r *Runner) started(v verbs.Verb, told bool) *state.Verb {
	pos := v.Pos()
	entry := &state.Verb{Event: state.VerbStarted, Name: v.Name(), Line: pos.Line, Column: pos.Column}
	if !told {
		r.note(state.Entry{Type: state.TypeVerb, Verb: entry})
	}
	return entry
}

// ended journals what a verb led to, unless that is there.
func (r *Runner) ended(started *state.Verb, out verbs.Outcome, err error, told bool) {
	ended := *started
	ended.Event = state.VerbEnded
	switch {
	case errors.Is(err, verbs.ErrReplaced):
		ended.Next = nextDocument
	case err != nil:
		cause, _ := causeOf(err)
		ended.Next, ended.Cause, ended.Error = nextEnd, string(cause), err.Error()
	case out.Replace != nil:
		ended.Next = nextDocument
	case out.End != "":
		ended.Next, ended.Cause = nextEnd, string(out.End)
	default:
		ended.Next = nextVerb
	}
	ended.Outlived = out.After != nil
	if !told {
		r.note(state.Entry{Type: state.TypeVerb, Verb: &ended})
	}
}

// interrupted reports whether an error may be no more than the trace of the call's end: then the end's own cause tells
// more. An error that names a fault of its own stays.
func interrupted(err error) bool {
	return err != nil && !is[*verbs.ActionError](err)
}
