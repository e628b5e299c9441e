package interpreter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// Resumption is where a call is to be gone on with whose process has ended, as its journal tells. [Runner.Resume] takes it.
type Resumption struct {
	// Call is the call as it was. It has no CallURL.
	Call webhook.Call

	// Referred tells that the verb to go on with had sent a REFER: the leg's next Refer has to return that one.
	Referred bool

	document *webhook.Reply           // the one that runs; nil: the first is yet to be asked for
	at       verbs.Position           // of the verb to go on with
	next     int                      // its place among the document's verbs, where at is not known
	begun    bool                     // it had begun
	since    time.Time                // since when it had been running; zero: it had not come to that
	asked    map[string]webhook.Event // what it had asked the application for, by type
	behind   []behindVerb             // what goes on behind the verbs, in order; without streams
	streams  []lostStream             // that were up, in order
	follow   []state.Call             // changes through the API that are yet to be followed
	complete bool                     // the call was to end through the API
	ending   *ending                  // the call was about to end so
	message  string                   // then: what is told of it
	outlives bool                     // the verb at which it ended goes on after that
	end      *webhook.End             // its end was journalled
	told     bool                     // and is told, or need not be
	settled  bool                     // and nothing goes on
}

// errRestarted is why a call ends with which a process that was started after its own cannot go on.
var errRestarted = errors.New("the node was restarted")

// behindVerb is a verb that has begun what goes on behind those that follow ([verbs.Background]).
type behindVerb struct {
	name     string // "StartGather"
	document *webhook.Reply
	place    int // among the document's verbs
}

// GiveUp has the call end with the cause "error" for that reason, unless it has ended.
func (r *Resumption) GiveUp(reason string) {
	if r.end == nil {
		r.ending, r.outlives, r.message = &ending{cause: verbs.CauseError}, false, errRestarted.Error()+": "+reason
	}
}

// ErrNotBegun is returned for the journal of a call of which no application was told yet.
var ErrNotBegun = errors.New("the call has not begun")

// ReadResumption reads the journal of a call, whatever its last entry is. The error wraps [ErrNotBegun].
func ReadResumption(entries []state.Entry) (Resumption, error) {
	r := Resumption{asked: map[string]webhook.Event{}}
	for _, e := range entries {
		switch {
		case e.Call != nil:
			r.readCall(e.Time, e.Call)
		case e.Document != nil:
			r.readDocument(e.Document)
		case e.Verb != nil:
			r.readVerb(e.Time, e.Verb)
		case e.Webhook != nil:
			r.readWebhook(e.CallID, e.Webhook)
		case e.Media != nil && e.Media.Stream != "":
			r.readStream(e.Time, e.Media)
		}
	}
	if r.Call.CallID == "" && len(entries) > 0 {
		r.Call.CallID = entries[0].CallID
	}
	if r.Call.StartTime.IsZero() {
		return r, fmt.Errorf("call %s: %w", r.Call.CallID, ErrNotBegun)
	}
	return r, nil
}

func (r *Resumption) readCall(at time.Time, c *state.Call) {
	if !c.At.IsZero() {
		at = c.At
	}
	if c.Tag != nil {
		r.Call.Tag = *c.Tag
	}
	switch c.Event {
	case state.CallInitiated:
		r.Call.AccountID, r.Call.ApplicationID = c.AccountID, c.ApplicationID
		r.Call.From, r.Call.To, r.Call.Direction = c.From, c.To, webhook.Direction(c.Direction)
		r.Call.SIPCallID, r.Call.StartTime = c.SIPCallID, at
	case state.CallAnswered:
		r.Call.AnswerTime, r.since = at, at
	case state.CallRinging:
		r.since = at
	case state.CallModified:
		r.complete = r.complete || c.Change == state.ChangeCompleted
		if c.Follow != nil {
			r.follow = append(r.follow, *c)
			clear(r.asked)
		}
	case state.CallEnded:
		if r.end == nil {
			r.end = &webhook.End{Time: at, Cause: c.Cause, ErrorMessage: c.ErrorMessage, ErrorID: c.ErrorID}
			r.told = r.told || c.Untold
			r.outlives = c.Outlived
		}
	case state.CallSettled:
		r.settled = true
	}
}

func (r *Resumption) readDocument(d *state.Document) {
	r.follow = nil
	if d.Error != "" {
		r.ending, r.message = &ending{cause: verbs.CauseInvalidBXML}, d.Error
		return
	}
	r.document = &webhook.Reply{URL: d.URL, Body: []byte(d.Body)}
	r.ending, r.message, r.outlives = nil, "", false
	r.forget(0)
}

// forget leaves a verb behind.
func (r *Resumption) forget(next int) {
	r.at, r.next, r.begun, r.since, r.Referred = verbs.Position{}, next, false, time.Time{}, false
	clear(r.asked)
}

func (r *Resumption) readVerb(at time.Time, v *state.Verb) {
	switch {
	case v.Refer != nil:
		r.Referred = r.begun
	case v.Event == state.VerbStarted:
		next := r.next
		r.forget(next)
		r.at, r.begun = verbs.Position{Line: v.Line, Column: v.Column}, true
		if r.Call.Answered() {
			r.since = at
		}
	case v.Event == state.VerbEnded:
		r.verbEnded(v)
	}
}

func (r *Resumption) verbEnded(v *state.Verb) {
	switch v.Next {
	case nextVerb:
		r.goesOn(v.Name)
		r.forget(r.next + 1)
	case nextEnd:
		r.ending, r.outlives = &ending{cause: verbs.Cause(v.Cause)}, v.Outlived
		if r.ending.cause == "" {
			r.ending.cause = verbs.CauseHangup
		}
		if r.ending.cause != verbs.CauseHangup && r.ending.cause != verbs.CauseCancel {
			r.message = v.Error
		}
	} // A new document is told when it is there; until then the verb is not over.
}

// goesOn notes what a verb that has ended leaves behind, or has ended: StartGather, StopGather.
func (r *Resumption) goesOn(name string) {
	what, starts := strings.CutPrefix(name, "Start")
	if !starts {
		var stops bool
		if what, stops = strings.CutPrefix(name, "Stop"); !stops {
			return
		}
	}
	if what == "Stream" {
		return // there may be several, and each is noted
	}
	r.behind = slices.DeleteFunc(r.behind, func(b behindVerb) bool { return b.name == "Start"+what })
	if starts {
		r.behind = append(r.behind, behindVerb{name, r.document, r.next})
	}
}

func (r *Resumption) readWebhook(callID string, w *state.Webhook) {
	switch {
	case w.Event == state.WebhookRequest:
		r.asked[w.EventType] = webhook.Event{ID: w.EventID, Type: w.EventType, CallID: callID, Body: w.Body}
	case w.Event == state.WebhookOwed && w.EventType == "disconnect":
		r.told = true
	case w.Event == state.WebhookOwed:
		r.readStreamEvent(w)
	}
}

// followed is what it takes to follow a change through the API, as the journal keeps it.
type followed struct {
	Tag      *string         `json:"tag,omitempty"`
	Redirect *webhook.Target `json:"redirect,omitempty"`
	URL      string          `json:"url,omitempty"`
	Document []byte          `json:"document,omitempty"`
}

// changes returns the changes that are yet to be followed.
func (r *Resumption) changes() (all []change, err error) {
	for _, c := range r.follow {
		var f followed
		if err := json.Unmarshal(c.Follow, &f); err != nil {
			return nil, fmt.Errorf("a change of the call: %w", err)
		}
		all = append(all, change{entry: c, tag: f.Tag, redirect: f.Redirect, document: webhook.Reply{URL: f.URL, Body: f.Document}})
	}
	return all, nil
}

// written notes in a change's entry what it takes to follow it.
func (c change) written() change {
	follow, err := json.Marshal(followed{c.tag, c.redirect, c.document.URL, c.document.Body})
	if err == nil { // strings and numbers
		c.entry.Follow = follow
	}
	return c
}
