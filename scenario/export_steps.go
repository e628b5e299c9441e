package scenario

import (
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"go.yaml.in/yaml/v3"
)

// A delay that is shorter than shownDelay is what the machine took; others are rounded.
const (
	shownDelay = 30 * time.Millisecond
	roundedTo  = 10 * time.Millisecond
)

// exportSteps makes the phone's steps of what it has sent after its INVITE, which is entry i.
func (x *export) exportSteps(i int) *yaml.Node {
	s := &stepExport{export: x, steps: &yaml.Node{Kind: yaml.SequenceNode}, ready: x.entries[i].Time, sent: map[string]bool{}, said: x.sayings()}
	s.answers()
	for j := i + 1; j < len(x.entries); j++ {
		e := x.entries[j]
		s.say(e.Time)
		if w := e.Webhook; w != nil && w.Event == state.WebhookRequest && w.EventType != "initiate" {
			s.webhooks = append(s.webhooks, e)
		}
		if e.Digit != nil {
			s.digit(e)
		}
		if e.SIP == nil {
			continue
		}
		again := s.sent[e.SIP.Direction+e.SIP.Raw]
		s.sent[e.SIP.Direction+e.SIP.Raw] = true
		switch {
		case again && e.SIP.Direction == "in" && e.m.IsRequest() && e.m.Method() != "ACK" && s.answeredBefore(j):
			s.add(e.Time, newMapping().with("repeat", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}))
		case again: // the phone and the node do so by themselves, until there is an answer
		case e.SIP.Direction == "out":
			s.fromNode(e)
		case !e.m.IsRequest():
			s.response(e)
		case e.Seq == s.lateAck:
			s.add(e.Time, newMapping().with("ack", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}))
		case e.m.Method() == "PRACK" && s.outcome(e.m) == 200: // likewise
		case e.m.Method() != "ACK":
			s.request(j)
		}
	}
	for range s.refers {
		s.add(s.ready, newMapping().with("refer", "none"))
	}
	return s.steps
}

// stepExport follows what the phone has sent.
type stepExport struct {
	*export
	steps   *yaml.Node
	ready   time.Time // when the step before was done
	sent    map[string]bool
	refers  []exported // REFERs that the phone has not answered, and that no step waits for yet
	later   []exported // REFERs that a step waits for, which is to be answered later
	first   []int      // provisional answers to the first of refers
	earlier []exported // every REFER
	burst   *yaml.Node // the burst that the step before was; nil: none
	until   time.Time  // when the first of its requests was answered
	said    []saying   // what the phone has said, and no step says yet

	webhooks []exported // that came since the step before
}

func (s *stepExport) fromNode(e exported) {
	switch {
	case e.m.Method() == "REFER" && e.m.IsRequest():
		s.refers, s.earlier = append(s.refers, e), append(s.earlier, e)
		s.ready = e.Time
	case e.m.Method() == "INVITE" && e.m.Code() >= 200:
		s.ready = e.Time
	}
}

// add adds a step that was done at a time. It waits for the webhooks before it, for it may be for them that it was done
// then: a NOTIFY after a time-out, a BYE after an event.
func (s *stepExport) add(at time.Time, step mapping) {
	for _, e := range s.webhooks {
		s.steps.Content = append(s.steps.Content, newMapping().with("wait", flow(newMapping().with("webhook", e.Webhook.EventType))).n)
		if e.Time.After(s.ready) {
			s.ready = e.Time
		}
	}
	s.webhooks = nil
	if delay := at.Sub(s.ready); delay >= shownDelay {
		step.add("delay", delay.Round(roundedTo).String())
	}
	if at.After(s.ready) {
		s.ready = at
	}
	if len(step.n.Content) == 4 {
		step.n.Style = yaml.FlowStyle
	}
	s.steps.Content = append(s.steps.Content, bare(step))
	s.burst = nil
}

// pressing is about how long a phone takes for a key.
const pressing = 160 * time.Millisecond

// digit adds the step of a key. That of an INFO is the INFO's.
func (s *stepExport) digit(e exported) {
	switch key := newMapping().with("digits", e.Digit.Digit); e.Digit.By {
	case "rtp":
		s.add(e.Time, key)
	case "tone":
		s.add(e.Time, newMapping().with("digits", flow(key.with("by", "tone"))))
	default:
		return
	}
	s.ready = e.Time.Add(pressing)
}

func flow(m mapping) *yaml.Node {
	m.n.Style = yaml.FlowStyle
	return m.n
}

// bare is a step, as its name alone where it has no more to say.
func bare(step mapping) *yaml.Node {
	if len(step.n.Content) == 2 && step.n.Content[1].Tag == "!!null" {
		return step.n.Content[0]
	}
	return step.n
}

// answers adds a step that has the phone answer BYE and OPTIONS as it did, where that was not with 200.
func (s *stepExport) answers() {
	other := newMapping()
	for _, e := range s.entries {
		if e.SIP != nil && e.SIP.Direction == "in" && (e.m.Method() == "BYE" || e.m.Method() == "OPTIONS") && e.m.Code() >= 300 && other.get(e.m.Method()) == nil {
			other.add(e.m.Method(), e.m.Code())
		}
	}
	if len(other.n.Content) > 0 {
		s.add(s.ready, newMapping().with("answers", other.n))
	}
}

// response adds the step of an answer to a REFER.
func (s *stepExport) response(e exported) {
	if e.m.Method() != "REFER" {
		return
	}
	number, _ := e.m.CSeq()
	code := e.m.Code()
	mine := func(r exported) bool { n, _ := r.m.CSeq(); return n == number }
	switch {
	case slices.ContainsFunc(s.later, mine):
		s.add(e.Time, newMapping().with("answer", code))
		if code >= 200 {
			s.later = slices.DeleteFunc(s.later, mine)
		}
	case !slices.ContainsFunc(s.refers, mine):
	case code < 200:
		s.first = append(s.first, code)
	default:
		s.refers = slices.DeleteFunc(s.refers, mine)
		s.add(e.Time, s.answered(e, code))
		s.first = nil
	}
}

func (s *stepExport) answered(e exported, code int) mapping {
	refer := newMapping()
	if s.first != nil {
		refer.add("provisional", s.first)
	}
	name := map[int]string{401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[code]
	challenge, isDigest := strings.CutPrefix(e.m.Get(name), "Digest ")
	switch {
	case name != "" && isDigest:
		p, c := digestParams(challenge), newMapping().with("status", code)
		for _, key := range []string{"realm", "algorithm", "qop"} {
			if p[key] != "" {
				c.add(key, p[key])
			}
		}
		if strings.EqualFold(p["stale"], "true") {
			c.add("stale", true)
		}
		refer.add("challenge", c.n)
		if s.answersChallenge(e) && s.settings.get("sip.credentials") == nil {
			s.settings.add("sip.credentials", []any{map[string]string{"realm": p["realm"], "username": "callengine", "password": "unknown"}})
		}
	case s.first == nil:
		return newMapping().with("refer", code)
	default:
		refer.add("answer", code)
	}
	return newMapping().with("refer", refer.n)
}

// answersChallenge reports whether a REFER with credentials followed.
func (s *stepExport) answersChallenge(challenge exported) bool {
	return slices.ContainsFunc(s.entries, func(e exported) bool {
		return e.from("out", "REFER") && e.m.IsRequest() && e.Seq > challenge.Seq && (e.m.Has("Authorization") || e.m.Has("Proxy-Authorization"))
	})
}

// request adds the step of a request, entry j.
func (s *stepExport) request(j int) {
	e := s.entries[j]
	if len(s.refers) > 0 && e.m.Method() == "NOTIFY" || len(s.refers) > 0 && s.answeredAfter(j) {
		s.add(s.ready, newMapping().with("refer", "later"))
		s.later, s.refers = append(s.later, s.refers...), nil
	}
	step := s.requestStep(e)
	done := e.Time
	for _, res := range s.entries[j:] {
		if res.from("out", e.m.Method()) && res.m.Code() >= 200 && res.m.Branch() == e.m.Branch() {
			done = res.Time
			break
		}
	}
	inBurst := e.m.Method() != "INVITE" && e.m.Method() != "CANCEL"
	if inBurst && s.burst != nil && e.Time.Before(s.until) {
		s.burst.Content = append(s.burst.Content, bare(step))
		return
	}
	following := j + 1
	for following < len(s.entries) && (s.entries[following].SIP == nil || s.entries[following].SIP.Direction == "out" && s.entries[following].m.Branch() != e.m.Branch()) {
		following++
	}
	if inBurst && following < len(s.entries) && s.entries[following].SIP.Direction == "in" && s.entries[following].m.IsRequest() && done.After(s.entries[following].Time) {
		list := &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{bare(step)}}
		s.add(e.Time, newMapping().with("burst", list))
		s.burst, s.until = list, done
	} else {
		s.add(e.Time, step)
	}
	s.ready = done
}

// answeredBefore reports whether the node has answered the request of entry j before it came.
func (s *stepExport) answeredBefore(j int) bool {
	return slices.ContainsFunc(s.entries[:j], func(e exported) bool {
		return e.from("out", s.entries[j].m.Method()) && e.m.Code() >= 200 && e.m.Branch() == s.entries[j].m.Branch()
	})
}

// answeredAfter reports whether the phone has answered its oldest REFER after entry j.
func (s *stepExport) answeredAfter(j int) bool {
	number, _ := s.refers[0].m.CSeq()
	return slices.ContainsFunc(s.entries[j:], func(e exported) bool {
		if !e.from("in", "REFER") {
			return false
		}
		n, _ := e.m.CSeq()
		return n == number
	})
}

// requestStep makes the step of a request.
func (s *stepExport) requestStep(e exported) mapping {
	m := e.m
	body := newMapping()
	name := strings.ToLower(m.Method())
	switch m.Method() {
	case "NOTIFY":
		s.notifyKeys(m, body)
	case "INVITE":
		name = s.reinviteKeys(m, body)
	case "BYE", "CANCEL", "OPTIONS":
	case "INFO":
		s.bodyKeys(m, body)
	default:
		name = "request"
		body.add("method", m.Method())
		s.bodyKeys(m, body)
	}
	code := s.outcome(m)
	switch {
	case code == 0:
		body.add("expect", "none")
	case code != 200:
		body.add("expect", code)
	}
	if len(body.n.Content) == 0 {
		return newMapping().with(name, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
	}
	body.n.Style = yaml.FlowStyle
	return newMapping().with(name, body.n)
}

func (s *stepExport) bodyKeys(m *Message, to mapping) {
	if m.Has("Content-Type") {
		to.add("content_type", escapedText(m.Get("Content-Type")))
		to.add("body", escapedText(string(m.Body)))
	}
}

// reinviteKeys returns the name of a re-INVITE's step.
func (s *stepExport) reinviteKeys(m *Message, to mapping) string {
	session, ok := ReadSession(m.Body)
	switch {
	case len(m.Body) == 0:
		to.add("offer", "none")
	case !ok, session.Media.Addr().IsUnspecified(): // the latter is the hold of RFC 2543
		to.add("sdp", escapedText(string(m.Body)))
	case session.Direction == SendOnly:
		return "hold"
	case session.Direction == SendRecv:
		return "resume"
	default:
		to.add("offer", session.Direction)
	}
	return "reinvite"
}

// notifyKeys says in what a NOTIFY differs from the one that the phone of a scenario would send.
func (s *stepExport) notifyKeys(m *Message, to mapping) {
	frag, rest, _ := strings.Cut(string(m.Body), "\r\n")
	if status, ok := strings.CutPrefix(frag, "SIP/2.0 "); ok && rest == "" {
		to.add("sipfrag", escapedText(status))
	} else {
		to.add("body", escapedText(string(m.Body)))
		frag = ""
	}
	differs := func(key, header, usual string) {
		switch got := m.Get(header); {
		case got == "" && !m.Has(header):
			if usual != "" {
				to.add(key, "none")
			}
		case got != usual:
			to.add(key, escapedText(got))
		}
	}
	contentType := "message/sipfrag;version=2.0"
	if len(m.Body) == 0 {
		contentType = ""
	}
	differs("content_type", "Content-Type", contentType)
	subscription := "terminated;reason=noresource"
	if strings.HasPrefix(frag, "SIP/2.0 1") {
		subscription = "active;expires=60"
	}
	differs("state", "Subscription-State", subscription)
	event := m.Get("Event")
	switch id := param(event, "id"); {
	case event == "":
		to.add("event", "none")
	case id == "" && len(s.earlier) > 1:
		to.add("id", "none")
	case id != "":
		to.add("id", s.whichRefer(id))
	}
	if name, _, _ := strings.Cut(event, ";"); event != "" && name != "refer" {
		to.add("event", escapedText(name))
	}
}

// whichRefer names a REFER by its place, as its CSeq may be another one when the scenario runs.
func (s *stepExport) whichRefer(id string) string {
	for i, r := range s.earlier {
		number, _, _ := strings.Cut(r.m.Get("CSeq"), " ")
		switch {
		case number != id:
		case i == len(s.earlier)-1:
			return "last"
		case i == 0:
			return "first"
		}
	}
	return id
}
