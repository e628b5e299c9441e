package scenario

import (
	"context"
	"fmt"
	"time"
)

// receive takes a message from the socket. Nobody sees it before the phone has done what it does by itself, so that a
// script may rely on the ACK having gone out before what it sends next.
func (p *Phone) receive(m *Message, peer string, answer func([]byte) error) {
	m.Time, m.Peer, m.in, m.reply = time.Now(), peer, true, answer
	key := transaction(m)
	if !m.IsRequest() {
		// The next reliable provisional response is another one (RFC 3262 section 3).
		key = fmt.Sprintf("%s %d %s %s", key, m.Code(), m.Tag("To"), m.Get("RSeq"))
	} else if m.Method() == "ACK" {
		key += " " + m.Start
	}
	p.mu.Lock()
	call := p.calls[m.CallID()]
	m.repeated = !p.cfg.Manual && p.seen[key]
	p.seen[key] = true
	p.mu.Unlock()

	p.inbox.put(m, true)
	defer p.inbox.show(m)
	if call != nil && !m.repeated {
		call.learn(m)
	}
	switch {
	case p.cfg.Manual:
	case m.IsRequest():
		p.answerAlone(m, call)
	case m.Method() == "INVITE" && m.Code() >= 200 && call != nil:
		p.acknowledgeAlone(m, call)
	case m.Reliable() && call != nil:
		p.prackAlone(m, call)
	}
}

func (p *Phone) answerAlone(m *Message, call *Call) {
	p.mu.Lock()
	code := p.answers[m.Method()]
	before := p.answered[transaction(m)]
	p.mu.Unlock()
	switch {
	case m.Method() == "ACK":
	case m.repeated:
		if before == nil {
			return
		}
		if again, err := ParseMessage(before); err == nil {
			again.Time, again.Peer, again.repeated = time.Now(), m.Peer, true
			p.inbox.put(again, false)
		}
		_ = m.reply(before) // a lost answer is what the peer sees; the ladder shows the attempt
	case code == 0:
	case call == nil && m.Tag("To") != "":
		_ = p.Respond(m, 481)
	default:
		_ = p.Respond(m, code)
	}
}

func (p *Phone) acknowledgeAlone(m *Message, call *Call) {
	key := transaction(m)
	p.mu.Lock()
	ack := p.acks[key]
	p.mu.Unlock()
	if ack == nil {
		if m.Code() < 300 && call.holdsAck() {
			return
		}
		ack = call.ackFor(m)
		p.mu.Lock()
		p.acks[key] = ack
		p.mu.Unlock()
	}
	_ = p.Send(context.Background(), call.peer, ack)
}
