package scenario

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Refer is a REFER that a phone has received.
type Refer struct {
	Request *Message
	call    *Call
}

// ExpectRefer waits for the next REFER of the call.
func (c *Call) ExpectRefer(ctx context.Context) (*Refer, error) {
	m, err := c.Expect(ctx, "REFER")
	if err != nil {
		return nil, err
	}
	return &Refer{m, c}, nil
}

// Target is the value of its Refer-To header, as it stands.
func (r *Refer) Target() string { return r.Request.Get("Refer-To") }

// CSeq is its number, which is the id of its subscription (RFC 3515 section 2.4.6).
func (r *Refer) CSeq() uint32 {
	n, _ := r.Request.CSeq()
	return n
}

// Respond answers the REFER.
func (r *Refer) Respond(code int, headers ...Header) error {
	return r.call.phone.Respond(r.Request, code, headers...)
}

// Notify says what a NOTIFY is like. The zero values give one that is right, except that Frag has to be told.
type Notify struct {
	Frag        string   // status line of the sipfrag: "SIP/2.0 486 Busy Here"; its CRLF is added
	Body        []byte   // the whole body, in place of Frag
	NoBody      bool     // neither body nor Content-Type
	ContentType string   // "": message/sipfrag;version=2.0
	Event       string   // "": refer
	NoEvent     bool     // no Event header
	ID          uint32   // id parameter of Event; 0: none
	State       string   // Subscription-State; "": active while Frag is provisional, else terminated
	NoState     bool     // no Subscription-State header
	CSeq        uint32   // 0: the next one
	Headers     []Header // further ones, or in place of these
}

// NewNotify builds a NOTIFY of the call.
func (c *Call) NewNotify(n Notify) *Message {
	if n.ContentType == "" {
		n.ContentType = "message/sipfrag;version=2.0"
	}
	body := n.Body
	if body == nil {
		body = []byte(n.Frag + "\r\n")
	}
	if n.NoBody {
		body, n.ContentType = nil, ""
	}
	m := c.New("NOTIFY", n.ContentType, body)
	if n.CSeq != 0 {
		m.Set("CSeq", strconv.FormatUint(uint64(n.CSeq), 10)+" NOTIFY")
	}
	if !n.NoEvent {
		event := n.Event
		if event == "" {
			event = "refer"
		}
		if n.ID != 0 {
			event += fmt.Sprintf(";id=%d", n.ID)
		}
		m.Set("Event", event)
	}
	if !n.NoState {
		state := n.State
		if state == "" {
			state = "terminated;reason=noresource"
			if strings.HasPrefix(n.Frag, "SIP/2.0 1") {
				state = "active;expires=60"
			}
		}
		m.Set("Subscription-State", state)
	}
	return m.With(n.Headers...)
}

// Notify sends a NOTIFY and waits for the answer, whatever it is.
func (c *Call) Notify(ctx context.Context, n Notify) (*Message, error) {
	return c.Do(ctx, c.NewNotify(n))
}
