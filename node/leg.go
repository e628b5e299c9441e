package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
)

// leg is a SIP leg with its sound, as an interpreter sees it.
type leg struct {
	callID  string
	sip     *sipstack.Leg
	sound   *media.Engine
	room    *ticket
	targets []string // globs over the hosts that a caller may be referred to; none: any
	tracing *tracing
	streams *streams
	sent    *sipstack.Referral // by another process, for the first Refer; nil: none
	scribe  *scribe
	keypad
	takes

	mu       sync.Mutex
	gone     bool      // the other side has ended the call
	referral *referral // the newest
}

var _ interpreter.Leg = (*leg)(nil)

func (l *leg) Answer(ctx context.Context) error {
	l.room.answer()
	return translated(l.sip.Answer(ctx))
}

func (l *leg) Ring(ctx context.Context) error { return translated(l.sip.Ring(ctx)) }

func (l *leg) Reject(ctx context.Context, status int) error { return l.sip.Reject(ctx, status) }

func (l *leg) Bye(ctx context.Context) error {
	l.takes.end() // what outlives the call is not to be recorded
	return l.sip.Bye(ctx)
}

func (l *leg) EndTime() time.Time { return l.sip.EndTime() }

// CanRefer holds the rule that only SIP URI calls can be referred, and the operator's list of hosts (toll fraud).
func (l *leg) CanRefer(target string) error {
	if l.sip.Invitation().Trunk {
		return errors.New("only an inbound SIP URI call can be referred, and this one came from a telephone trunk")
	}
	if len(l.targets) == 0 {
		return nil
	}
	host := hostOf(target)
	for _, glob := range l.targets {
		if ok, err := path.Match(strings.ToLower(glob), host); ok && err == nil {
			return nil
		}
	}
	return fmt.Errorf("the host %q is not among those of refer.allow_targets", host)
}

// hostOf returns the host of a SIP URI that has been validated, in lower case and without brackets.
func hostOf(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	// The user part may hold ";" and "?" but no "@", and nothing after the host may hold one unescaped (RFC 3261 section 25.1).
	if _, host, ok := strings.Cut(rest, "@"); ok {
		rest = host
	}
	if i := strings.IndexAny(rest, ";?"); i >= 0 {
		rest = rest[:i]
	}
	if host, _, err := net.SplitHostPort(rest); err == nil {
		rest = host
	}
	return strings.ToLower(strings.Trim(rest, "[]"))
}

func (l *leg) Refer(ctx context.Context, target string) (verbs.Referral, error) {
	r := l.sent
	if l.sent = nil; r == nil {
		takeBack := l.tracing.refers(ctx, l.callID)
		var err error
		if r, err = l.sip.Refer(ctx, target); err != nil {
			takeBack()
			return nil, translated(err)
		}
	}
	f := &referral{Referral: r}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.referral = f; l.gone {
		f.outlive()
	}
	return f, nil
}

// ended notes that the other side has ended the call. What a referral's Done tells afterwards came after that.
func (l *leg) ended() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone = true; l.referral != nil {
		l.referral.outlive()
	}
}

// referral is a REFER under way, as the verbs see it.
type referral struct {
	*sipstack.Referral
	outlived atomic.Bool // the call had ended when the outcome was not known yet
}

func (r *referral) outlive() {
	select {
	case <-r.Done():
	default:
		r.outlived.Store(true)
	}
}

func (r *referral) Result() verbs.ReferResult {
	s := r.Referral.Result()
	return verbs.ReferResult{
		Success:    s.Status == sipstack.ReferSuccess,
		ReferCode:  s.ReferCode,
		NotifyCode: s.NotifyCode,
		DialogLost: s.DialogLost,
		CallGone:   r.outlived.Load(),
	}
}

func (l *leg) Speak(ctx context.Context, s verbs.Speech) error {
	return l.play(ctx, "SpeakSentence", func() (media.Source, error) {
		return l.sound.Speak(ctx, media.Utterance{
			Voice: s.Voice, Locale: s.Locale, Gender: s.Gender, Text: s.Text, SSML: s.SSML, CallID: l.callID,
		})
	})
}

func (l *leg) PlayURL(ctx context.Context, address string, auth *webhook.BasicAuth) error {
	return l.play(ctx, "PlayAudio", func() (media.Source, error) {
		if callID, id, own := l.keeper.own(address); own {
			return l.keeper.source(ctx, callID, id)
		}
		var credentials *media.Auth
		if auth != nil {
			credentials = &media.Auth{Username: auth.Username, Password: auth.Password}
		}
		return l.sound.Fetch(ctx, address, credentials)
	})
}

func (l *leg) PlayRinging(ctx context.Context) error {
	err := l.play(ctx, "Ring", func() (media.Source, error) { return media.Ringing(), nil })
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *leg) SendDigits(ctx context.Context, strokes []verbs.Stroke) error {
	keys := make([]media.Stroke, len(strokes))
	for i, s := range strokes {
		keys[i] = media.Stroke(s)
	}
	err := media.ErrClosed
	if sound := l.sip.Media(); sound != nil {
		err = sound.SendDigits(ctx, keys)
	}
	return l.played(ctx, "SendDtmf", err)
}

// play plays a source to its end. What cannot be opened or decoded is something that the call cannot do.
func (l *leg) play(ctx context.Context, verb string, open func() (media.Source, error)) error {
	src, err := open()
	if err == nil {
		err = media.ErrClosed
		if sound := l.sip.Media(); sound != nil {
			err = sound.Play(ctx, src)
		}
		_ = src.Close() // the source was read as far as it was wanted
	}
	return l.played(ctx, verb, err)
}

// played tells what became of the playing.
func (l *leg) played(ctx context.Context, verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &verbs.ActionError{Verb: verb, Reason: err.Error(), Err: err}
}
