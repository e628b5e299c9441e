package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Invite says what an INVITE is like.
type Invite struct {
	To        string   // Request-URI and To
	Peer      string   // host:port where everything of the call is sent; "": To's host, which is an IP address then
	From      string   // URI; "": the phone's
	CallID    string   // "": a new one
	Headers   []Header // further ones, or in place of the phone's; Record-Route belongs here
	NoOffer   bool     // no session description: the offer is asked for
	Direction string   // of the phone's own offer; "": sendrecv
	SDP       []byte   // in place of the phone's own offer
	HoldAck   bool     // a 2xx is not acknowledged before Ack
	NoPrack   bool     // reliable provisional responses are not acknowledged (RFC 3262), but by a PRACK of the script's
	Proxied   bool     // Peer is a proxy: what follows goes along the route that the response records (RFC 3261 section 12.1.2)
}

// RejectedError is a final response to a request that is not a 2xx.
type RejectedError struct{ Response *Message }

func (e *RejectedError) Error() string { return e.Response.Method() + " got " + short(e.Response) }

// Call is one dialog of a phone, from its INVITE on. What it builds is right; what a script wants to be wrong it changes
// before it is sent.
type Call struct {
	phone    *Phone
	peer     string
	id       string
	local    string // values of From and To in what the phone sends, without tag
	remote   string
	localTag string
	media    *media
	noPrack  bool

	mu        sync.Mutex
	remoteTag string
	target    string // Request-URI of what the phone sends
	contact   string // value of its Contact: that of the newest INVITE; "": the phone's
	cseq      uint32
	invites   map[uint32]*Message // that the phone sent, by CSeq
	incoming  *Message            // INVITE that the phone received
	version   int                 // of the session descriptions
	holdAck   bool
	proxied   bool
	route     []Header      // of what the phone sends
	ended     chan struct{} // closed by a BYE of the other end
}

// Invite sends an INVITE and returns without waiting for an answer.
func (p *Phone) Invite(ctx context.Context, in Invite) (*Call, error) {
	peer := in.Peer
	if peer == "" {
		var err error
		if peer, err = peerOf(in.To); err != nil {
			return nil, err
		}
	}
	c := p.newCall(peer, in.CallID)
	c.noPrack = in.NoPrack
	c.target, c.holdAck, c.proxied = in.To, in.HoldAck, in.Proxied
	c.local, c.remote = "<"+p.URI()+">", "<"+in.To+">"
	if in.From != "" {
		c.local = "<" + in.From + ">"
	}
	p.keep(c)
	if err := c.media.open(ctx); err != nil {
		return nil, err
	}
	body := in.SDP
	if body == nil && !in.NoOffer {
		body = c.Offer(cmp.Or(in.Direction, SendRecv))
	}
	return c, c.Send(ctx, c.newInvite(body, in.Headers...))
}

// Call sends an INVITE and waits for its final response. The error is a *[RejectedError] if that is no 2xx.
func (p *Phone) Call(ctx context.Context, in Invite) (*Call, error) {
	c, err := p.Invite(ctx, in)
	if err != nil {
		return c, err
	}
	_, err = c.Answered(ctx)
	return c, err
}

// Accept waits for a new call's INVITE and returns it unanswered: see [Call.Respond].
func (p *Phone) Accept(ctx context.Context) (*Call, error) {
	m, err := p.expect(ctx, "INVITE", func(m *Message) bool { return m.Tag("To") == "" })
	if err != nil {
		return nil, err
	}
	c := p.newCall(m.Peer, m.CallID())
	c.incoming, c.remoteTag, c.target = m, m.Tag("From"), uriOf(m.Get("Contact"))
	c.local, c.remote = m.Get("To"), withoutTag(m.Get("From"))
	p.keep(c)
	c.hear(m)
	return c, c.media.open(ctx)
}

func (p *Phone) newCall(peer, id string) *Call {
	if id == "" {
		id = token()
	}
	return &Call{
		phone: p, peer: peer, id: id, localTag: token(), media: newMedia(p.network, p.Addr().Addr()),
		invites: map[uint32]*Message{}, ended: make(chan struct{}),
	}
}

// keep makes the call known to the phone. Another one of the same Call-ID stays open and is forgotten.
func (p *Phone) keep(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[c.id] = c
	p.all = append(p.all, c)
}

// peerOf returns host:port of a SIP URI.
func peerOf(uri string) (string, error) {
	_, rest, _ := strings.Cut(uri, ":")
	if i := strings.IndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if i := strings.IndexAny(rest, ";?"); i >= 0 {
		rest = rest[:i]
	}
	if ip, err := netip.ParseAddr(strings.Trim(rest, "[]")); err == nil {
		return netip.AddrPortFrom(ip, 5060).String(), nil
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return "", fmt.Errorf("%s: %w; name the peer", uri, err)
	}
	return net.JoinHostPort(host, port), nil
}

func withoutTag(value string) string {
	if i := strings.Index(value, ";tag="); i >= 0 {
		return value[:i]
	}
	return value
}

// ID is the call's Call-ID.
func (c *Call) ID() string { return c.id }

// New builds the next request of the call, with a body if contentType is given. CSeq counts on, except for ACK and
// CANCEL, which the phone has methods of their own for. Headers are added to the phone's, or replace them.
func (c *Call) New(method, contentType string, body []byte, headers ...Header) *Message {
	c.mu.Lock()
	c.cseq++
	number := c.cseq
	c.mu.Unlock()
	return c.request(method, number, contentType, body, headers...)
}

func (c *Call) request(method string, number uint32, contentType string, body []byte, headers ...Header) *Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.phone
	to := c.remote
	if c.remoteTag != "" {
		to += ";tag=" + c.remoteTag
	}
	m := &Message{Start: method + " " + c.target + " SIP/2.0", Body: body}
	m.Add("Via", fmt.Sprintf("SIP/2.0/%s %s;rport;branch=z9hG4bK%s", strings.ToUpper(p.cfg.Transport), p.Addr(), token()))
	if method != "CANCEL" {
		m.Headers = append(m.Headers, c.route...)
	}
	m.Add("Max-Forwards", "70")
	m.Add("From", c.local+";tag="+c.localTag)
	m.Add("To", to)
	m.Add("Call-ID", c.id)
	m.Add("CSeq", strconv.FormatUint(uint64(number), 10)+" "+method)
	m.Add("Contact", cmp.Or(c.contact, p.Contact()))
	if contentType != "" {
		m.Add("Content-Type", contentType)
	}
	return m.With(headers...)
}

// newInvite builds the first INVITE of the call, or a further one.
func (c *Call) newInvite(offer []byte, headers ...Header) *Message {
	contentType := ""
	if len(offer) > 0 {
		contentType = "application/sdp"
	}
	m := c.New("INVITE", contentType, offer,
		append([]Header{{"Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY"}}, headers...)...)
	number, _ := m.CSeq()
	c.mu.Lock()
	c.invites[number] = m
	c.contact = m.Get("Contact")
	c.mu.Unlock()
	return m
}

// Send sends messages of the call in one breath.
func (c *Call) Send(ctx context.Context, messages ...*Message) error {
	return c.phone.Send(ctx, c.peer, messages...)
}

// Timers of RFC 3261 section 17.
const (
	t1 = 500 * time.Millisecond
	t2 = 4 * time.Second
)

// Do sends a request and waits for its final response, whatever it is. Over UDP a phone that is not manual repeats the
// request until an answer comes.
func (c *Call) Do(ctx context.Context, req *Message) (*Message, error) {
	if err := c.Send(ctx, req); err != nil {
		return nil, err
	}
	return c.final(ctx, req)
}

// final waits for the final response to a request that has been sent.
func (c *Call) final(ctx context.Context, req *Message) (*Message, error) {
	_, method := req.CSeq()
	answers := func(m *Message) bool { return m.Branch() == req.Branch() && m.Method() == method }
	again := !c.phone.cfg.Manual && c.phone.cfg.Transport == "udp"
	for wait := t1; ; wait = min(2*wait, t2) {
		attempt, cancel := context.WithTimeout(ctx, wait)
		if !again {
			attempt = ctx
		}
		res, err := c.phone.inbox.search(attempt, "final response to "+short(req), func(m *Message) bool {
			return !m.IsRequest() && m.Code() >= 200 && answers(m)
		})
		cancel()
		if err == nil || ctx.Err() != nil || !again {
			return res, err
		}
		provisional := func(m *Message) bool { return m.in && !m.IsRequest() && answers(m) }
		if method == "INVITE" && len(c.phone.inbox.find(provisional)) > 0 {
			again = false // RFC 3261 section 17.1.1.2: no more repetitions
			continue
		}
		if err := c.Send(ctx, req); err != nil {
			return nil, err
		}
	}
}

// Answered waits for the final response to the newest INVITE. The error is a *[RejectedError] if that is no 2xx.
func (c *Call) Answered(ctx context.Context) (*Message, error) {
	c.mu.Lock()
	invite := c.newest()
	c.mu.Unlock()
	if invite == nil {
		return nil, errors.New("no INVITE was sent")
	}
	res, err := c.final(ctx, invite)
	if err == nil && res.Code() >= 300 {
		err = &RejectedError{res}
	}
	return res, err
}

// newest returns the newest INVITE sent. The lock is held.
func (c *Call) newest() *Message {
	var newest uint32
	for number := range c.invites {
		newest = max(newest, number)
	}
	return c.invites[newest]
}

// Expect is [Phone.Expect] for the messages of this call alone.
func (c *Call) Expect(ctx context.Context, want string) (*Message, error) {
	return c.phone.expect(ctx, want, func(m *Message) bool { return m.CallID() == c.id })
}

// Received is [Phone.Received] for the messages of this call alone.
func (c *Call) Received(want string) []*Message {
	return slices.DeleteFunc(c.phone.Received(want), func(m *Message) bool { return m.CallID() != c.id })
}

// Respond answers a request of the call; without one, the INVITE that began it. A 2xx to an INVITE carries a session
// description: the answer to an offer, else an offer.
func (c *Call) Respond(req *Message, code int, headers ...Header) error {
	if req == nil {
		req = c.incoming
	}
	res := c.phone.Response(req, code, headers...)
	if req.Method() == "INVITE" && code >= 200 && code < 300 {
		res.Set("Content-Type", "application/sdp")
		res.Body = c.answer(req.Body)
	}
	return c.phone.reply(req, res)
}

// Ended is closed when a BYE of the other end has come.
func (c *Call) Ended() <-chan struct{} { return c.ended }

// learn takes from a received message what later ones of the dialog need.
func (c *Call) learn(m *Message) {
	if m.IsRequest() {
		if m.Method() == "BYE" {
			c.mu.Lock()
			defer c.mu.Unlock()
			select {
			case <-c.ended:
			default:
				close(c.ended)
			}
		}
		return
	}
	if m.Method() != "INVITE" || m.Code() <= 100 || m.Code() >= 300 {
		return
	}
	c.mu.Lock()
	if tag := m.Tag("To"); tag != "" {
		c.remoteTag = tag
	}
	if contact := uriOf(m.Get("Contact")); contact != "" {
		c.target = contact
	}
	if c.proxied && len(c.route) == 0 {
		for _, value := range slices.Backward(m.All("Record-Route")) {
			for _, proxy := range slices.Backward(strings.Split(value, ",")) {
				c.route = append(c.route, Header{"Route", strings.TrimSpace(proxy)})
			}
		}
	}
	c.mu.Unlock()
	c.hear(m)
}

// hear takes the address for the phone's own sound from a session description.
func (c *Call) hear(m *Message) {
	if s, ok := ReadSession(m.Body); ok && !s.Refused {
		c.media.sendTo(s.Media)
	}
}

func (c *Call) holdsAck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holdAck
}
