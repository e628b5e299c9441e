package sipstack

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Door is asked and told about whoever wants to come in, before anything is done for them. Its methods are called from
// many goroutines, those that read the sockets among them, and must not block.
type Door interface {
	// Full returns 0 when a new call can be taken; else it is refused with 503 and this Retry-After, in seconds. waited is how long
	// its INVITE lay in the socket before it was read; 0 where that is not known: it is known of UDP over IPv4, on Linux.
	Full(waited time.Duration) (retryAfter int)
	// Closing reports whether no new call will be taken any more: OPTIONS that asks for that gets 503.
	Closing() bool
	// TurnedAway tells of somebody who was turned away.
	TurnedAway(Refusal)
}

// What a [Refusal] is for.
const (
	RefusedAuthentication = "authentication" // credentials that do not do; Detail is one of the Auth constants
	RefusedRate           = "rate_limit"     // a request over [Config.MaxRequestsPerSource]
	RefusedSilence        = "silenced"       // a source that gets no answer
)

// Refusal is a request that was turned away at the door.
type Refusal struct {
	Source netip.Addr
	Reason string
	Detail string        // more about it; may be empty
	First  bool          // the first one of a burst, or the failure for which a source is silenced from now on
	For    time.Duration // of a silence that begins: how long
}

// open is the door of a stack that has none.
type open struct{}

func (open) Full(time.Duration) int { return 0 }
func (open) Closing() bool          { return false }
func (open) TurnedAway(Refusal)     {}

// WithDoor asks d whether there is room for a call. Default: there always is.
func WithDoor(d Door) Option { return func(s *Stack) { s.asked = d } }

// retrySoon is the Retry-After, in seconds, of a source over its limit.
const retrySoon = 1

// door keeps out whom nothing is to be done for.
type door struct {
	Door
	known     acl // never silenced: Config.Allow and Config.PSTNTrunks
	sources   *sources
	auth      *authenticator // nil: everybody may call
	tap       *tap
	gate      *gate
	secret    []byte
	strange   *recently // requests outside of dialogs that are no INVITE
	refused   refused
	supported string
}

func newDoor(cfg Config, d Door, auth *authenticator, g *gate, supported string) *door {
	known := append(append(acl{}, cfg.Allow...), cfg.PSTNTrunks...)
	return &door{
		Door: d, known: known, sources: newSources(cfg.MaxRequestsPerSource, cfg.SilenceAfter), auth: auth, tap: g.tap, gate: g, secret: g.secret,
		strange: &recently{most: maxStrange}, supported: supported,
	}
}

// tolerates reports whether the sender of a datagram that breaks the grammar gets an answer to it, and counts it as a failure. About
// an INVITE that opens a call [door.first] was asked.
// A nil door tolerates everybody.
func (d *door) tolerates(m sniffed, isSIP bool, peer net.Addr) bool {
	if d == nil {
		return true
	}
	now, from := time.Now(), addrPort(peer).Addr()
	if isSIP && !m.initial && (d.ignored(m, from, now) || d.over(from, now)) || !isSIP && d.sources.silenced(from, now) {
		return false
	}
	d.failed(from, now)
	return true
}

// arrival is where a message came from.
type arrival struct {
	network string
	peer    net.Addr
	waited  time.Duration // in the socket, as [Door.Full] has it
}

// first decides about a message by what was sniffed of it, before anything else is done: the more come, the less may be done for
// those that are turned away. false: it is not for sipgo. answer, if there is one, is to be sent, over UDP to whom. A nil door is
// open to all.
func (d *door) first(m sniffed, isSIP bool, raw []byte, a arrival) (pass bool, answer []byte, to netip.AddrPort) {
	switch {
	case d == nil || !isSIP || m.Code != 0:
		return true, nil, to
	case m.Method == "ACK":
		// It is never answered, and ends the repetitions of the response for which its source is silenced. One of a
		// response that was sent without a transaction ends nothing.
		return !isStateless(m.toTag), nil, to
	case !m.initial:
		return true, nil, to
	}
	now, from := time.Now(), addrPort(a.peer)
	if d.ignored(m, from.Addr(), now) {
		return false, nil, to
	}
	if d.tap.knows(m.SIPCallID, m.CSeq) {
		return true, nil, to
	}
	retry := d.refused.again(m, now)
	if retry == 0 {
		if d.over(from.Addr(), now) {
			retry = retrySoon
		} else if retry = d.Full(a.waited); retry == 0 {
			return true, nil, to
		}
		d.refused.add(m, retry, now)
	}
	res := unavailable(retry)
	answer, to, ok := res.write(raw, a.network, from, d.secret)
	if !ok { // not as simple as it looked
		answer, to = d.gate.echo(res, raw, a.peer)
	}
	return false, answer, to
}

// packet decides about a datagram that the access list and the gate have let in, as [door.first] does.
func (d *door) packet(m sniffed, isSIP bool, raw []byte, peer net.Addr) (pass bool, answer []byte, to netip.AddrPort) {
	if d == nil || m.Code != 0 {
		return true, nil, to
	}
	now, from := time.Now(), addrPort(peer)
	if !isSIP {
		if !isKeepalive(raw) && !d.sources.silenced(from.Addr(), now) {
			d.failed(from.Addr(), now)
		}
		return true, nil, to // sipgo drops it
	}
	switch {
	case m.Method == "ACK":
		return true, nil, to
	case !m.initial && d.ignored(m, from.Addr(), now):
		return false, nil, to
	case m.Method == "CANCEL" || m.toTag != "" || d.tap.knows(m.SIPCallID, m.CSeq):
		return true, nil, to
	}
	var res statelessResponse
	switch {
	case m.initial:
		if d.auth != nil && !m.authorized && !m.requires {
			res = statelessResponse{code: sip.StatusUnauthorized}
			for _, c := range d.auth.challenges(false, now) {
				res.headers = append(res.headers, "WWW-Authenticate: "+c)
			}
		}
	case d.over(from.Addr(), now):
		res = unavailable(retrySoon)
	case m.requires:
	case m.Method == "OPTIONS" && d.Closing():
		res = unavailable(retrySoon)
	case m.Method == "OPTIONS":
		res = statelessResponse{code: sip.StatusOK, headers: []string{
			"Allow: " + allow, "Supported: " + d.supported, "Accept: " + accept, "Allow-Events: " + allowEvents,
		}}
	case m.Method == "REGISTER":
		res = statelessResponse{code: sip.StatusMethodNotAllowed, headers: []string{"Allow: " + allow}}
	}
	if res.code == 0 {
		return m.initial || d.strange.add(now), nil, to
	}
	answer, to, ok := res.write(raw, "udp", from, d.secret)
	if !ok { // not as simple as it looked: sipgo's parser decides
		return d.strange.add(now), nil, to
	}
	switch res.code {
	case sip.StatusUnauthorized:
		d.unauthenticated(from.Addr(), "", now)
	case sip.StatusMethodNotAllowed:
		d.failed(from.Addr(), now)
	}
	return false, answer, to
}

// ignored reports whether a request gets no answer at all, because its source gets none. What belongs to a call is not
// ignored.
func (d *door) ignored(m sniffed, from netip.Addr, now time.Time) bool {
	if !d.sources.silenced(from, now) || d.tap.bound(m.SIPCallID) {
		return false
	}
	d.TurnedAway(Refusal{Source: from, Reason: RefusedSilence})
	return true
}

// over reports whether a request that belongs to no call is over its source's limit.
func (d *door) over(from netip.Addr, now time.Time) bool {
	over, first := d.sources.limited(from, now)
	if over {
		d.TurnedAway(Refusal{Source: from, Reason: RefusedRate, First: first})
	}
	return over
}

// failed counts what only scanners do often.
func (d *door) failed(from netip.Addr, now time.Time) {
	if !d.known.contains(from) {
		d.silence(from, d.sources.failed(from, now))
	}
}

// unauthenticated counts an INVITE without, or with wrong, credentials; reason is one of the Auth constants, "" for one
// without any.
func (d *door) unauthenticated(from netip.Addr, reason string, now time.Time) {
	if reason != "" {
		d.TurnedAway(Refusal{Source: from, Reason: RefusedAuthentication, Detail: reason, First: reason == AuthWrong})
	}
	switch {
	case d.known.contains(from):
	case reason == AuthWrong:
		d.silence(from, d.sources.failed(from, now))
	default:
		d.silence(from, d.sources.challenged(from, now))
	}
}

func (d *door) silence(from netip.Addr, length time.Duration) {
	if length > 0 {
		d.TurnedAway(Refusal{Source: from, Reason: RefusedSilence, First: true, For: length})
	}
}

// overUDP reports whether a request was a datagram, about which the door was asked before it was parsed.
func overUDP(req *sip.Request) bool { return strings.EqualFold(req.Transport(), "udp") }

// rationed reports whether a request that came over a stream was over its source's limit, and has been refused. INVITEs have been
// asked about before.
func (s *Stack) rationed(req *sip.Request, tx *sip.ServerTx) bool {
	outside := tagOf(req.To().Params) == ""
	if overUDP(req) || req.IsInvite() || req.IsAck() || req.IsCancel() || !outside || !s.door.over(sourceOf(req).Addr(), time.Now()) {
		return false
	}
	s.respond(tx, s.refusal(req, &StatusError{Code: sip.StatusServiceUnavailable, RetryAfter: retrySoon}))
	s.tap.release(callIDOf(req))
	return true
}

// suspect counts a request that only scanners send often.
func (s *Stack) suspect(req *sip.Request) { s.door.failed(sourceOf(req).Addr(), time.Now()) }

// ends reports whether a stream is closed because its peer gets no answer.
func (d *door) ends(peer netip.Addr) bool {
	if d == nil || !d.sources.silenced(peer, time.Now()) {
		return false
	}
	d.TurnedAway(Refusal{Source: peer, Reason: RefusedSilence})
	return true
}

// isKeepalive reports whether a datagram is one of those that keep a NAT open (RFC 5626 section 3.5, and habit): blanks,
// zeros or a STUN request.
func isKeepalive(raw []byte) bool {
	if len(raw) >= 20 && raw[0] < 2 && string(raw[4:8]) == "\x21\x12\xa4\x42" {
		return true
	}
	for _, b := range raw {
		if b > ' ' {
			return false
		}
	}
	return true
}
