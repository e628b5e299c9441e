package sipstack

import (
	"math/rand/v2"
	"time"

	"github.com/callengine/callengine/media"
)

// revive has the restored dialog go on.
func (r *revival) revive() {
	l := r.leg
	switch {
	case r.unfit != nil:
		select {
		case <-l.confirmed: // its 200 may have to go out once more
		case <-l.ended:
		}
		l.hangUp(r.unfit)
		return
	case !l.isConfirmed(): // its INVITE is being handled
	case l.session.offering(): // the answer came with the ACK
		if r.history.ack == nil || l.session.confirm(r.history.ack, true) != nil {
			l.hangUp(ErrNoMedia)
			return
		}
	default:
		l.session.start()
	}
	if l.isConfirmed() {
		l.reviveTimer()
		l.reviveKeepAlive()
	}
	if r.moved {
		l.stack.spawn(func() {
			select {
			case <-l.confirmed:
				l.reoffer()
			case <-l.ended:
			}
		})
	}
}

// A restored dialog is soon asked for: the peer may have hung up meanwhile. A BYE that had no answer comes first: it is
// repeated every 4 s (T2).
const (
	soonest = 5 * time.Second
	soon    = 10 * time.Second
)

func (l *Leg) reviveKeepAlive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if every := l.stack.cfg.Keepalive; every > 0 && l.err == nil {
		l.probing = time.AfterFunc(min(every, soonest+rand.N(soon-soonest)), l.probe)
	}
}

// reviveTimer has the session timer run on. A refresh that came meanwhile comes once more.
func (l *Leg) reviveTimer() {
	l.timer.mu.Lock()
	t := l.timer.terms
	if t.interval > 0 && !t.ours {
		grace := time.Now().Add(linger()).Add(t.margin() - t.interval)
		if l.timer.since.Before(grace) {
			l.timer.since = grace
		}
	}
	run := t.interval > 0
	l.timer.running = run
	l.timer.mu.Unlock()
	if run {
		l.stack.spawn(l.watchSession)
	}
}

func (x *sessionTimer) restore(t savedTimer) {
	x.terms = timerTerms{interval: t.Interval, ours: t.Ours, told: t.Told}
	x.since, x.least = t.Since, t.Least
}

// restoreSession opens the sound of a call again. Moved says that the peer has to be told of another address. It returns
// errSoundGone or errKeysGone.
func (s *Stack) restoreSession(callID string, saved savedSession, on *listener) (c *session, moved bool, err error) {
	if saved.Params.Secure.On() {
		// RFC 3711 section 3.3.1: how often the peer's sequence numbers went round is in no packet.
		return nil, false, errKeysGone
	}
	sound, err := s.media.OpenAgain(callID, s.mediaBind(on), saved.Port)
	if err != nil {
		moved = true
		if sound, err = s.media.OpenAt(callID, s.mediaBind(on)); err != nil {
			return nil, false, errSoundGone
		}
	}
	c = &session{
		media: sound, body: []byte(saved.Body), offer: saved.Offer, agrees: saved.Agrees, params: saved.Params,
		local: sdpLocal{
			addr: s.mediaAddress(on), port: sound.Port(), codecs: s.cfg.Codecs, keys: s.newKeys(),
			sessionID: saved.SessionID, version: saved.Number,
		},
		agreed: func(p media.Params) { s.observer.Media(callID, p) },
	}
	c.untold = moved || saved.Untold || c.local.addr != saved.Addr
	return c, c.untold, nil
}
