package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Reliable reports whether a message is a provisional response that is to be acknowledged (RFC 3262 section 4).
func (m *Message) Reliable() bool {
	return !m.IsRequest() && m.Code() > 100 && m.Code() < 200 && m.Has("RSeq") &&
		slices.ContainsFunc(m.All("Require"), func(v string) bool { return strings.Contains(strings.ToLower(v), "100rel") })
}

// NewPrack builds the PRACK of a reliable provisional response, with the answer to the offer in that, if there is one.
func (c *Call) NewPrack(res *Message) *Message {
	number, method := res.CSeq()
	var contentType string
	var body []byte
	c.mu.Lock()
	invite := c.invites[number]
	c.mu.Unlock()
	if invite != nil && len(invite.Body) == 0 && len(res.Body) > 0 {
		contentType, body = "application/sdp", c.answer(res.Body)
	}
	return c.New("PRACK", contentType, body, Header{"RAck", fmt.Sprintf("%s %d %s", res.Get("RSeq"), number, method)})
}

// prackAlone acknowledges a reliable response, and each repetition with the same PRACK.
func (p *Phone) prackAlone(m *Message, call *Call) {
	if call.noPrack {
		return
	}
	key := transaction(m) + " " + m.Get("RSeq")
	p.mu.Lock()
	prack := p.acks[key]
	p.mu.Unlock()
	if prack == nil {
		prack = call.NewPrack(m)
		p.mu.Lock()
		p.acks[key] = prack
		p.mu.Unlock()
	}
	_ = p.Send(context.Background(), call.peer, prack)
}
