package scenario

import "time"

// ScriptedCall is a [Call] that reports to a test.
type ScriptedCall struct {
	*Call
	script *Script
}

// Answered waits for the INVITE's 2xx.
func (c *ScriptedCall) Answered() *Message {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	m, err := c.Call.Answered(ctx)
	c.script.check(err)
	return m
}

// Rejected waits for a final response to the INVITE that is not a 2xx: the one with the code, or any if that is 0.
func (c *ScriptedCall) Rejected(code int) *Message {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	m, err := c.Call.Answered(ctx)
	if err == nil {
		c.script.t.Fatalf("the INVITE was answered: %s", short(m))
	}
	if m == nil {
		c.script.check(err)
	}
	return c.script.answered(m, nil, code)
}

// Expect is [Call.Expect].
func (c *ScriptedCall) Expect(want string) *Message {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	m, err := c.Call.Expect(ctx, want)
	c.script.check(err)
	return m
}

// Never fails if a message of the pattern has come until now, returned by Expect or not.
func (c *ScriptedCall) Never(want string) {
	c.script.t.Helper()
	if got := c.Received(want); len(got) > 0 {
		c.script.t.Fatalf("%s came, which should not\n%s", short(got[0]), c.phone.Ladder())
	}
}

// ExpectRefer is [Call.ExpectRefer].
func (c *ScriptedCall) ExpectRefer() *ScriptedRefer {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	r, err := c.Call.ExpectRefer(ctx)
	c.script.check(err)
	return &ScriptedRefer{r, c}
}

// Send is [Call.Send].
func (c *ScriptedCall) Send(messages ...*Message) {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	c.script.check(c.Call.Send(ctx, messages...))
}

// Respond is [Call.Respond].
func (c *ScriptedCall) Respond(req *Message, code int, headers ...Header) {
	c.script.t.Helper()
	c.script.check(c.Call.Respond(req, code, headers...))
}

// Do sends a request and returns its final response, which must have the code unless that is 0.
func (c *ScriptedCall) Do(req *Message, code int) *Message {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	res, err := c.Call.Do(ctx, req)
	return c.script.answered(res, err, code)
}

// Ack is [Call.Ack].
func (c *ScriptedCall) Ack(res *Message) {
	c.script.t.Helper()
	c.Send(c.ackFor(res))
}

// Bye ends the call; the answer must be 200.
func (c *ScriptedCall) Bye() *Message {
	c.script.t.Helper()
	return c.Do(c.New("BYE", "", nil), 200)
}

// Cancel cancels the newest INVITE; the answer to the CANCEL must be 200.
func (c *ScriptedCall) Cancel() {
	c.script.t.Helper()
	m, err := c.NewCancel()
	c.script.check(err)
	c.Do(m, 200)
}

// ReInvite is [Call.ReInvite]; the answer must be 200.
func (c *ScriptedCall) ReInvite(o Offer) *Message {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	res, err := c.Call.ReInvite(ctx, o)
	return c.script.answered(res, err, 200)
}

// Hold is [Call.Hold]; the answer must be 200.
func (c *ScriptedCall) Hold() *Message {
	c.script.t.Helper()
	return c.ReInvite(Offer{Direction: SendOnly})
}

// Resume is [Call.Resume]; the answer must be 200.
func (c *ScriptedCall) Resume() *Message {
	c.script.t.Helper()
	return c.ReInvite(Offer{})
}

// Notify sends a NOTIFY; the answer must have the code unless that is 0.
func (c *ScriptedCall) Notify(n Notify, code int) *Message {
	c.script.t.Helper()
	return c.Do(c.NewNotify(n), code)
}

// Listen is [Call.Listen].
func (c *ScriptedCall) Listen(enough func(Sound) bool) Sound {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	s, err := c.Call.Listen(ctx, enough)
	c.script.check(err)
	return s
}

// SendTone is [Call.SendTone].
func (c *ScriptedCall) SendTone(hertz float64, length time.Duration) {
	c.script.t.Helper()
	ctx, done := c.script.wait()
	defer done()
	c.script.check(c.Call.SendTone(ctx, hertz, length))
}

// ScriptedRefer is a [Refer] that reports to a test.
type ScriptedRefer struct {
	*Refer
	call *ScriptedCall
}

// Reply answers the REFER.
func (r *ScriptedRefer) Reply(code int, headers ...Header) {
	r.call.script.t.Helper()
	r.call.script.check(r.Refer.Respond(code, headers...))
}

// Challenge is [Refer.Challenge].
func (r *ScriptedRefer) Challenge(c Challenge) {
	r.call.script.t.Helper()
	r.call.script.check(r.Refer.Challenge(c))
}

// Notify sends a NOTIFY with the status line as its sipfrag; the answer must be 200.
func (r *ScriptedRefer) Notify(frag string) *Message {
	r.call.script.t.Helper()
	return r.call.Notify(Notify{Frag: frag}, 200)
}
