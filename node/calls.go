package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/google/uuid"
	"go.uber.org/zap"
)

// calls finds the applications of calls, and runs them.
type calls struct {
	node *Node
	opts []interpreter.Option // of all runners

	mu      sync.Mutex
	runners map[string]*interpreter.Runner // of the calls that are being served, by id
	takes   map[string]*takes
}

func newCalls(n *Node) *calls {
	opts := []interpreter.Option{
		interpreter.WithLogger(n.log), interpreter.WithPanicHandler(func(any) { n.metrics.PanicRecovered() }),
	}
	if n.tracing != nil {
		opts = append(opts, interpreter.WithTracer(n.tracing))
	}
	return &calls{node: n, opts: opts, runners: map[string]*interpreter.Runner{}, takes: map[string]*takes{}}
}

// admit decides about a new call. It is called in the INVITE's own goroutine.
func (c *calls) admit(inv sipstack.Invitation) (sipstack.Admission, error) {
	app := c.application(inv)
	if app == nil {
		return nil, &sipstack.StatusError{Method: "INVITE", Code: 404}
	}
	room, err := c.node.gate.enter(app.ID, time.Now())
	if err != nil {
		return nil, err
	}
	return &admission{calls: c, id: newCallID(), inv: inv, app: app, room: room}, nil
}

// application returns the first application whose globs match the Request-URI: against its user part, or against
// user@host where the glob holds an @. As two URIs are compared (RFC 3261 section 19.1.4), an escaped character is the
// character, and the host has no letter case. nil: there is none.
func (c *calls) application(inv sipstack.Invitation) *Application {
	user, err := url.PathUnescape(inv.User)
	if err != nil {
		user = inv.User
	}
	userHost := user + strings.ToLower(strings.TrimPrefix(inv.UserHost, inv.User))
	for i := range c.node.cfg.Applications {
		app := &c.node.cfg.Applications[i]
		for _, glob := range app.Match {
			subject := user
			if at := strings.LastIndexByte(glob, '@'); at >= 0 {
				glob, subject = glob[:at]+strings.ToLower(glob[at:]), userHost
			}
			if matches(glob, subject) {
				return app
			}
		}
	}
	return nil
}

// matches is [path.Match] without its respect for slashes, which are ordinary characters in a user part.
func matches(glob, subject string) bool {
	ok, err := path.Match(strings.ReplaceAll(glob, "/", "\x00"), strings.ReplaceAll(subject, "/", "\x00"))
	return ok && err == nil
}

// admission is one call that was let in.
type admission struct {
	calls *calls
	id    string
	inv   sipstack.Invitation
	app   *Application
	room  *ticket
}

var _ sipstack.Admission = (*admission)(nil)

func (a *admission) CallID() string { return a.id }

func (a *admission) Abandon() { a.room.leave() }

// Serve runs the call in the goroutine that the stack gives it.
func (a *admission) Serve(sip *sipstack.Leg) {
	defer a.room.leave()
	call := a.calls.leg(a.id, a.room, sip)
	a.calls.serve(call, a.app, func(ctx context.Context, runner *interpreter.Runner, limits interpreter.Limits) {
		runner.Run(ctx, limits, a.arrival(), call)
	})
}

// arrival is what events tell of the call.
func (a *admission) arrival() *interpreter.Arrival {
	n := a.calls.node
	return &interpreter.Arrival{Invite: invited(a.inv), Call: webhook.Call{
		AccountID:     n.cfg.AccountID,
		ApplicationID: a.app.ID,
		From:          a.inv.From,
		To:            a.inv.To,
		Direction:     webhook.Inbound,
		CallID:        a.id,
		CallURL:       n.callURL(a.id),
		StartTime:     a.inv.Time,
		SIPCallID:     a.inv.SIPCallID,
	}}
}

// invited is what the first event tells of an INVITE.
func invited(inv sipstack.Invitation) webhook.Invite {
	return webhook.Invite{UUI: inv.UUI, SIPHeaders: inv.XHeaders, Diversion: inv.Diversion, StirShaken: inv.StirShaken}
}

// leg makes the leg of a call, as its runner sees it. What it needs on the stack is not to be there as long as the call lasts,
// as it would be within its caller.
//
//go:noinline
func (c *calls) leg(id string, room *ticket, sip *sipstack.Leg) *leg {
	n := c.node
	call := &leg{
		takes: takes{callID: id, keeper: n.keeper}, callID: id, room: room,
		sip: sip, sound: n.media, targets: n.cfg.Refer.AllowTargets, tracing: n.tracing, streams: n.streams, scribe: n.scribe,
	}
	if sound := sip.Media(); sound != nil {
		call.takes.listen = sound.Listen
	}
	return call
}

// serve has a runner of its own run a call of an application.
func (c *calls) serve(call *leg, app *Application, run func(context.Context, *interpreter.Runner, interpreter.Limits)) {
	ctx, end := c.begin(call)
	defer end(nil)
	defer call.takes.end()
	runner := c.newRunner(app)
	defer c.serving(call.callID, runner, &call.takes)()
	run(ctx, runner, interpreter.Limits{Drained: c.node.drained, Closed: c.node.closed})
	c.served(call)
}

// begin has the call's goroutine told of what comes from its leg. It and served are functions of their own, as what they need on
// the stack would be there as long as the call lasts.
//
//go:noinline
func (c *calls) begin(call *leg) (context.Context, context.CancelCauseFunc) {
	ctx, end := context.WithCancelCause(c.node.drained)
	call.sip.OnDigit(call.press)
	call.sip.OnEnd(func(cause error) {
		call.takes.end()
		call.ended()
		end(translated(cause))
	})
	if errors.Is(call.sip.Err(), sipstack.ErrLocalHangup) {
		end(verbs.ErrRemoteHangup) // by another process, which did not come to write down why
	}
	return ctx, end
}

//go:noinline
func (c *calls) served(call *leg) {
	if line := c.node.log.Check(zap.DebugLevel, "call served"); line != nil {
		line.Write(zap.String("call_id", call.callID))
	}
}

// newRunner makes the runner of a call. It is not inlined for the same reason as leg.
//
//go:noinline
func (c *calls) newRunner(app *Application) *interpreter.Runner {
	n := c.node
	return interpreter.New(
		interpreter.Config{RejectCode: n.cfg.SIP.RejectCode},
		app.forInterpreter(), n.parser, &timedAsker{n.client, n.gate, app.ID}, n.outbox, n.journal, c.opts...,
	)
}

// timedAsker tells the gate how long its application takes to answer the event of a new call.
type timedAsker struct {
	interpreter.Asker
	gate        *gate
	application string
}

// Ask implements [interpreter.Asker].
func (a *timedAsker) Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error) {
	began := time.Now()
	reply, err := a.Asker.Ask(ctx, to, ev)
	if ev.Type == "initiate" {
		a.gate.waited(a.application, time.Since(began))
	}
	return reply, err
}

// newCallID makes an id of the shape that the API promises: "c-" and groups of hexadecimal digits.
func newCallID() string { return newID("c-") }

func newID(prefix string) string {
	var head [4]byte
	_, _ = rand.Read(head[:]) // never fails
	return prefix + hex.EncodeToString(head[:]) + "-" + uuid.NewString()
}

// forInterpreter gives the application as its calls see it.
func (a Application) forInterpreter() interpreter.Application {
	initiate := webhook.Target{
		URL: a.CallInitiatedCallbackURL, Method: a.CallInitiatedMethod,
		Auth: basicAuth(a.Username, a.Password),
	}
	if a.CallInitiatedFallbackURL != "" {
		initiate.Fallback = &webhook.Target{
			URL: a.CallInitiatedFallbackURL, Method: a.CallInitiatedFallbackMethod,
			Auth: basicAuth(a.FallbackUsername, a.FallbackPassword), Timeout: a.CallbackTimeout,
		}
	}
	return interpreter.Application{
		Initiate: initiate,
		Status: webhook.Target{
			URL: a.CallStatusCallbackURL, Method: a.CallStatusMethod, Auth: basicAuth(a.Username, a.Password),
		},
		Timeout: a.CallbackTimeout,
		Tag:     a.Tag,
	}
}

func basicAuth(username, password string) *webhook.BasicAuth {
	if username == "" && password == "" {
		return nil
	}
	return &webhook.BasicAuth{Username: username, Password: password}
}
