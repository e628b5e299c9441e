package sipstack

import (
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// reoffer tells the peer by a re-INVITE where our sound is now (RFC 3264 section 8), and waits where others are under way.
// A peer that does not take it is left where it is: the next request tells whether it is there at all.
func (l *Leg) reoffer() {
	d := l.dialog
	for !l.isHanging() {
		wait := d.glareWait()
		if d.inviting() {
			res, err := l.offerAgain()
			d.invited()
			switch {
			case err == nil && res.StatusCode == sip.StatusRequestPending:
			case err == nil && res.StatusCode/100 == 2:
				l.session.told()
				d.save()
				return
			case errors.Is(err, ErrClosed), l.Err() != nil:
				return
			default:
				l.dialog.log().Warn("the other side was not told of its new address for sound", zap.Error(err))
				return
			}
		}
		pause := time.NewTimer(wait)
		select {
		case <-l.ended:
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// offerAgain makes one attempt.
func (l *Leg) offerAgain() (*sip.Response, error) {
	contentType := sip.ContentTypeHeader(typeSDP)
	hdrs := append(l.timer.request(l.stack), &contentType)
	res, err := l.dialog.transact(sip.INVITE, hdrs, l.session.reoffer(), hooks{stop: l.ended})
	if err == nil && res.StatusCode/100 == 2 {
		l.agreeTimer(l.timer.answered(l.stack, res))
		var p, fresh, failed = l.session.answered(res)
		switch {
		case failed != nil:
			l.dialog.log().Debug("no usable answer to a re-INVITE", zap.Error(failed))
		case fresh:
			l.session.apply(p)
		}
	}
	return res, err
}

// told notes that the peer knows where our sound is.
func (c *session) told() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.untold = false
}

// reoffer makes an offer of the sound as it is now.
func (c *session) reoffer() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.local.version++
	c.body, c.offer = offerSDP(c.local), true
	return c.body
}
