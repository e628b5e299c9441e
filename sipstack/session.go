package sipstack

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/netip"
	"strings"
	"sync"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

const typeSDP = "application/sdp"

// session is the offers and answers of a leg (RFC 3264), and its sound. One exchange is under way at a time.
type session struct {
	media *media.Session

	mu     sync.Mutex
	local  sdpLocal
	body   []byte       // our newest description
	offer  bool         // it is an offer, and waits for the answer
	params media.Params // agreed on last
	agrees bool         // the first offer has been answered
	silent error        // why another process's has no sound any more
	untold bool         // the peer does not know yet where our sound is since the restart

	agreed func(media.Params) // told of it, under no lock
}

// newSession reads the offer of an INVITE and opens a port. Without an offer there will be ours in the 200. Errors are
// [StatusError]s.
func (s *Stack) newSession(req *sip.Request, on *listener, callID string) (*session, error) {
	offer, err := readOffer(req)
	if err != nil {
		return nil, err
	}
	probe := sdpLocal{
		addr: s.mediaAddress(on), port: 9, codecs: s.cfg.Codecs, keys: s.newKeys(),
		sessionID: uint64(rand.Uint32()), version: 1, // 32 bits: some peers read no more
	}
	// The offer is looked at first: a call that cannot be takes no port.
	if offer != nil && !offer.answerable(probe) {
		return nil, unanswerable()
	}
	sound, err := s.media.OpenAt(callID, s.mediaBind(on))
	if err != nil {
		s.log.Warn("no RTP port for a call", zap.String("call_id", callID))
		return nil, &StatusError{Method: "INVITE", Code: sip.StatusServiceUnavailable, RetryAfter: busyRetryAfter}
	}
	sound.Correlate(req.CallID().Value())
	c := &session{media: sound, local: probe, agreed: func(p media.Params) { s.observer.Media(callID, p) }}
	c.local.port = sound.Port()
	if err := c.describe(offer, sourceOf(req).Addr()); err != nil {
		_ = sound.Close()
		return nil, err
	}
	return c, nil
}

// busyRetryAfter is when a caller for whom there was no port may try again, in seconds.
const busyRetryAfter = 5

// readOffer reads the offer of a request; nil: it makes none, and wants ours. Errors are [StatusError]s.
func readOffer(req *sip.Request) (*remoteSDP, error) {
	body, err := readBody(req)
	if err != nil || body == nil {
		return nil, err
	}
	offer, err := readSDP(body)
	if err != nil {
		return nil, &StatusError{Method: "INVITE", Code: sip.StatusBadRequest, Reason: "Bad SDP"}
	}
	return &offer, nil
}

// unanswerable refuses an offer of which we can use nothing.
func unanswerable() error { return &StatusError{Method: "INVITE", Code: sip.StatusNotAcceptableHere} }

// exchange returns our description: the answer to an offer, or, where there is none, an offer.
func exchange(offer *remoteSDP, local sdpLocal) (body []byte, p media.Params, err error) {
	if offer == nil {
		return offerSDP(local), media.Params{}, nil
	}
	if body, p, err = answerSDP(*offer, local); err != nil {
		return nil, media.Params{}, unanswerable()
	}
	return body, p, nil
}

// propose makes our description for a later INVITE or an UPDATE. It changes nothing when it fails.
func (c *session) propose(req *sip.Request) error {
	offer, err := readOffer(req)
	if err != nil {
		return err
	}
	return c.describe(offer, sourceOf(req).Addr())
}

// describe makes our description: the answer to an offer that came from source, or an offer. It changes nothing when it fails.
func (c *session) describe(offer *remoteSDP, source netip.Addr) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, p, err := exchange(offer, c.local)
	if err != nil {
		return err
	}
	if c.body != nil && !bytes.Equal(body, c.body) { // RFC 3264 section 8
		c.local.version++
		if body, p, err = exchange(offer, c.local); err != nil {
			return err
		}
	}
	c.body, c.offer = body, offer == nil
	if !c.offer {
		p.Source = source
		c.params = p
	}
	return nil
}

// settled reports whether the first offer has been answered: by us, or, where it was ours, by the peer. No other may be
// made before.
func (c *session) settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agrees
}

// offering reports whether our description is an offer that waits for its answer.
func (c *session) offering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offer
}

// description returns what goes into the 200.
func (c *session) description() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.body
}

// answers notes that the peer's offer is answered, if it made one, by what is about to be sent.
func (c *session) answers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.agrees = c.agrees || !c.offer
}

// start lets the sound run as it was agreed on, if that is known yet.
func (c *session) start() {
	c.mu.Lock()
	p, known := c.params, !c.offer
	c.agrees = c.agrees || known
	c.mu.Unlock()
	if known {
		c.apply(p)
	}
}

// apply lets the sound run as it was agreed on.
func (c *session) apply(p media.Params) {
	if c.media == nil {
		return
	}
	c.media.Configure(p)
	c.agreed(p)
}

// confirm takes the ACK, or the PRACK: it holds the answer when the response had our offer. The sound runs as agreed
// from now on if the call is answered, else with start.
func (c *session) confirm(ack *sip.Request, answered bool) error {
	p, fresh, err := c.answered(ack)
	if err == nil && fresh && answered {
		c.apply(p)
	}
	return err
}

// renewed takes the answer to our description sent once more, as it was (RFC 4028 section 7.4): nothing changes unless
// the peer has another.
func (c *session) renewed(res *sip.Response) error {
	body, err := readBody(res)
	if err != nil || body == nil {
		return errors.Join(err, errNoCommonCodec)
	}
	answer, err := readSDP(body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	p, err := acceptSDP(answer, c.local)
	p.Source = c.params.Source
	if p.EventType != 0 && c.params.EventType != 0 {
		p.EventType = c.params.EventType // as in what was sent
	}
	changed := err == nil && p != c.params
	if changed {
		c.params = p
	}
	c.mu.Unlock()
	if changed {
		c.apply(p)
	}
	return err
}

// answered reads the answer in an ACK or PRACK, or in a 2xx to an INVITE of ours; fresh: one was waited for.
func (c *session) answered(ack sip.Message) (p media.Params, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.offer {
		return p, false, nil
	}
	c.offer = false
	body, err := readBody(ack)
	if err != nil {
		return p, true, err
	}
	if body == nil {
		return p, true, errors.New("no answer")
	}
	answer, err := readSDP(body)
	if err != nil {
		return p, true, err
	}
	p, err = acceptSDP(answer, c.local)
	p.Source = sourceOf(ack).Addr()
	if err == nil {
		c.params, c.agrees = p, true
	}
	return p, true, err
}

// withSDP puts a description into a message.
func withSDP(res *sip.Response, body []byte) {
	contentType := sip.ContentTypeHeader(typeSDP)
	res.AppendHeader(&contentType)
	res.SetBody(body)
}

// readBody returns the session description in a message, alone or among other parts (RFC 5621); nil: it has no body, or
// one that may be ignored. A body of another kind is a [StatusError] 415.
func readBody(req sip.Message) ([]byte, error) {
	body := req.Body()
	if len(body) == 0 || optionalBody(req) && packed(req) {
		return nil, nil
	}
	value, ok := headerValue(req, "Content-Type", "c")
	if !ok {
		return body, nil // there is nothing else that it could be
	}
	kind, params, err := mime.ParseMediaType(value)
	switch {
	case err != nil:
	case kind == typeSDP:
		return body, nil
	case strings.HasPrefix(kind, "multipart/"):
		if part := sdpPart(body, params["boundary"]); part != nil {
			return part, nil
		}
	}
	if optionalBody(req) {
		return nil, nil
	}
	return nil, &StatusError{Method: "INVITE", Code: sip.StatusUnsupportedMediaType}
}

// undescribed reports whether a message has no session description, nor anything that would have to be one.
func undescribed(msg sip.Message) bool {
	body, err := readBody(msg)
	return err == nil && body == nil
}

func sdpPart(body []byte, boundary string) []byte {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")) // what cannot be read is another kind
		if kind != typeSDP {
			continue
		}
		sdp, err := io.ReadAll(part) // from memory
		if err != nil {
			return nil
		}
		return sdp
	}
}

// offerFrom makes our offer for a call of ours.
func (c *session) offerFrom(addr netip.Addr) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.local.addr = addr
	c.body, c.offer = offerSDP(c.local), true
	return c.body
}

// fork returns the offers and answers of one more dialog that our offer has opened. The sound is the same.
func (c *session) fork() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &session{media: c.media, local: c.local, body: c.body, offer: c.offer, agreed: c.agreed}
}

// accept reads the answer to our offer in a 2xx.
func (c *session) accept(res *sip.Response) error {
	_, _, err := c.answered(res)
	return err
}
