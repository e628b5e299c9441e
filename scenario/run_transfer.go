package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// transfer does what a phone does that is referred (RFC 3515 section 2.4): it accepts the REFER, calls the address, and
// reports in NOTIFYs how that goes.
func (r *run) transfer(ctx context.Context, refer *Refer, s *transferStep) error {
	code := responseCode(202)
	if s.Answer != nil {
		code = *s.Answer
	}
	if err := refer.Respond(int(code)); err != nil || code < 200 || code > 299 {
		return err
	}
	report := func(status string) error {
		return r.send(ctx, resultCode{}, r.notify(&notifyStep{Sipfrag: text(status)}))
	}
	if s.Trying == nil || *s.Trying {
		if err := report("100 Trying"); err != nil {
			return err
		}
	}
	to := uriOf(refer.Target())
	peer, ok := r.route(to)
	if !ok {
		return report("404 Not Found")
	}
	to, headers, err := embedded(to)
	if err != nil {
		return report("400 Bad Request")
	}
	second, err := r.phone.Invite(ctx, Invite{To: to, Peer: peer.String(), Headers: headers})
	if err != nil {
		return err
	}
	for {
		m, err := r.phone.inbox.wait(ctx, "an answer of "+to, func(m *Message) bool {
			return !m.IsRequest() && m.CallID() == second.ID() && m.Method() == "INVITE" && m.Code() > 100
		})
		if err != nil {
			return fmt.Errorf("the phone that was to be called did not answer: %w", context.Cause(ctx))
		}
		if err := report(strings.TrimPrefix(m.Start, "SIP/2.0 ")); err != nil {
			return err
		}
		if m.Code() >= 200 {
			return nil
		}
	}
}

// route finds where an address is called: at the phone of a destination, or at the node. The destination's name in the
// user part is enough, so that an application need not know where a scenario's phones are.
func (r *run) route(uri string) (netip.AddrPort, bool) {
	if host, err := peerOf(uri); err == nil {
		if at, err := netip.ParseAddrPort(host); err == nil {
			for _, p := range r.destinations {
				if p.Addr() == at {
					return at, true
				}
			}
			if at == r.peer {
				return at, true
			}
		}
	}
	_, rest, _ := strings.Cut(uri, ":")
	user, _, _ := strings.Cut(rest, "@")
	if p, ok := r.destinations[user]; ok {
		return p.Addr(), true
	}
	return netip.AddrPort{}, false
}

// embedded parts a URI from the header fields that the INVITE to it must have (RFC 3261 section 19.1.5).
func embedded(uri string) (string, []Header, error) {
	uri, query, _ := strings.Cut(uri, "?")
	var headers []Header
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name == "" {
			continue
		}
		value, err := url.PathUnescape(value)
		if err != nil {
			return "", nil, err
		}
		headers = append(headers, Header{name, value})
	}
	return uri, headers, nil
}

// answerCalls is a destination: it answers every call as it was told to, until ctx ends.
func (r *run) answerCalls(ctx context.Context, p *Phone, d destination) {
	for {
		c, err := p.Accept(ctx)
		if err != nil {
			return
		}
		r.behind.Go(func() { _ = d.serve(ctx, c) }) // its caller sees when something is missing
	}
}

func (d destination) serve(ctx context.Context, c *Call) error {
	if d.Ring > 0 {
		if err := errors.Join(c.Respond(nil, 180), sleep(ctx, d.Ring)); err != nil {
			return err
		}
	}
	code := responseCode(200)
	if d.Answer != nil {
		code = *d.Answer
	}
	if code == 0 {
		return nil
	}
	if err := c.Respond(nil, int(code)); err != nil || code >= 300 || d.HangUp == 0 {
		return err
	}
	if err := sleep(ctx, d.HangUp); err != nil {
		return err
	}
	_, err := c.Bye(ctx)
	return err
}
