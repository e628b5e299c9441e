package verbs

import (
	"context"
	"errors"
	"fmt"

	"github.com/callengine/callengine/webhook"
)

// Refer asks the caller's side, by SIP REFER, to call another SIP URI and leave this node. What its sources leave open
// is fixed on the specification's page "Refer, exactly", which the comments here cite.
type Refer struct {
	heading
	Target         string // the URI for Refer-To, byte for byte
	CompleteURL    string // empty: no referComplete
	CompleteMethod string
	Tag            *string
}

var referDef = definition{
	name: "Refer",
	attributes: []attribute{
		urlAttr("referCompleteUrl"),
		methodAttr("referCompleteMethod"),
		tagAttr(),
	},
	children: []child{{"SipUri", span{1, 1}, true}},
	read: func(n *node) Verb {
		return &Refer{
			heading:        n.heading(),
			Target:         n.childText("SipUri"),
			CompleteURL:    n.str("referCompleteUrl"),
			CompleteMethod: n.str("referCompleteMethod"),
			Tag:            n.optional("tag"),
		}
	},
}

// Execute needs a [Referrer]. It ends when the outcome of the REFER is known, or when the call ends.
func (r *Refer) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, r.Tag) // "Before the REFER" 2: before any request of this verb
	referrer, ok := call.(Referrer)
	if !ok {
		return Outcome{}, r.lacks("be referred")
	}
	if err := referrer.CanRefer(r.Target); err != nil { // 3
		return Outcome{}, &ActionError{Verb: r.name, Reason: err.Error(), Err: err}
	}
	if err := call.Answer(ctx); err != nil { // 4
		return Outcome{}, ended(ctx, err)
	}
	referral, err := referrer.Refer(ctx, r.Target)
	if err != nil {
		return Outcome{}, ended(ctx, err)
	}
	if waitFor(ctx, referral) {
		result := referral.Result()
		if !result.CallGone {
			return r.finish(ctx, call, result)
		}
		<-ctx.Done() // Both came at once, the end of the call first: disconnect does not wait for referComplete.
	}

	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, ErrRemoteHangup):
		return Outcome{End: CauseHangup, After: r.outlive(call, referral)}, nil
	case errors.Is(cause, ErrDialogLost):
		return Outcome{After: r.outlive(call, referral)}, cause
	}
	// The call is ended from our side: nothing waits for the outcome any longer.
	referral.Interrupt()
	<-referral.Done()
	result := referral.Result()
	if result.Success {
		return r.finish(ctx, call, result)
	}
	hangUp(ctx, call) // nobody is kept on the line for the application's reply
	r.tell(ctx, call, result)
	return Outcome{}, cause
}

// hangUp does what it can: whoever ends the call sees to the rest.
func hangUp(ctx context.Context, call Call) {
	if h, ok := call.(Hanger); ok {
		_ = h.Hangup(context.WithoutCancel(ctx))
	}
}

// waitFor waits for the outcome and reports whether it came before ctx ended. Where both are there, the outcome counts.
func waitFor(ctx context.Context, referral Referral) bool {
	select {
	case <-referral.Done():
		return true
	case <-ctx.Done():
	}
	select {
	case <-referral.Done():
		return true
	default:
		return false
	}
}

// finish is the table "After it" for a call that was there when the outcome became known.
func (r *Refer) finish(ctx context.Context, call Call, result ReferResult) (Outcome, error) {
	switch {
	case result.Success:
		hangUp(ctx, call) // What became of the BYE does not matter: the caller has left in any case.
		r.tell(ctx, call, result)
		return Outcome{End: CauseHangup}, nil
	case result.DialogLost:
		r.tell(ctx, call, result)
		// In the words of the call's own end, which is told when the outcome has been.
		return Outcome{}, ended(ctx, fmt.Errorf("%w (REFER rejected: %d)", ErrDialogLost, result.ReferCode))
	case r.CompleteURL == "":
		return Outcome{}, ended(ctx, nil)
	}
	release := endedFromHere(ctx, func() { hangUp(ctx, call) })
	reply, err := r.ask(ctx, call, result)
	release()
	if err = ended(ctx, err); err != nil {
		return Outcome{}, err
	}
	return Outcome{Replace: &reply}, nil
}

// endedFromHere has f called when the call is ended from our side before release is, which waits for f.
func endedFromHere(ctx context.Context, f func()) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		if cause := context.Cause(ctx); errors.Is(cause, ErrCompleted) || errors.Is(cause, ErrDrained) {
			f()
		}
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// outlive follows a REFER that the call did not outlive: its subscription lives on in the dialog (RFC 5057), so that
// the outcome still comes from the NOTIFY or the clock.
func (r *Refer) outlive(call Call, referral Referral) func(context.Context) {
	return func(ctx context.Context) {
		if !waitFor(ctx, referral) {
			referral.Interrupt()
			<-referral.Done()
		}
		r.tell(ctx, call, referral.Result())
	}
}

// tell sends referComplete where no document can follow any more: neither the reply nor a failed delivery changes
// anything then.
func (r *Refer) tell(ctx context.Context, call Call, result ReferResult) {
	if r.CompleteURL != "" {
		_, _ = r.ask(ctx, call, result)
	}
}

// ask delivers referComplete. The end of the call does not stop the delivery, which is bounded by its own time-outs.
func (r *Refer) ask(ctx context.Context, call Call, result ReferResult) (webhook.Reply, error) {
	return call.Ask(context.WithoutCancel(ctx),
		webhook.Target{URL: r.CompleteURL, Method: r.CompleteMethod},
		webhook.NewReferComplete(call.Info(), webhook.Refer{
			Success:    result.Success,
			ReferCode:  result.ReferCode,
			NotifyCode: result.NotifyCode,
		}))
}
