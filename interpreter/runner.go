package interpreter

import (
	"cmp"
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/google/uuid"
	"go.uber.org/zap"
)

// Application is the web application that a call belongs to.
type Application struct {
	Initiate webhook.Target // where the first document comes from
	Status   webhook.Target // where disconnect goes; without a URL it is not sent
	Timeout  time.Duration  // of every webhook of the call; 0: the client's default
	Tag      string         // that a new call starts with
}

// Config is what runners share.
type Config struct {
	RejectCode int // final status of a call that is hung up unanswered; 0: 603
}

// failedCode is the final status of an unanswered call that ends with an error. 503 would tell proxies that the whole
// node is down.
const failedCode = 500

// Runner runs one call, once.
type Runner struct {
	asker      Asker
	sender     Sender
	journal    Journal
	parser     Parser
	app        Application
	rejectCode int
	log        *zap.Logger
	callID     string
	panicked   func(any)
	tracer     Tracer
	changes    *changes
}

// Option replaces a default of [New].
type Option func(*Runner)

// WithLogger sets the logger; the runner adds call_id. Default: none.
func WithLogger(l *zap.Logger) Option { return func(r *Runner) { r.log = l } }

// WithPanicHandler is told the value of a panic that ended a call. Default: nobody.
func WithPanicHandler(f func(any)) Option { return func(r *Runner) { r.panicked = f } }

// New returns the runner of one call of app.
func New(cfg Config, app Application, p Parser, a Asker, s Sender, j Journal, opts ...Option) *Runner {
	r := &Runner{
		asker: a, sender: s, journal: j, parser: p, app: app,
		rejectCode: cfg.RejectCode, panicked: func(any) {}, tracer: nobody{},
		changes: &changes{},
	}
	if r.rejectCode == 0 {
		r.rejectCode = 603
	}
	for _, o := range opts {
		o(r)
	}
	if r.log == nil {
		r.log = zap.NewNop()
	}
	return r
}

// Limits bound what does not depend on the call's life: a referral that outlives it, a referComplete on its way.
type Limits struct {
	Drained context.Context // ends when the time of a drain is over: a referral ends with what is known so far
	Closed  context.Context // ends when the node can wait no longer: webhooks on their way are given up
}

// Arrival is a call that has come in.
type Arrival struct {
	Call   webhook.Call
	Invite webhook.Invite
}

// Run runs the call from its arrival to its end and returns when nothing of it is left to do. ctx is the call's: whoever
// learns that the call is over cancels it with one of the errors of package verbs.
//
// Whatever happens, a panic included, Run ends the call on the wire, journals its end, and hands over one disconnect event.
func (r *Runner) Run(ctx context.Context, limits Limits, arrival *Arrival, leg Leg) {
	c := r.newCall(ctx, limits, arrival, leg)
	defer c.end(nil)
	defer c.behind.all.Wait()
	ctx, traced := r.begin(c, arrival.Invite.StirShaken)
	how := r.execute(ctx, c, r.initiate(c, &arrival.Invite))
	r.finish(ctx, c, how)
	traced(fault(how.err))
}

// newCall is a function of its own, as is begin: what they need on the stack would be there as long as the call lasts.
//
//go:noinline
func (r *Runner) newCall(ctx context.Context, limits Limits, arrival *Arrival, leg Leg) *call {
	ctx, end := context.WithCancelCause(ctx)
	return &call{Runner: r, leg: leg, info: arrival.Call, limits: limits, life: ctx, end: end}
}

// begin journals that there is a call.
func (r *Runner) begin(c *call, stirShaken map[string]string) (context.Context, func(error)) {
	ctx, info := c.life, c.Info()
	r.callID = info.CallID
	r.changes.begin(ctx, c.end)
	if info.Tag == "" {
		info.Tag = r.app.Tag
		c.change(func(own *webhook.Call) { own.Tag = info.Tag })
	}
	tag := info.Tag // an entry is a value: the call's own tag will change
	r.note(state.Entry{Type: state.TypeCall, Call: &state.Call{
		Event: state.CallInitiated, AccountID: info.AccountID, ApplicationID: info.ApplicationID,
		From: info.From, To: info.To, Direction: string(info.Direction), SIPCallID: info.SIPCallID,
		At: info.StartTime, Tag: &tag, StirShaken: stirShaken,
	}})
	return r.tracer.Call(ctx, info)
}

// ending is how the documents of a call came to their end.
type ending struct {
	err   error // nil: an ordinary end
	cause verbs.Cause
	after func(context.Context)
	// message is what is told of it where err is not known any more.
	message string
}

// initiate asks for the first document.
func (r *Runner) initiate(c *call, invite *webhook.Invite) func(context.Context) (webhook.Reply, error) {
	return func(ctx context.Context) (webhook.Reply, error) {
		return c.Ask(ctx, r.app.Initiate, webhook.NewInitiate(c.Info(), *invite))
	}
}

func (r *Runner) execute(ctx context.Context, c *call, next func(context.Context) (webhook.Reply, error)) (e *ending) {
	defer func() {
		if v := recover(); v != nil {
			r.recovered(v)
			e = &ending{err: recovered(v)}
		}
	}()
	for {
		e = r.stretch(ctx, c, next)
		if e.settle(ctx, c.over); e.final(ctx) {
			return e
		}
		taken := r.changes.take()
		if len(taken) == 0 {
			return e
		}
		next = r.follow(c, taken)
	}
}

// stretch runs what the first document leads to, until the call is to end or another document takes its place.
func (r *Runner) stretch(ctx context.Context, c *call, first func(context.Context) (webhook.Reply, error)) *ending {
	ctx, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	r.changes.document(interrupt)
	if ctx.Err() != nil && (c.resumed == nil || !c.resumed.amid) {
		return &ending{err: context.Cause(ctx)}
	}
	reply, err := first(ctx)
	if err != nil {
		return &ending{err: because(ctx, err)}
	}
	return r.documents(ctx, c, &reply)
}

// settle tells the end of the call itself where that came upon a document that was being replaced.
func (e *ending) settle(ctx context.Context, over error) {
	switch {
	case !errors.Is(e.err, verbs.ErrReplaced):
	case ctx.Err() != nil:
		e.err = context.Cause(ctx)
	case over != nil:
		e.err = over
	}
}

// final reports whether the call is over, so that no other document can take the place of the one that ended.
func (e *ending) final(ctx context.Context) bool {
	return ctx.Err() != nil || e.after != nil || remote(e.err)
}

// finish ends the call on the wire if it is up, then tells of it: journal first, then the application, then whatever
// outlives the call.
func (r *Runner) finish(ctx context.Context, c *call, e *ending) {
	r.changes.close()
	r.noteChanges()
	cause, message := causeOf(e.err)
	if e.err == nil && e.cause != "" {
		cause, message = e.cause, e.message
	}
	if !remote(e.err) {
		code := r.rejectCode
		if e.err != nil && !errors.Is(e.err, verbs.ErrCompleted) || message != "" {
			code = failedCode
		}
		if err := c.hangup(ctx, code); err != nil {
			r.logger().Debug("hanging up was not confirmed", zap.Error(err))
		}
	}
	c.endAll(cmp.Or(e.err, verbs.ErrHungUp)) // their events come before disconnect
	end := webhook.End{Time: c.leg.EndTime(), Cause: string(cause), ErrorMessage: message}
	if end.Time.IsZero() {
		end.Time = time.Now()
	}
	if message != "" {
		end.ErrorID = uuid.NewString()
	}
	r.note(state.Entry{Type: state.TypeCall, Call: &state.Call{
		Event: state.CallEnded, At: end.Time, Cause: end.Cause, ErrorMessage: message, ErrorID: end.ErrorID,
		Untold: r.app.Status.URL == "", Outlived: e.after != nil,
	}})
	r.disconnect(context.WithoutCancel(ctx), c, end)
	r.outlive(ctx, c, e.after)
}

// outlive does what a verb has left to do.
func (r *Runner) outlive(ctx context.Context, c *call, after func(context.Context)) {
	if after == nil {
		return
	}
	r.guard(func() { after(valued{c.limits.Drained, context.WithoutCancel(ctx)}) })
	r.settle()
}

// settle says that nothing of the call is left to do.
func (r *Runner) settle() {
	r.note(state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallSettled}})
}

func (r *Runner) disconnect(ctx context.Context, c *call, end webhook.End) {
	if r.app.Status.URL == "" {
		return
	}
	to := r.app.Status
	to.Timeout = r.app.Timeout
	if err := r.sender.Send(ctx, to, webhook.NewDisconnect(c.Info(), end)); err != nil {
		r.logger().Error("the disconnect event could not be stored", zap.Error(err))
	}
}

// guard keeps a panic within the call.
func (r *Runner) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			r.recovered(v)
		}
	}()
	f()
}

// logger returns the logger of the call's lines. It is made for each of them: there are few, and many calls.
func (r *Runner) logger() *zap.Logger { return r.log.WithLazy(zap.String("call_id", r.callID)) }

func (r *Runner) recovered(v any) {
	r.logger().Error("a call failed inside the node", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	r.panicked(v)
}

// note appends to the call's journal. The journal outlives the call's context; that it cannot be written is reported,
// and the call goes on.
func (r *Runner) note(e state.Entry) {
	e.CallID = r.callID
	if _, err := r.journal.Append(context.Background(), e); err != nil {
		r.logger().Error("the journal could not be written", zap.Error(err))
	}
}
