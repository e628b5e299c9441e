package scenario

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// PhoneConfig says what a phone is. Zero values mean what the comments say.
type PhoneConfig struct {
	Transport string      // "udp", "tcp" or "tls"; "": udp
	Address   string      // where it listens; "": 127.0.0.1:0
	User      string      // of its URI; "": "phone"
	Contact   string      // value of its Contact headers; "": its URI in angle brackets
	TLS       *tls.Config // of tls, in both directions; see [Authority.PhoneTLS]
	Codecs    []string    // offered and taken, in order of preference: "PCMU", "PCMA"; nil: both
	NoEvents  bool        // knows no telephone events (RFC 4733): its keys are heard as tones
	Compact   bool        // writes the names of headers in their compact forms (RFC 3261 section 7.3.3)
	// Manual turns off whatever the phone does by itself: it acknowledges nothing, answers nothing, and shows every
	// retransmission.
	Manual bool
}

// Phone is a scripted SIP user agent. It does what its methods are told to and, unless it is manual, what keeps a script
// short: it acknowledges final responses to its INVITEs, answers some requests (see [Phone.Answer]), and deals with
// retransmissions: repeats its own answer, or its ACK, and shows the message once.
//
// It stands for every proxy on the way, too: what is sent to it by a route set arrives here, and its own requests carry
// no Route header, unless [Invite].Proxied says that a real proxy is on the way. It is safe for concurrent use.
type Phone struct {
	cfg     PhoneConfig
	network Network
	wire    wire
	inbox   *inbox

	mu       sync.Mutex
	calls    map[string]*Call  // by Call-ID
	all      []*Call           // those too whose Call-ID another call has taken over
	answers  map[string]int    // what is answered by itself, by method
	answered map[string][]byte // last answer to a request, by transaction
	seen     map[string]bool   // transactions and codes received
	acks     map[string]*Message
}

// NewPhone opens the phone's socket. Close the phone.
func NewPhone(ctx context.Context, n Network, cfg PhoneConfig) (*Phone, error) {
	if cfg.Transport == "" {
		cfg.Transport = "udp"
	}
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	if cfg.User == "" {
		cfg.User = "phone"
	}
	if cfg.Codecs == nil {
		cfg.Codecs = []string{"PCMU", "PCMA"}
	}
	p := &Phone{
		cfg: cfg, network: n, inbox: newInbox(),
		calls: map[string]*Call{}, answers: map[string]int{"BYE": 200, "OPTIONS": 200},
		answered: map[string][]byte{}, seen: map[string]bool{}, acks: map[string]*Message{},
	}
	// The socket may receive before openWire has returned, and receive uses the socket.
	ready := make(chan struct{})
	w, err := openWire(ctx, n, cfg.Transport, cfg.Address, cfg.TLS, func(m *Message, peer string, answer func([]byte) error) {
		<-ready
		p.receive(m, peer, answer)
	})
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p.wire = w
	close(ready)
	return p, nil
}

// Close closes the phone's sockets, those of its calls' media included, and waits for its goroutines. Nothing is said to
// anybody: a call that is up stays up at the other end.
func (p *Phone) Close() error {
	errs := []error{p.wire.close()}
	p.mu.Lock()
	calls := slices.Clone(p.all)
	p.mu.Unlock()
	for _, c := range calls {
		errs = append(errs, c.media.close())
	}
	return errors.Join(errs...)
}

// Disconnect closes the phone's TCP connections. It goes on listening, and connects again when it sends.
func (p *Phone) Disconnect() { p.wire.disconnect() }

// Addr is where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.wire.addr() }

// URI is the phone's own SIP URI.
func (p *Phone) URI() string {
	uri := "sip:" + p.cfg.User + "@" + p.Addr().String()
	if p.cfg.Transport != "udp" {
		uri += ";transport=" + p.cfg.Transport
	}
	return uri
}

// Contact is the value of the phone's Contact headers.
func (p *Phone) Contact() string {
	if p.cfg.Contact != "" {
		return p.cfg.Contact
	}
	return "<" + p.URI() + ">"
}

// Answer has requests of a method answered with a code from now on, by the phone itself; 0 leaves them to the script. At
// first BYE and OPTIONS get 200.
func (p *Phone) Answer(method string, code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[method] = code
}

// Send sends messages to a host:port in one breath, exactly as they stand.
func (p *Phone) Send(ctx context.Context, peer string, messages ...*Message) error {
	var stream []byte
	for _, m := range messages {
		if p.cfg.Compact {
			m = m.inShort()
		}
		out := m.Clone()
		out.Time, out.Peer = time.Now(), peer
		p.inbox.put(out, false)
		data := m.Bytes()
		if p.cfg.Transport != "udp" {
			stream = append(stream, data...)
			continue
		}
		if err := p.wire.send(ctx, peer, data); err != nil {
			return fmt.Errorf("send %s: %w", short(m), err)
		}
	}
	if len(stream) == 0 {
		return nil
	}
	if err := p.wire.send(ctx, peer, stream); err != nil {
		return fmt.Errorf("send %s: %w", short(messages[0]), err)
	}
	return nil
}

// SendRaw sends bytes that need not be a message.
func (p *Phone) SendRaw(ctx context.Context, peer string, data []byte) error {
	return p.wire.send(ctx, peer, data)
}

// Next returns the next message received that neither Next nor Expect has returned.
func (p *Phone) Next(ctx context.Context) (*Message, error) { return p.Expect(ctx, "*") }

// Expect returns the first message received that neither Next nor Expect has returned and that the pattern means: a
// request by its method ("REFER"), a response by its code or class and, if need be, the method it answers ("200",
// "200 BYE", "4xx"), or "*". Other messages stay where they are. It waits for ctx; the error is then a *[NotSeenError].
func (p *Phone) Expect(ctx context.Context, want string) (*Message, error) {
	return p.expect(ctx, want, func(*Message) bool { return true })
}

func (p *Phone) expect(ctx context.Context, want string, also func(*Message) bool) (*Message, error) {
	wanted, err := parsePattern(want)
	if err != nil {
		return nil, err
	}
	return p.inbox.wait(ctx, want, func(m *Message) bool { return wanted.matches(m) && also(m) })
}

// Received returns all messages of a pattern received so far (see Expect), in order, retransmissions included.
func (p *Phone) Received(want string) []*Message {
	wanted, err := parsePattern(want)
	if err != nil {
		return nil
	}
	return p.inbox.find(func(m *Message) bool { return m.in && wanted.matches(m) })
}

// Ladder draws what the phone has received and sent, a line a message.
func (p *Phone) Ladder() string { return p.inbox.ladder() }

// Respond answers a request. The To tag is the call's, or a new one; headers are set in place of those of the request.
func (p *Phone) Respond(req *Message, code int, headers ...Header) error {
	return p.reply(req, p.Response(req, code, headers...))
}

// Response builds a response without sending it. A To tag that is missing is the phone's tag in the call.
func (p *Phone) Response(req *Message, code int, headers ...Header) *Message {
	res := &Message{Start: fmt.Sprintf("SIP/2.0 %d %s", code, reason(code))}
	for _, h := range req.Headers {
		switch headerKey(h.Name) {
		case "via", "from", "call-id", "cseq", "record-route":
			res.Add(h.Name, h.Value)
		case "to":
			value := h.Value
			if req.Tag("To") == "" && code > 100 {
				value += ";tag=" + p.localTag(req.CallID())
			}
			res.Add(h.Name, value)
		}
	}
	if code < 300 && code > 100 {
		switch req.Method() {
		case "INVITE", "REFER", "SUBSCRIBE", "UPDATE":
			res.Add("Contact", p.Contact())
		}
	}
	return res.With(headers...)
}

func (p *Phone) localTag(callID string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.calls[callID]; ok {
		return c.localTag
	}
	return token()
}

// reply sends a response where its request came from, and remembers it for retransmissions of the request.
func (p *Phone) reply(req, res *Message) error {
	if p.cfg.Compact {
		res = res.inShort()
	}
	data := res.Bytes()
	p.mu.Lock()
	p.answered[transaction(req)] = data
	p.mu.Unlock()
	out := res.Clone()
	out.Time, out.Peer = time.Now(), req.Peer
	p.inbox.put(out, false)
	if err := req.reply(data); err != nil {
		return fmt.Errorf("send %s: %w", short(res), err)
	}
	return nil
}

// transaction names the transaction that a message belongs to (RFC 3261 section 17.2.3).
func transaction(m *Message) string {
	number, method := m.CSeq()
	return fmt.Sprintf("%s %d %s %s", m.Branch(), number, method, m.CallID())
}

// token makes something unique for tags, branches and Call-IDs.
func token() string { return strings.ToLower(rand.Text()) }

// reasons are the reason phrases of RFC 3261 section 21 and its extensions that scripts use most.
var reasons = map[int]string{
	100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 183: "Session Progress", 200: "OK", 202: "Accepted",
	204: "No Notification", 299: "Fine", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 415: "Unsupported Media Type",
	420: "Bad Extension", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
	500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
}

func reason(code int) string {
	if r, ok := reasons[code]; ok {
		return r
	}
	return "Because"
}
