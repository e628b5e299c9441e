package interpreter

import (
	"context"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// Redirection says where the next document of a call comes from (docs/api.md). Its URLs are absolute; an empty
// method is POST, and no credentials are sent without a name or a password.
type Redirection struct {
	URL, Method, Username, Password                                 string
	FallbackURL, FallbackMethod, FallbackUsername, FallbackPassword string  // without a URL there is no fallback
	Tag                                                             *string // the call's tag from now on; nil: stays, empty: none
}

// DocumentError says that a document that was to replace another is not valid: the call goes on with the one it has.
type DocumentError struct{ Err error }

func (e *DocumentError) Error() string { return "invalid BXML: " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *DocumentError) Unwrap() error { return e.Err }

// Redirect stops the verb that runs, drops the rest of the document, and has the application asked for another by a
// redirect event. It returns when the call is bound to do so. A later Redirect or Replace takes its place, at any moment;
// the tag stays.
//
// The error is [ErrNotModifiable] before the first document is there, while a REFER is under way, and when the call ends.
// It may be called from any goroutine, as Replace and Complete may.
func (r *Runner) Redirect(to Redirection) error {
	return r.changes.offer(func(string) (change, error) {
		target := to.target()
		return change{
			entry: state.Call{Event: state.CallModified, Change: state.ChangeRedirect, URL: to.URL},
			tag:   to.Tag, redirect: &target,
		}.written(), nil
	})
}

// Replace stops the verb that runs and runs another document, whose relative URLs are resolved against the URL that the
// last document was fetched from. It returns as Redirect does; a document that is not valid is a [*DocumentError].
func (r *Runner) Replace(document []byte) error {
	return r.changes.offer(func(base string) (change, error) {
		if _, err := r.parser.Parse(document, base); err != nil {
			return change{}, &DocumentError{err}
		}
		return change{
			entry:    state.Call{Event: state.CallModified, Change: state.ChangeDocument},
			document: webhook.Reply{URL: base, Body: document},
		}.written(), nil
	})
}

// Complete ends the call: BYE when it is answered, or the configured rejection. It returns at once. The error is
// [ErrNotModifiable] when the call ends already.
func (r *Runner) Complete() error { return r.changes.complete() }

func (r Redirection) target() webhook.Target {
	to := webhook.Target{URL: r.URL, Method: r.Method, Auth: auth(r.Username, r.Password)}
	if r.FallbackURL != "" {
		to.Fallback = &webhook.Target{
			URL: r.FallbackURL, Method: r.FallbackMethod, Auth: auth(r.FallbackUsername, r.FallbackPassword),
		}
	}
	return to
}

func auth(username, password string) *webhook.BasicAuth {
	if username == "" && password == "" {
		return nil
	}
	return &webhook.BasicAuth{Username: username, Password: password}
}

// follow does what the changes ask for: the tags of all of them count, and the document of the last.
func (r *Runner) follow(c *call, taken []change) func(context.Context) (webhook.Reply, error) {
	r.noteChanges()
	for _, t := range taken {
		if t.tag != nil {
			c.SetTag(*t.tag)
		}
	}
	last := taken[len(taken)-1]
	return func(ctx context.Context) (webhook.Reply, error) {
		if last.redirect == nil {
			return last.document, nil
		}
		return c.Ask(ctx, *last.redirect, webhook.NewRedirect(c.Info()))
	}
}

// noteChanges journals the changes that were accepted since it was called last. An entry has the time of its writing.
func (r *Runner) noteChanges() {
	for _, entry := range r.changes.entries() {
		r.note(state.Entry{Type: state.TypeCall, Call: &entry})
		r.logger().Debug("the call was modified through the API", zap.String("change", entry.Change))
	}
}
