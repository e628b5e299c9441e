package scenario

import (
	"context"
	"errors"
)

// Ack acknowledges a final response to an INVITE of the call. A phone that is not manual does so by itself, unless the
// INVITE was to hold it back.
func (c *Call) Ack(ctx context.Context, res *Message) error {
	return c.Send(ctx, c.ackFor(res))
}

// ackFor builds the ACK. For a 2xx it is a request of its own, which carries the answer if the 2xx held the offer (RFC 3261
// section 13.2.2.4); else it belongs to the INVITE's transaction (section 17.1.1.3).
func (c *Call) ackFor(res *Message) *Message {
	number, _ := res.CSeq()
	c.mu.Lock()
	invite := c.invites[number]
	c.mu.Unlock()
	if res.Code() < 300 {
		ack := c.request("ACK", number, "", nil)
		if invite != nil && len(invite.Body) == 0 && len(res.Body) > 0 {
			ack.Set("Content-Type", "application/sdp")
			ack.Body = c.answer(res.Body)
		}
		return ack
	}
	ack := c.request("ACK", number, "", nil).Set("To", res.Get("To")).Del("Contact")
	if invite != nil {
		ack.Start = "ACK " + invite.RequestURI() + " SIP/2.0"
		ack.Set("Via", invite.Get("Via"))
	}
	return ack
}

// Bye ends the call and waits for the answer.
func (c *Call) Bye(ctx context.Context, headers ...Header) (*Message, error) {
	return c.Do(ctx, c.New("BYE", "", nil, headers...))
}

// Cancel cancels the newest INVITE and waits for the answer to the CANCEL; the INVITE's own is still to come.
func (c *Call) Cancel(ctx context.Context) (*Message, error) {
	m, err := c.NewCancel()
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, m)
}

// NewCancel builds the CANCEL of the newest INVITE (RFC 3261 section 9.1).
func (c *Call) NewCancel() (*Message, error) {
	c.mu.Lock()
	invite := c.newest()
	c.mu.Unlock()
	if invite == nil {
		return nil, errors.New("no INVITE was sent")
	}
	number, _ := invite.CSeq()
	m := c.request("CANCEL", number, "", nil).Del("Contact")
	m.Start = "CANCEL " + invite.RequestURI() + " SIP/2.0"
	return m.Set("Via", invite.Get("Via")).Set("To", invite.Get("To")), nil
}

// Offer says what a re-INVITE changes.
type Offer struct {
	Direction string // "": sendrecv
	None      bool   // no session description: the offer is asked for
	Move      bool   // sound is received at new ports from now on
	SDP       []byte // in place of the phone's own
	Headers   []Header
}

// ReInvite sends an INVITE in the dialog and waits for its final response, whatever it is.
func (c *Call) ReInvite(ctx context.Context, o Offer) (*Message, error) {
	if o.Move {
		if err := c.media.open(ctx); err != nil {
			return nil, err
		}
	}
	if o.Direction == "" {
		o.Direction = SendRecv
	}
	if o.SDP == nil && !o.None {
		o.SDP = c.Offer(o.Direction)
	}
	return c.Do(ctx, c.newInvite(o.SDP, o.Headers...))
}

// Hold puts the other end on hold, Resume takes it back.
func (c *Call) Hold(ctx context.Context) (*Message, error) {
	return c.ReInvite(ctx, Offer{Direction: SendOnly})
}

// Resume takes the other end back from hold.
func (c *Call) Resume(ctx context.Context) (*Message, error) { return c.ReInvite(ctx, Offer{}) }

// Info sends an INFO and waits for the answer.
func (c *Call) Info(ctx context.Context, contentType, body string) (*Message, error) {
	return c.Do(ctx, c.New("INFO", contentType, []byte(body)))
}

// Options sends OPTIONS in the dialog and waits for the answer.
func (c *Call) Options(ctx context.Context) (*Message, error) {
	return c.Do(ctx, c.New("OPTIONS", "", nil))
}

// Offer builds a session description with the phone's codecs and its newest ports.
func (c *Call) Offer(direction string) []byte {
	c.mu.Lock()
	c.version++
	version := c.version
	c.mu.Unlock()
	return describe(c.phone.cfg.Codecs, !c.phone.cfg.NoEvents, c.media.local(), direction, version)
}

// answer builds the answer to an offer; an offer if there is none.
func (c *Call) answer(offer []byte) []byte {
	s, ok := ReadSession(offer)
	if !ok {
		return c.Offer(SendRecv)
	}
	if !s.Refused {
		c.media.sendTo(s.Media)
	}
	direction := map[string]string{SendRecv: SendRecv, SendOnly: RecvOnly, RecvOnly: SendOnly, Inactive: Inactive}[s.Direction]
	var common []string
	for _, codec := range c.phone.cfg.Codecs {
		for _, pt := range s.Payloads {
			if pt == payloadTypes[codec] {
				common = append(common, codec)
			}
		}
	}
	c.mu.Lock()
	c.version++
	version := c.version
	c.mu.Unlock()
	return describe(common, !c.phone.cfg.NoEvents, c.media.local(), direction, version)
}
