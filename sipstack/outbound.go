package sipstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	randv2 "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Outbound says what a call of ours is like.
type Outbound struct {
	CallID string   // the call's, under which the observer is told of it; not SIP's, which is a new one
	To     string   // SIP URI of who is called: Request-URI and To
	From   string   // SIP URI of who calls; "": our own at the first listener, without a user
	Routes []string // SIP URIs of the proxies that the INVITE goes through, in order; nil: it goes where To says

	// Progress is told the code of every provisional response but 100, in order; nil: nobody. It must not block.
	Progress func(code int)
}

// Invite places a call: it sends an INVITE with an offer of ours, and returns the leg when that is answered, acknowledged,
// and has its sound. The leg is the caller's to end with Bye; its Invitation is the zero value, and it is neither Rung nor
// Rejected. Of several 2xx, which a proxy that forks may send, the first counts; the others are acknowledged and hung up.
// A challenge is answered from Config.Credentials, once, and once more if the nonce was stale.
//
// A refusal is a [StatusError], redirections (3xx) among them. Other errors are [ErrNoMedia] when the answer could not be
// used (the call was hung up), [ErrClosed], and those of an INVITE that could not be sent, or got no answer at any of its
// targets: each of them has the transaction timeout for its first response. How long it may ring is the context's affair:
// when that ends first its cause is returned at once. The INVITE is canceled then, as soon as it has got a response (RFC
// 3261 section 9.1), and hung up if it is answered all the same.
//
// Reliable provisional responses are acknowledged (RFC 3262). A description in one of them is the answer to the offer; in
// others it is none (RFC 3261 section 13.2.1). The sound begins with the 2xx all the same.
func (s *Stack) Invite(ctx context.Context, call Outbound) (*Leg, error) {
	o, err := s.newOutgoing(call)
	if err != nil {
		return nil, err
	}
	if !s.spawn(o.run) {
		o.abandon()
		return nil, ErrClosed
	}
	select {
	case <-o.settled:
	case <-ctx.Done():
		if o.giveUp() {
			return nil, context.Cause(ctx)
		}
	}
	return o.leg, o.err // settled
}

// outgoing is an INVITE of ours that opens dialogs, and what came of it.
type outgoing struct {
	stack  *Stack
	call   Outbound
	id     outgoingID
	log    *zap.Logger
	from   sip.Uri
	to     sip.Uri
	routes []sip.Uri
	sound  *session // the offer; every fork has a copy

	canceled chan struct{} // closed when the caller gave up
	settled  chan struct{} // closed when leg and err are final

	mu     sync.Mutex
	over   bool // settled or canceled is closed
	leg    *Leg
	err    error
	sent   map[string]sentInvite // by branch
	branch string                // of the one whose first answer is awaited; "": none is
	forks  map[string]*fork      // by remote tag
	forget *time.Timer
}

// sentInvite is an INVITE as it went out: to another target, or with credentials, it is another one.
type sentInvite struct {
	req *sip.Request // a copy: sipgo has the other
	to  flow
}

// outgoingID is what the responses to an INVITE of ours have in common.
type outgoingID struct{ callID, tag string }

func (s *Stack) newOutgoing(call Outbound) (*outgoing, error) {
	bound := s.bound()
	if len(bound) == 0 {
		return nil, errors.New("sipstack: not started")
	}
	o := &outgoing{
		stack: s, call: call, log: s.log.With(zap.String("call_id", call.CallID)),
		id:       outgoingID{callID: rand.Text(), tag: rand.Text()},
		canceled: make(chan struct{}), settled: make(chan struct{}), forks: map[string]*fork{}, sent: map[string]sentInvite{},
	}
	var err error
	if o.to, err = sipURI(call.To); err != nil {
		return nil, fmt.Errorf("the call's To: %w", err)
	}
	o.to = requestURI(o.to)
	o.from = s.contact(bound[0], "")
	if call.From != "" {
		if o.from, err = sipURI(call.From); err != nil {
			return nil, fmt.Errorf("the call's From: %w", err)
		}
	}
	for _, r := range call.Routes {
		uri, err := sipURI(r)
		if err != nil {
			return nil, fmt.Errorf("the call's Routes: %w", err)
		}
		o.routes = append(o.routes, uri)
	}
	sound, err := s.media.Open(call.CallID)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	o.sound = &session{
		media: sound, agreed: func(p media.Params) { s.observer.Media(call.CallID, p) },
		local: sdpLocal{port: sound.Port(), codecs: s.cfg.Codecs, keys: s.newKeys(), sessionID: uint64(randv2.Uint32()), version: 1},
	}
	if !s.placed(o) {
		_ = sound.Close()
		return nil, ErrClosed
	}
	s.tap.bind(o.id.callID, call.CallID)
	return o, nil
}

func sipURI(s string) (sip.Uri, error) {
	var u sip.Uri
	if err := sip.ParseUri(s, &u); err != nil {
		return u, fmt.Errorf("%q: %w", s, err)
	}
	if !strings.EqualFold(u.Scheme, "sip") && !strings.EqualFold(u.Scheme, "sips") || u.Host == "" {
		return u, fmt.Errorf("%q is no SIP URI", s)
	}
	return u, nil
}

// giveUp is called when the caller waits no longer; false: the result is there.
func (o *outgoing) giveUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	o.over = true
	close(o.canceled)
	return true
}

func (o *outgoing) isCanceled() bool {
	select {
	case <-o.canceled:
		return true
	default:
		return false
	}
}

// settle makes the result known; false: nobody waits for it.
func (o *outgoing) settle(leg *Leg, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false
	}
	o.over, o.leg, o.err = true, leg, err
	close(o.settled)
	return true
}

// run sends the INVITE, and stays until it has its final response and, where that is a 2xx, its ACK.
func (o *outgoing) run() {
	defer o.linger()
	defer func() {
		if v := recover(); v != nil {
			o.stack.observer.Panic(o.call.CallID, v)
			o.settle(nil, errBroken)
		}
	}()
	invite, res, err := o.place()
	switch {
	case err != nil:
		o.settle(nil, err)
	case res.StatusCode >= 300:
		o.settle(nil, &StatusError{Method: string(sip.INVITE), Code: res.StatusCode, Reason: res.Reason})
	default:
		o.answered(invite, res)
	}
	o.await("")
}

// linger keeps the INVITE known while answers may still come (RFC 3261 section 13.2.2.4: 64*T1), and then ends what became
// of no fork.
func (o *outgoing) linger() {
	if !o.hasLeg() {
		o.abandon()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stack.living.Err() == nil {
		o.forget = time.AfterFunc(linger(), func() { o.stack.spawn(o.lingered) })
	}
}

// lingered forgets the INVITE.
func (o *outgoing) lingered() {
	o.stack.displaced(o)
	for _, f := range o.early() {
		f.leg.over(ErrCanceled)
	}
}

// hasLeg reports whether the call has been answered, and its leg has the sound.
func (o *outgoing) hasLeg() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range o.forks {
		if !f.leg.dialog.spare.Load() {
			return true
		}
	}
	return false
}

// abandon ends what belongs to a call that has no leg.
func (o *outgoing) abandon() {
	if err := o.sound.media.Close(); err != nil {
		o.log.Debug("media not closed", zap.Error(err))
	}
	o.stack.tap.ended(o.id.callID, o.call.CallID)
}

// stop ends the remembering, when the stack is closed.
func (o *outgoing) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.forget != nil {
		o.forget.Stop()
	}
}

// placed notes an INVITE of ours; false: the stack is closed.
func (s *Stack) placed(o *outgoing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.outgoing[o.id] = o
	return true
}

func (s *Stack) displaced(o *outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.outgoing, o.id)
}

func (s *Stack) allOutgoing() []*outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.outgoing))
}

// outgoingOf returns the INVITE of ours that a 2xx belongs to; nil: none.
func (s *Stack) outgoingOf(res *sip.Response) *outgoing {
	if res.CallID() == nil || res.From() == nil || res.To() == nil || res.CSeq() == nil || !res.IsSuccess() || res.CSeq().MethodName != sip.INVITE {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outgoing[outgoingID{res.CallID().Value(), tagOf(res.From().Params)}]
}
