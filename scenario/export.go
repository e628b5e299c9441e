package scenario

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"go.yaml.in/yaml/v3"
)

// What a journal is from which no scenario can be made.
var (
	ErrNoCall   = errors.New("the journal does not begin with an INVITE")
	ErrNotOver  = errors.New("the call is not over yet: what comes of it is not known")
	ErrModified = errors.New("the call was modified through the API, which a scenario does not do")
)

// Export makes a scenario of a call's journal, in which the phone and the application do what they did in the call. Run,
// it gives the same journal, but for times, ids and addresses. Sentences and sound files are tones as long as those were. What
// a journal does not hold is missing: the sound that the phone sent, but for digits, how long keys were pressed, replies that were not looked at, what happened to
// packets on their way, and the configuration, as far as it did not show; passwords are masked.
func Export(entries []state.Entry) ([]byte, error) {
	x := newExport(entries)
	i := slices.IndexFunc(x.entries, func(e exported) bool { return e.from("in", "INVITE") && e.m.IsRequest() })
	if i < 0 {
		return nil, ErrNoCall
	}
	if now := x.record.State; now != "" && now != state.StateDisconnected { // a call that was not let in has none
		return nil, ErrNotOver
	}
	if slices.ContainsFunc(entries, func(e state.Entry) bool { return e.Call != nil && e.Call.Event == state.CallModified }) {
		return nil, ErrModified
	}
	x.invite = x.entries[i].m
	x.exportCall(x.entries[i].SIP.Transport)
	application := x.exportReplies()
	phone := x.exportSteps(i)
	x.exportSounds(application)
	root := newMapping()
	root.add("name", "call "+entries[0].CallID)
	root.addIf("call", x.call)
	root.add("application", newMapping().with("replies", application.n).n)
	if len(phone.Content) > 0 {
		root.add("phone", phone)
	}
	x.exportSettings()
	root.addIf("speech", x.speech)
	root.addIf("timers", x.timers)
	root.addIf("settings", x.settings)
	root.add("timeout", (x.length() + defaultTimeout).Round(time.Second).String())
	root.add("expect", x.exportExpectations().n)
	text, err := encoded(root.n)
	return []byte(text), err
}

func newExport(entries []state.Entry) *export {
	x := &export{call: newMapping(), settings: newMapping(), timers: newMapping(), speech: newMapping()}
	for _, e := range entries {
		x.record.Apply(e)
		if e.SIP == nil {
			x.entries = append(x.entries, exported{Entry: e})
			continue
		}
		if m, err := ParseMessage([]byte(e.SIP.Raw)); err == nil { // else it was no SIP message
			x.entries = append(x.entries, exported{e, m})
		}
	}
	return x
}

// export is a scenario being made.
type export struct {
	entries  []exported
	record   state.Record
	invite   *Message
	call     mapping
	settings mapping
	timers   mapping
	speech   mapping
	lateAck  uint64 // entry of the ACK that was long in coming; 0: there is none
}

// exported is an entry of the journal; m is its SIP message.
type exported struct {
	state.Entry
	m *Message
}

// from reports whether the entry is a SIP message of that direction, and of that method or responding to it.
func (e exported) from(direction, method string) bool {
	return e.SIP != nil && e.SIP.Direction == direction && e.m.Method() == method
}

func (x *export) length() time.Duration {
	return x.entries[len(x.entries)-1].Time.Sub(x.entries[0].Time)
}

// ownHeaders are those that the phone of a scenario writes itself, or that name hosts which are not there.
var ownHeaders = []string{
	"via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "content-type", "content-length", "allow", "route",
	"record-route", "authorization", "proxy-authorization",
}

func (x *export) exportCall(transport string) {
	uri := x.invite.RequestURI()
	scheme, rest, _ := strings.Cut(uri, ":")
	if !strings.EqualFold(scheme, "sips") {
		scheme = "sip"
	}
	user, host, hasUser := strings.Cut(rest, "@")
	params := ""
	if i := strings.IndexByte(host, ';'); i >= 0 {
		params = host[i:]
	}
	switch {
	case !hasUser:
		x.call.add("to", scheme+":${node}")
	case params != "" || scheme != "sip" || strings.Contains(user, ":"):
		x.call.add("to", scheme+":"+escapedText(user)+"@${node}"+escapedText(params))
	default:
		x.call.add("to", escapedText(user))
	}
	if from := uriOf(x.invite.Get("From")); from != "" {
		x.call.add("from", escapedText(from))
	}
	if transport == "tcp" || transport == "tls" {
		x.call.add("transport", transport)
	}
	if slices.ContainsFunc(x.invite.Headers, func(h Header) bool { return h.Name == "i" }) {
		x.call.add("compact", true)
	}
	if at, late := x.acknowledged(); late {
		x.call.add("hold_ack", true)
		x.lateAck = at
	}
	headers := newMapping()
	for _, h := range x.invite.Headers {
		if !slices.Contains(ownHeaders, headerKey(h.Name)) && headers.get(h.Name) == nil {
			name := h.Name
			if long, ok := compact[strings.ToLower(name)]; ok {
				name = long
			}
			headers.add(name, texts(x.invite.All(h.Name)))
		}
	}
	x.call.addIf("headers", headers)
	session, ok := ReadSession(x.invite.Body)
	switch {
	case len(x.invite.Body) == 0:
		x.call.add("offer", "none")
	case !ok, session.Media.Addr().IsUnspecified():
		x.call.add("sdp", escapedText(string(x.invite.Body)))
	default:
		var codecs []string
		for _, pt := range session.Payloads {
			for name, number := range payloadTypes {
				if pt == number {
					codecs = append(codecs, name)
				}
			}
		}
		if len(codecs) == 0 { // and so the node has answered as it has
			x.call.add("sdp", escapedText(string(x.invite.Body)))
			break
		}
		if !slices.Equal(codecs, []string{"PCMU", "PCMA"}) {
			x.call.add("codecs", texts(codecs))
		}
		if !session.events() {
			x.call.add("no_events", true)
		}
		if session.Direction != SendRecv {
			x.call.add("offer", session.Direction)
		}
	}
}

// acknowledged finds the ACK to the 200 of the INVITE; 0: there is none. late: the phone did not send it at once.
func (x *export) acknowledged() (at uint64, late bool) {
	number, _ := x.invite.CSeq()
	var answered time.Time
	for _, e := range x.entries {
		if e.SIP == nil {
			continue
		}
		n, _ := e.m.CSeq()
		switch {
		case answered.IsZero() && e.from("out", "INVITE") && n == number && e.m.Code() >= 200 && e.m.Code() < 300:
			answered = e.Time
		case !answered.IsZero() && e.from("in", "ACK") && n == number:
			return e.Seq, e.Time.Sub(answered) >= longAck
		}
	}
	return 0, !answered.IsZero()
}

// longAck is how long an ACK takes that was held back.
const longAck = 200 * time.Millisecond

// exportReplies collects what the application has answered, by the events' types.
func (x *export) exportReplies() mapping {
	replies := newMapping()
	last := mapping{}
	owed := map[string]bool{} // by event id
	for i, e := range x.entries {
		switch {
		case e.Webhook != nil && e.Webhook.Event == state.WebhookOwed:
			owed[e.Webhook.EventID] = true
		case e.Webhook != nil && e.Webhook.Event == state.WebhookReply:
			list := replies.get(e.Webhook.EventType)
			if list == nil {
				list = &yaml.Node{Kind: yaml.SequenceNode}
				replies.add(e.Webhook.EventType, list)
			}
			reply := newMapping()
			switch {
			case e.Webhook.Status > 0:
				reply.add("status", e.Webhook.Status)
				if next := x.nextHop(i); e.Webhook.Status >= 300 && e.Webhook.Status < 400 && next != "" {
					reply.add("redirect", x.relocated(next))
				}
				if delay := time.Duration(e.Webhook.Millis) * time.Millisecond; delay >= shownDelay {
					reply.add("delay", delay.Round(roundedTo).String())
				}
			case timeoutOf(e.Webhook) > 0:
				reply.add("hang", true)
			default:
				reply.add("drop", true)
			}
			list.Content = append(list.Content, reply.n)
			if !owed[e.Webhook.EventID] { // the reply to one that is owed is no document, and comes at any time
				last = reply
			}
		case e.Document != nil && last.n != nil:
			last.add("bxml", x.relocated(e.Document.Body))
			last = mapping{}
		}
	}
	return replies
}

// nextHop is where the webhook whose reply entry i is was sent next; empty: nowhere.
func (x *export) nextHop(i int) string {
	for _, e := range x.entries[i+1:] {
		if e.Webhook != nil && e.Webhook.EventID == x.entries[i].Webhook.EventID {
			if e.Webhook.Event == state.WebhookRequest {
				return e.Webhook.URL
			}
			return ""
		}
	}
	return ""
}

// relocated is a document whose absolute URLs lead to the scenario's application where they led to the call's own.
func (x *export) relocated(body string) string {
	body = escapedText(body)
	bases := slices.Sorted(maps.Keys(x.hosts()))
	slices.Reverse(bases) // of two that begin alike, the longer one first
	for _, base := range bases {
		body = strings.ReplaceAll(body, base, "${app}")
	}
	return body
}

// escapedText is a text in which nothing is taken for a placeholder.
func escapedText(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(found string) string { return "$" + found })
}

// outcome is the status of the node's final response to a request; 0: there was none.
func (x *export) outcome(req *Message) int {
	_, method := req.CSeq()
	for _, e := range x.entries {
		if e.from("out", method) && e.m.Code() >= 200 && e.m.Branch() == req.Branch() {
			return e.m.Code()
		}
	}
	return 0
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// exportExpectations are those that tell a call like this one from another.
func (x *export) exportExpectations() mapping {
	order, anywhere := &yaml.Node{Kind: yaml.SequenceNode}, &yaml.Node{Kind: yaml.SequenceNode}
	// Of a caller who hangs up while a Refer is pending, disconnect and referComplete come in either order.
	hungUp := slices.ContainsFunc(x.entries, func(e exported) bool { return e.from("in", "BYE") && e.m.IsRequest() })
	var verbs, webhooks []string
	seen, owed := map[string]bool{}, map[string]bool{}
	for _, e := range x.entries {
		switch {
		case e.Webhook != nil && e.Webhook.Event == state.WebhookOwed:
			owed[e.Webhook.EventID] = e.Webhook.EventType != "disconnect" // others come whenever what they tell of is ready
		case e.from("out", "REFER") && !seen[e.SIP.Raw]:
			seen[e.SIP.Raw] = true
			order.Content = append(order.Content, newMapping().with("sip", "REFER").
				with("headers", newMapping().with("Refer-To", escapedText(e.m.Get("Refer-To"))).n).n)
		case e.Webhook != nil && e.Webhook.Event == state.WebhookRequest:
			webhooks = append(webhooks, e.Webhook.EventType)
			if owed[e.Webhook.EventID] || hungUp && len(x.record.Refers) > 0 && (e.Webhook.EventType == "disconnect" || e.Webhook.EventType == "referComplete") {
				anywhere.Content = append(anywhere.Content, expectedWebhook(e.Webhook).n)
				continue
			}
			order.Content = append(order.Content, expectedWebhook(e.Webhook).n)
		case e.Verb != nil && e.Verb.Event == state.VerbStarted:
			verbs = append(verbs, e.Verb.Name)
		}
	}
	expect := newMapping().with("order", order).with("verbs", listOf(verbs))
	if len(anywhere.Content) > 0 {
		expect.add("anywhere", anywhere)
	} else {
		expect.add("webhooks", listOf(webhooks))
	}
	record := newMapping()
	if cause := deref(x.record.DisconnectCause); cause != "" {
		record.add("disconnectCause", cause)
	}
	refers := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range x.record.Refers {
		refer := newMapping().with("status", r.Status).with("billable", r.Billable)
		if r.Evidence != "" {
			refer.add("evidence", r.Evidence)
		}
		if r.ReferSIPResponseCode > 0 {
			refer.add("referSipResponseCode", r.ReferSIPResponseCode)
		}
		if r.NotifySIPResponseCode > 0 {
			refer.add("notifySipResponseCode", r.NotifySIPResponseCode)
		}
		refers.Content = append(refers.Content, refer.n)
	}
	if len(refers.Content) > 0 {
		record.add("refers", refers)
	}
	expect.addIf("record", record)
	return expect
}

// expectedWebhook is an event with the properties that say how things went.
func expectedWebhook(w *state.Webhook) mapping {
	m := newMapping().with("webhook", w.EventType)
	event, err := object(w.Body)
	if err != nil {
		return m
	}
	with := newMapping()
	for _, name := range []string{"cause", "referCallStatus", "referSipResponseCode", "notifySipResponseCode", "tag"} {
		if value, ok := event[name]; ok {
			if s, isText := value.(string); isText {
				value = escapedText(s)
			}
			with.add(name, value)
		}
	}
	m.addIf("with", with)
	return m
}
