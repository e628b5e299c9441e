package scenario

import (
	"context"
	"time"
)

// TB is what a script needs of a test: *testing.T and *testing.B have it.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// Patience is how long a script waits for something before it fails, unless it says otherwise: longer than any timer of
// SIP. In a bubble that takes no time.
const Patience = 90 * time.Second

// Script makes phones and applications that report to a test. Their methods have the names of the core types' methods;
// they take no context, wait for the script's patience, and end the test where those return an error. What is made is
// closed when the test ends.
type Script struct {
	t        TB
	network  Network
	patience time.Duration
}

// NewScript makes a script on a network. A patience of 0 is [Patience].
func NewScript(t TB, n Network, patience time.Duration) *Script {
	if patience == 0 {
		patience = Patience
	}
	return &Script{t, n, patience}
}

func (s *Script) wait() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.patience)
}

func (s *Script) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v", err)
	}
}

// answered checks the code of a response; 0: any.
func (s *Script) answered(res *Message, err error, code int) *Message {
	s.t.Helper()
	s.check(err)
	if code != 0 && res.Code() != code {
		s.t.Fatalf("%s got %s, want %d", res.Method(), short(res), code)
	}
	return res
}

// Phone makes a phone.
func (s *Script) Phone(cfg PhoneConfig) *ScriptedPhone {
	s.t.Helper()
	ctx, done := s.wait()
	defer done()
	p, err := NewPhone(ctx, s.network, cfg)
	s.check(err)
	s.t.Cleanup(func() { _ = p.Close() })
	return &ScriptedPhone{p, s}
}

// Application makes an application.
func (s *Script) Application(cfg ApplicationConfig) *ScriptedApplication {
	s.t.Helper()
	ctx, done := s.wait()
	defer done()
	a, err := NewApplication(ctx, s.network, cfg)
	s.check(err)
	s.t.Cleanup(func() { _ = a.Close() })
	return &ScriptedApplication{a, s}
}

// ScriptedPhone is a [Phone] that reports to a test.
type ScriptedPhone struct {
	*Phone
	script *Script
}

// Invite is [Phone.Invite].
func (p *ScriptedPhone) Invite(in Invite) *ScriptedCall {
	p.script.t.Helper()
	ctx, done := p.script.wait()
	defer done()
	c, err := p.Phone.Invite(ctx, in)
	p.script.check(err)
	return &ScriptedCall{c, p.script}
}

// Call is [Phone.Call] with nothing but a URI.
func (p *ScriptedPhone) Call(uri string) *ScriptedCall {
	p.script.t.Helper()
	c := p.Invite(Invite{To: uri})
	c.Answered()
	return c
}

// Accept is [Phone.Accept].
func (p *ScriptedPhone) Accept() *ScriptedCall {
	p.script.t.Helper()
	ctx, done := p.script.wait()
	defer done()
	c, err := p.Phone.Accept(ctx)
	p.script.check(err)
	return &ScriptedCall{c, p.script}
}

// Expect is [Phone.Expect].
func (p *ScriptedPhone) Expect(want string) *Message {
	p.script.t.Helper()
	ctx, done := p.script.wait()
	defer done()
	m, err := p.Phone.Expect(ctx, want)
	p.script.check(err)
	return m
}

// Next is [Phone.Next].
func (p *ScriptedPhone) Next() *Message {
	p.script.t.Helper()
	return p.Expect("*")
}

// Send is [Phone.Send].
func (p *ScriptedPhone) Send(peer string, messages ...*Message) {
	p.script.t.Helper()
	ctx, done := p.script.wait()
	defer done()
	p.script.check(p.Phone.Send(ctx, peer, messages...))
}

// ScriptedApplication is an [Application] that reports to a test.
type ScriptedApplication struct {
	*Application
	script *Script
}

// Expect is [Application.Expect].
func (a *ScriptedApplication) Expect(want string) *ScriptedEvent {
	a.script.t.Helper()
	ctx, done := a.script.wait()
	defer done()
	e, err := a.Application.Expect(ctx, want)
	a.script.check(err)
	return &ScriptedEvent{e, a.script}
}

// ScriptedEvent is an [Event] that reports to a test.
type ScriptedEvent struct {
	*Event
	script *Script
}

// Check is [Event.Check].
func (e *ScriptedEvent) Check(want map[string]any) *ScriptedEvent {
	e.script.t.Helper()
	e.script.check(e.Event.Check(want))
	return e
}
