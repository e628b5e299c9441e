package interpreter

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// call is the call as its verbs see it. Everything in it belongs to the call's goroutine, but for what has a lock.
type call struct {
	*Runner
	leg  Leg
	base string // URL that returned the document that is running
	// offHook: a 200 was or is being sent, so the call ends with BYE and not with a final response.
	offHook bool
	hungUp  bool // there is nothing left to say BYE to
	limits  Limits
	life    context.Context // the call's own, which its documents' end with
	end     context.CancelCauseFunc
	over    error // why the call is over, as its leg said before life did
	behind  activities
	resumed *resumed // nil: nothing is left of another process

	mu   sync.Mutex // guards what follows
	info webhook.Call
}

var (
	_ verbs.Call       = (*call)(nil)
	_ verbs.Hanger     = (*call)(nil)
	_ verbs.Ringer     = (*call)(nil)
	_ verbs.Referrer   = (*call)(nil)
	_ verbs.Player     = (*call)(nil)
	_ verbs.Keypad     = (*call)(nil)
	_ verbs.Dialer     = (*call)(nil)
	_ verbs.Background = (*call)(nil)
	_ verbs.Recorder   = (*call)(nil)
	_ verbs.Resumed    = (*call)(nil)
)

func (c *call) Info() webhook.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// change changes the call's properties.
func (c *call) change(f func(*webhook.Call)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.info)
}

func (c *call) SetTag(tag string) {
	if c.resumed != nil && (c.resumed.behind || tag == c.Info().Tag) {
		return // it has been
	}
	c.change(func(info *webhook.Call) { info.Tag = tag })
	c.note(state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallTagged, Tag: &tag}})
}

func (c *call) Answer(ctx context.Context) error {
	if c.Info().Answered() {
		return nil
	}
	c.offHook = true
	at := time.Now()
	// A document that is replaced meanwhile does not leave the call half answered.
	if err := c.leg.Answer(valued{c.life, ctx}); err != nil {
		if remote(err) {
			c.over = err
		}
		return err
	}
	c.change(func(info *webhook.Call) { info.AnswerTime = at })
	c.note(state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallAnswered, At: at}})
	return nil
}

func (c *call) Ring(ctx context.Context) error {
	if c.Info().Answered() {
		return nil
	}
	if err := c.leg.Ring(ctx); err != nil {
		return err
	}
	c.note(state.Entry{Type: state.TypeCall, Call: &state.Call{Event: state.CallRinging}})
	return nil
}

// byeWait is how long the end of a call waits for the other side to confirm it. A BYE that is answered later, or never,
// goes on in the background: the application need not wait for it to be told.
const byeWait = time.Second

// Hangup ends the call from our side, and what goes on behind its verbs.
func (c *call) Hangup(ctx context.Context) error {
	err := c.hangup(ctx, c.rejectCode)
	c.endAll(verbs.ErrHungUp)
	return err
}

func (c *call) hangup(ctx context.Context, rejectWith int) error {
	if c.hungUp {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeWait)
	defer cancel()
	if !c.offHook {
		return c.leg.Reject(ctx, rejectWith)
	}
	err := c.leg.Bye(ctx)
	c.hungUp = err == nil
	return err
}

func (c *call) CanRefer(target string) error { return c.leg.CanRefer(target) }

func (c *call) Refer(ctx context.Context, target string) (verbs.Referral, error) {
	if c.resumed != nil && c.resumed.from.Referred {
		ctx = context.WithoutCancel(ctx) // it was sent before the call ended
	}
	if err := c.changes.refer(ctx); err != nil {
		return nil, err
	}
	referral, err := c.leg.Refer(ctx, target)
	if err != nil {
		c.changes.referred()
		return nil, err
	}
	return &watched{referral, c.changes}, nil
}

// watched is a referral whose failure, once it is looked at, lets the call be modified again, if it is up.
type watched struct {
	verbs.Referral
	changes *changes
}

func (w *watched) Result() verbs.ReferResult {
	result := w.Referral.Result()
	if !result.Success && !result.DialogLost {
		w.changes.referred()
	}
	return result
}

func (c *call) Digits() (keys <-chan byte, stop func()) { return c.leg.Digits() }

func (c *call) TakeDigits() (keys <-chan byte, stop func()) { return c.leg.TakeDigits() }

func (c *call) OverhearDigits() (keys <-chan byte, stop func()) { return c.leg.OverhearDigits() }

func (c *call) SendDigits(ctx context.Context, strokes []verbs.Stroke) error {
	var keys strings.Builder
	for _, s := range strokes {
		if s.Key != 0 {
			keys.WriteByte(s.Key)
		}
	}
	return c.play("digits "+keys.String(), func() error { return c.leg.SendDigits(ctx, strokes) })
}

func (c *call) Speak(ctx context.Context, s verbs.Speech) error {
	return c.play(s.Text, func() error { return c.leg.Speak(ctx, s) })
}

func (c *call) PlayURL(ctx context.Context, address string, auth *webhook.BasicAuth) error {
	return c.play(address, func() error { return c.leg.PlayURL(ctx, address, auth) })
}

func (c *call) PlayRinging(ctx context.Context) error {
	return c.play("ringing", func() error { return c.leg.PlayRinging(ctx) })
}

func (c *call) play(what string, sound func() error) error {
	c.noteMedia("playing", what)
	err := sound()
	c.noteMedia("played", what)
	return err
}

// URL resolves as RFC 3986 section 5 says. A document that was not fetched has no base, and a relative URL in it leads nowhere.
func (c *call) URL(ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("URL %q: %w", ref, err)
	}
	if c.base != "" {
		if base, err := url.Parse(c.base); err == nil {
			u = base.ResolveReference(u)
		}
	}
	if !u.IsAbs() {
		return "", fmt.Errorf("URL %q is relative, and the document has no URL of its own", ref)
	}
	return u.String(), nil
}

// Ask delivers ev, bounded by ctx, the time-out of the call's application, and what the node can wait at all.
func (c *call) Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error) {
	to, err := c.resolve(to)
	if err != nil {
		return webhook.Reply{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.limits.Closed, func() { cancel(context.Cause(c.limits.Closed)) })()
	return c.asker.Ask(ctx, to, c.repeated(ev))
}

func (c *call) resolve(to webhook.Target) (webhook.Target, error) {
	address, err := c.URL(to.URL)
	if err != nil {
		return to, err
	}
	to.URL = address
	if to.Timeout == 0 {
		to.Timeout = c.app.Timeout
	}
	if to.Fallback != nil {
		fallback, err := c.resolve(*to.Fallback)
		if err != nil {
			return to, err
		}
		to.Fallback = &fallback
	}
	return to, nil
}
