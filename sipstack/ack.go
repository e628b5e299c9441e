package sipstack

import (
	"net"
	"time"

	"github.com/emiago/sipgo/sip"
)

// ackWait is the wait for the ACK of a 2xx.
type ackWait struct {
	cseq uint32            // of the INVITE
	got  chan *sip.Request // room for one: whoever handles the ACK does not wait
	done chan struct{}     // closed when the wait is over
	over bool              // the ACK is in, and only has to be followed; guarded by the dialog's lock
}

// expectAck starts a wait. There is one at a time: another INVITE is refused before. It returns nil while an INVITE of
// ours is under way.
func (d *dialog) expectAck(cseq uint32) *ackWait {
	w := &ackWait{cseq: cseq, got: make(chan *sip.Request, 1), done: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ours {
		return nil
	}
	d.acks = w
	return w
}

// ackPending reports whether an ACK is waited for, and goes on to be for a moment: one that was sent before the request
// at hand may be handled after it. For one that is in, it waits until that has been followed, however busy the machine is.
func (d *dialog) ackPending() bool {
	d.mu.Lock()
	w := d.acks
	d.mu.Unlock()
	if w == nil {
		return false
	}
	d.stack.pause(ackGrace, w.done)
	d.mu.Lock()
	in := w.over
	d.mu.Unlock()
	if in {
		select {
		case <-w.done:
		case <-d.stack.living.Done():
		}
	}
	select {
	case <-w.done:
		return false
	default:
		return true
	}
}

// awaitsAck reports whether the ACK of the INVITE with a number is waited for.
func (d *dialog) awaitsAck(cseq uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acks != nil && d.acks.cseq == cseq
}

// ackGrace is how long a request waits for the ACK before it: sent in one breath they are handled in any order.
const ackGrace = 50 * time.Millisecond

// ackDone ends a wait.
func (d *dialog) ackDone(w *ackWait) {
	defer close(w.done) // when nobody finds it any more
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.acks == w {
		d.acks = nil
	}
}

// ack takes an ACK with a branch of its own, which is that of a 2xx (RFC 3261 section 13.2.2.4).
func (s *Stack) ack(req *sip.Request) {
	d, ended := s.find(req)
	switch {
	case ended != nil:
		return
	case d == nil:
		s.handOverAck(req)
		return
	}
	d.acknowledged(req)
}

// acknowledged takes an ACK; false: none of that number is waited for.
func (d *dialog) acknowledged(ack *sip.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.acks == nil || d.acks.cseq != ack.CSeq().SeqNo {
		return false
	}
	d.acks.over = true
	select {
	case d.acks.got <- ack:
	default: // another one
	}
	return true
}

// earlyAck takes the ACK of a 2xx where the datagram was read, if it is waited for; false: it is to go its usual way. To an ACK
// nothing is answered, so that it needs none of what sipgo makes for a request, a goroutine and a transaction. A call that is
// referred waits for it.
func (s *Stack) earlyAck(message []byte, source net.Addr) (taken bool) {
	defer func() {
		if v := recover(); v != nil {
			s.observer.Panic("", v)
		}
	}()
	msg, err := s.gate.parser.ParseSIP(message)
	if err != nil {
		return false
	}
	ack, ok := msg.(*sip.Request)
	if !ok || !ack.IsAck() || unacceptable(ack) != 0 {
		return false
	}
	ack.SetTransport("UDP")
	ack.SetSource(source.String())
	d, _ := s.find(ack)
	return d != nil && d.acknowledged(ack)
}

// untilAcked sends a 2xx to an INVITE and repeats it until it is acknowledged, on every transport (RFC 3261 section
// 13.3.1.4). It returns the ACK; [ErrNoAck] after the transaction timeout; nil and nil when stop is closed first.
func (d *dialog) untilAcked(tx *sip.ServerTx, res *sip.Response, w *ackWait, stop <-chan struct{}) (ack *sip.Request, err error) {
	limit := d.stack.cfg.TransactionTimeout
	d.stack.observer.Timer(d.callID, "ack", "started", limit)
	end := "stopped"
	defer func() { d.stack.observer.Timer(d.callID, "ack", end, limit) }()

	giveUp := time.Now().Add(limit)
	wait := sip.T1
	again := time.NewTimer(min(wait, limit))
	defer again.Stop()
	for {
		select {
		case ack := <-w.got:
			return ack, nil
		case ack := <-tx.Acks(): // one with the INVITE's branch, as some peers send
			return ack, nil
		case <-stop:
			return nil, nil
		case <-again.C:
			left := time.Until(giveUp)
			if left <= 0 {
				end = "fired"
				return nil, ErrNoAck
			}
			// A connection that is gone does not end the wait: the ACK may come on another.
			_ = d.stack.answer(tx, res)
			wait = min(2*wait, sip.T2)
			again.Reset(min(wait, left))
		}
	}
}
