package sipstack

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Saved is what is known of a call that another process had: what an [Observer] was told of it.
type Saved struct {
	CallID   string       // the call's, as the observer knows it
	Snapshot []byte       // the newest of Observer.Dialog; nil: there is none
	Messages []Message    // all of Observer.SIP, in order
	Refers   []ReferState // of each referral the newest of Observer.Refer, in order
	Over     bool         // the call has ended: its referral may not have, and its peer may not have learned it
}

// history is what the messages of a call say of its dialog.
type history struct {
	invite  *sip.Request // as the stack takes it: with our tag
	arrived Message      // likewise, off the wire
	id      dialogID

	sent     uint32            // CSeq of our newest request; 0: none
	answers  map[uint32]answer // to requests of the peer in the dialog, by number
	last     *sip.Request
	lastSeen Message // that one, off the wire

	canceled, reliable bool
	refused            int // final status that the INVITE got; 0: none, or a 2xx
	answered           bool
	ack                *sip.Request // nil: none came
	open               *Message     // an INVITE in the dialog whose final response had no ACK, as far as is known; nil: there is none

	bye       *Message // the peer's
	hungUp    bool     // ours was sent, and answered
	endedTime time.Time

	refers []Message   // REFERs sent
	told   []referNews // what came of them, in order
}

// referNews is a response to a REFER, or a NOTIFY.
type referNews struct {
	Message
	notify *sip.Request
}

// errNoInvite is the end of a call of whose INVITE nothing is known.
var errNoInvite = errors.New("its INVITE is not known")

// readHistory reads the messages of a call. Tag is our own in the dialog; "": that of our first response.
func (s *Stack) readHistory(saved Saved, tag string) (*history, error) {
	h := &history{answers: map[uint32]answer{}}
	for _, m := range saved.Messages {
		if !m.In || m.Code != 0 || m.Method != string(sip.INVITE) {
			continue
		}
		req, err := s.arrival(m)
		if err != nil {
			return nil, errors.Join(errNoInvite, err)
		}
		h.invite, h.arrived = req, m
		break
	}
	if h.invite == nil {
		return nil, errNoInvite
	}
	if tag == "" {
		tag = s.tagAnswered(saved.Messages, h.arrived.CSeq)
	}
	if to := h.invite.To(); tag != "" && tagOf(to.Params) == "" {
		to.Params.Add("tag", tag)
	}
	h.id = dialogOf(h.invite)
	for _, m := range saved.Messages {
		h.add(s, m)
	}
	if h.open != nil {
		delete(h.answers, h.open.CSeq)
	}
	return h, nil
}

// tagAnswered returns our tag in the responses to the INVITE; "": there was none.
func (s *Stack) tagAnswered(messages []Message, cseq uint32) string {
	for _, m := range messages {
		if m.In || m.Code == 0 || m.Method != string(sip.INVITE) || m.CSeq != cseq {
			continue
		}
		if msg, err := s.gate.parser.ParseSIP([]byte(m.Raw)); err == nil && msg.To() != nil {
			return tagOf(msg.To().Params)
		}
	}
	return ""
}

// arrival reads a request that came in.
func (s *Stack) arrival(m Message) (*sip.Request, error) {
	source, err := netip.ParseAddrPort(m.Remote)
	if err != nil {
		return nil, err
	}
	raw, _ := s.gate.pass([]byte(m.Raw), net.UDPAddrFromAddrPort(source), m.Transport != "udp")
	if raw == nil {
		return nil, errors.New("it cannot be read")
	}
	msg, err := s.gate.parser.ParseSIP(raw)
	if err != nil {
		return nil, err
	}
	req, ok := msg.(*sip.Request)
	if !ok || unacceptable(req) != 0 {
		return nil, errors.New("it is no request")
	}
	req.SetSource(m.Remote)
	req.SetTransport(strings.ToUpper(m.Transport))
	return req, nil
}

func (h *history) add(s *Stack, m Message) {
	invite := m.Method == string(sip.INVITE) && m.CSeq == h.arrived.CSeq
	switch {
	case !m.In && m.Code == 0:
		h.addSent(m)
	case m.In && m.Code >= 200:
		h.addAnswer(m)
	case m.In && m.Code == 0:
		h.addReceived(s, m)
	case invite && !m.In && m.Code >= 300:
		h.refused, h.endedTime = m.Code, m.Time
	case invite && !m.In && m.Code >= 200:
		h.answered = true
	case invite && !m.In && m.Code > 100:
		h.reliable = h.reliable || strings.Contains(m.Raw, "RSeq:")
	case !m.In && m.Code >= 200 && h.ours(s, m):
		h.answers[m.CSeq] = answer{m.Method, m.Code, m.Reason}
	}
}

// ours reports whether a response of ours is one in the dialog: what claimed to be of it was answered, too.
func (h *history) ours(s *Stack, m Message) bool {
	msg, err := s.gate.parser.ParseSIP([]byte(m.Raw))
	res, ok := msg.(*sip.Response)
	return err == nil && ok && res.To() != nil && res.From() != nil &&
		tagOf(res.To().Params) == h.id.local && tagOf(res.From().Params) == h.id.remote
}

func (h *history) addSent(m Message) {
	switch m.Method {
	case string(sip.ACK), string(sip.CANCEL):
		return
	case string(sip.REFER):
		h.refers = append(h.refers, m)
	}
	h.sent = max(h.sent, m.CSeq)
}

func (h *history) addAnswer(m Message) {
	switch m.Method {
	case string(sip.BYE):
		h.hungUp, h.endedTime = true, m.Time
	case string(sip.REFER):
		h.told = append(h.told, referNews{Message: m})
	}
}

func (h *history) addReceived(s *Stack, m Message) {
	if m.Method == string(sip.INVITE) && m.CSeq == h.arrived.CSeq {
		return // it, and repetitions of it
	}
	req, err := s.arrival(m)
	if err != nil {
		return
	}
	if req.IsCancel() {
		h.canceled = h.canceled || inviteOf(req) == inviteOf(h.invite)
		return
	}
	if dialogOf(req) != h.id {
		return
	}
	h.last, h.lastSeen = req, m
	switch req.Method {
	case sip.INVITE:
		h.open = &m
	case sip.ACK:
		if h.open != nil && h.open.CSeq == m.CSeq {
			h.open = nil
		}
		if m.CSeq == h.arrived.CSeq {
			h.ack = req
		}
	case sip.BYE:
		if h.bye == nil {
			h.bye = &m
		}
	case sip.NOTIFY:
		h.told = append(h.told, referNews{m, req})
	}
}
