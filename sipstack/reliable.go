package sipstack

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// reliable is what the caller has acknowledged of the provisional responses to its INVITE (RFC 3262 section 3). One is
// under way at a time.
type reliable struct {
	wanted bool // the caller understands 100rel
	cseq   uint32
	acked  chan error // told of the PRACK of each; what is wrong with the answer in it, if something is. Room for one; nil: none is wanted

	mu      sync.Mutex
	rseq    uint32 // of the newest
	waiting bool   // for the PRACK of the newest
	sent    bool   // one was
	before  uint32 // of the newest of another process; 0: there was none
}

func newReliable(invite *sip.Request) *reliable {
	r := &reliable{
		wanted: understands(invite, tagReliable), cseq: invite.CSeq().SeqNo,
		rseq: rand.Uint32N(1 << 30), // section 3: the first is less than 2**31
	}
	if r.wanted {
		r.acked = make(chan error, 1)
	}
	return r
}

// next takes the number of a response that is about to be sent.
func (r *reliable) next() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rseq++
	r.waiting, r.sent = true, true
	return r.rseq
}

// newest returns the number of the newest response; 0: there was none.
func (r *reliable) newest() uint32 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent {
		return r.rseq
	}
	return r.before
}

// restored says which the newest response of another process was. There are no others: the caller ignores those whose
// numbers do not follow, and how far that process came is not known.
func (r *reliable) restored(rseq uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted, r.before = false, rseq
}

// tookBefore reports whether a PRACK acknowledges a response of another process.
func (r *reliable) tookBefore(k rack) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.before != 0 && k == rack{rseq: r.before, cseq: r.cseq, method: string(sip.INVITE)}
}

// take takes a PRACK; false: it acknowledges nothing that waits for it. A call of our own has no such responses: nil.
func (r *reliable) take(k rack) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.waiting || k != (rack{rseq: r.rseq, cseq: r.cseq, method: string(sip.INVITE)}) {
		return false
	}
	r.waiting = false
	return true
}

// progress sends the provisional responses of an INVITE, and repeats a reliable one until it is acknowledged, on every
// transport. It belongs to the INVITE's goroutine.
type progress struct {
	leg *Leg
	i   *invite

	res    *sip.Response // not acknowledged yet; nil: there is none
	offers bool          // it holds our offer
	wait   time.Duration
	again  alarm // of what is repeated
	giveUp alarm

	another alarm // while it rings: it is to be told once more
}

// alarm is a timer that most calls do not need: it is made when it is set first.
type alarm struct{ timer *time.Timer }

// C is where it goes off; nil, where nothing ever comes, until it is set.
func (a *alarm) C() <-chan time.Time {
	if a.timer == nil {
		return nil
	}
	return a.timer.C
}

// in sets it anew.
func (a *alarm) in(d time.Duration) {
	if a.timer == nil {
		a.timer = time.NewTimer(d)
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// ring sends a 180.
func (p *progress) ring() error {
	l := p.leg
	res := l.stack.response(p.i.req, sip.StatusRinging, "", &sip.ContactHeader{Address: *l.dialog.contact.Clone()})
	if !l.reliable.wanted {
		return p.i.respond(res)
	}
	if p.res != nil {
		return nil // the one before it says the same, and is being repeated
	}
	p.offers = false
	rseq := l.reliable.next()
	l.dialog.save() // the PRACK has to find it, and another port would be another offer
	if !l.session.settled() && l.session.offering() {
		// RFC 3262 section 5: our offer is due in the first reliable response. An answer of ours is not: with a
		// description of the sound many phones stop ringing by themselves, and there is none before the call is answered.
		withSDP(res, l.session.description())
		p.offers = true
	}
	res.AppendHeader(sip.NewHeader("Require", tagReliable))
	res.AppendHeader(sip.NewHeader("RSeq", decimal(rseq)))
	if err := p.i.respond(res); err != nil {
		return err
	}
	p.res, p.wait = res, sip.T1
	p.again.in(p.wait)
	p.giveUp.in(l.stack.cfg.TransactionTimeout)
	l.stack.observer.Timer(l.dialog.callID, timerPrack, "started", l.stack.cfg.TransactionTimeout)
	return nil
}

// timerPrack is the name under which an [Observer] hears of the time allowed for a PRACK.
const timerPrack = "prack"

// repeat sends the response once more.
func (p *progress) repeat() {
	if p.res == nil {
		return
	}
	_ = p.i.respond(p.res) // a cancellation is seen next
	p.wait *= 2            // without the limit that T2 is to others
	p.again.in(p.wait)
}

// stop ends the repetitions. What they wait for may still come, and is answered.
func (p *progress) stop(event string) {
	if p.res == nil {
		return
	}
	p.res = nil
	p.again.stop()
	p.giveUp.stop()
	p.leg.stack.observer.Timer(p.leg.dialog.callID, timerPrack, event, p.leg.stack.cfg.TransactionTimeout)
}

// holdsAnswer reports whether a 2xx must wait for the PRACK: our offer was sent, and might get lost (RFC 3262 section 3).
func (p *progress) holdsAnswer() bool { return p.res != nil && p.offers }
