package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"go.uber.org/zap"
)

// recover takes up the calls that the journals of another process left unfinished. The SIP listeners are bound then and
// not read yet, so that what comes for these calls waits for them.
func (n *Node) recover(ctx context.Context) error {
	return n.recoverFrom(ctx, n.store, n.sip.Restore)
}

// recoverFrom has the unfinished calls of a store restored.
func (n *Node) recoverFrom(ctx context.Context, from state.Store, restore func(sipstack.Saved, sipstack.Admission)) error {
	began := time.Now()
	ids, err := from.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("state: which calls are unfinished: %w", err)
	}
	for _, id := range ids {
		if err := n.recoverCall(ctx, from, id, restore); err != nil {
			// Nothing is known of it, so that nothing can be done, and the others are not to wait for it.
			n.log.Error("a call cannot be recovered", zap.String("call_id", id), zap.Error(err))
		}
	}
	if len(ids) > 0 {
		n.log.Info("calls were recovered", zap.Int("calls", len(ids)), zap.Duration("took", time.Since(began)))
	}
	n.metrics.recovered(len(ids), time.Since(began))
	return nil
}

func (n *Node) recoverCall(ctx context.Context, store state.Store, id string, restore func(sipstack.Saved, sipstack.Admission)) error {
	entries, err := store.Journal(ctx, id)
	if err != nil {
		return err
	}
	from, err := interpreter.ReadResumption(entries)
	if errors.Is(err, interpreter.ErrNotBegun) {
		restore(savedOf(id, entries), &newcomer{calls: n.calls, id: id, room: n.gate.readmit(false)})
		return nil
	}
	if err != nil {
		return err
	}
	app, known := n.calls.configured(from.Call.ApplicationID)
	if !known {
		from.GiveUp("its application " + strconv.Quote(from.Call.ApplicationID) + " is not configured any more")
	}
	restore(savedOf(id, entries), &readmission{
		calls: n.calls, from: from, app: app, room: n.gate.readmit(from.Call.Answered()),
	})
	return nil
}

// configured returns the application with this id.
func (c *calls) configured(id string) (Application, bool) {
	for _, app := range c.node.cfg.Applications {
		if app.ID == id {
			return app, true
		}
	}
	return Application{ID: id}, false
}

// savedOf gives a journal to the SIP stack as the stack had told it.
func savedOf(id string, entries []state.Entry) sipstack.Saved {
	saved := sipstack.Saved{CallID: id}
	for _, e := range entries {
		switch {
		case e.SIP != nil:
			saved.Messages = append(saved.Messages, sipstack.Message{
				Time: e.Time, In: e.SIP.Direction == "in", Transport: e.SIP.Transport, Local: e.SIP.Local, Remote: e.SIP.Remote,
				Method: e.SIP.Method, Code: e.SIP.Code, Reason: e.SIP.Reason, CSeq: e.SIP.CSeq, Raw: e.SIP.Raw,
			})
		case e.Dialog != nil:
			saved.Snapshot = e.Dialog.Snapshot
		case e.Verb != nil && e.Verb.Refer != nil:
			r := referOf(*e.Verb.Refer)
			if last := len(saved.Refers) - 1; last >= 0 && saved.Refers[last].ID == r.ID {
				saved.Refers[last] = r
			} else {
				saved.Refers = append(saved.Refers, r)
			}
		case e.Call != nil:
			saved.Over = saved.Over || e.Call.Event == state.CallEnded
		}
	}
	return saved
}

// referOf is what [sipTap.Refer] journals, read back.
func referOf(r state.Refer) sipstack.ReferState {
	s := sipstack.ReferState{
		ID: r.ID, Target: r.Target, Sent: r.SentTime, ReferCode: r.ReferSIPResponseCode, NotifyCode: r.NotifySIPResponseCode,
		Status: r.Status, Evidence: r.Evidence,
	}
	if r.AcceptedTime != nil {
		s.Accepted = *r.AcceptedTime
	}
	if r.EndTime != nil {
		s.Ended = *r.EndTime
	}
	s.DialogLost = s.Evidence == sipstack.EvidenceRejected && (s.ReferCode == 408 || s.ReferCode == 481)
	return s
}

// readmission is a call that another process had let in.
type readmission struct {
	calls *calls
	from  interpreter.Resumption
	app   Application
	room  *ticket
}

var _ sipstack.Admission = (*readmission)(nil)

func (a *readmission) CallID() string { return a.from.Call.CallID }

func (a *readmission) Abandon() { a.room.leave() }

// Serve goes on with the call.
func (a *readmission) Serve(sip *sipstack.Leg) {
	defer a.room.leave()
	n := a.calls.node
	call := a.calls.leg(a.CallID(), a.room, sip)
	if a.from.Referred {
		call.sent = sip.Referral()
	}
	a.calls.serve(call, &a.app, func(ctx context.Context, runner *interpreter.Runner, limits interpreter.Limits) {
		runner.Resume(ctx, limits, a.from, n.callURL(a.CallID()), invited(sip.Invitation()), call)
	})
}

// newcomer is a call that another process had let in and not begun. Nobody but its caller knows of it.
type newcomer struct {
	calls *calls
	id    string
	room  *ticket
}

var _ sipstack.Admission = (*newcomer)(nil)

func (a *newcomer) CallID() string { return a.id }

func (a *newcomer) Abandon() { a.room.leave() }

// Serve begins the call, if somebody waits for it and there is an application for it.
func (a *newcomer) Serve(sip *sipstack.Leg) {
	inv := sip.Invitation()
	app := a.calls.application(inv)
	if app == nil || sip.Err() != nil || time.Since(inv.Time) > tooLate {
		defer a.room.leave()
		if sip.Err() == nil {
			_ = sip.Reject(a.calls.node.closed, sipRequestTimeout)
		}
		a.calls.node.journal.note(state.Entry{CallID: a.id, Type: state.TypeCall, Call: &state.Call{Event: state.CallSettled}})
		return
	}
	(&admission{calls: a.calls, id: a.id, inv: inv, app: app, room: a.room}).Serve(sip)
}

const (
	// tooLate is when a caller who has heard nothing but that we try has given up, or should (RFC 3261 section 17.1.1.2).
	tooLate = 64 * 500 * time.Millisecond
	// sipRequestTimeout is the status for one who has not: nobody was asked in time.
	sipRequestTimeout = 408
)
