package scenario

import (
	"encoding/json"
	"fmt"

	"github.com/callengine/callengine/state"
)

// name says what is expected in a few words.
func (e *expectation) name() string {
	switch {
	case e.SIP != nil && e.From != "":
		return e.SIP.text + " from the " + e.From
	case e.SIP != nil:
		return e.SIP.text
	case e.Webhook != "":
		return "webhook " + e.Webhook
	case e.Verb != "":
		return "verb " + e.Verb + e.suffix()
	case e.Timer != "":
		return "timer " + e.Timer + e.suffix()
	case e.Call != "":
		return "call " + e.Call
	}
	return "a sound"
}

func (e *expectation) suffix() string {
	if e.Event == "" {
		return ""
	}
	return " " + e.Event
}

// differs compares an entry of the journal with what is expected. same: it is of the kind that is meant, and why says what
// is different in it; empty: nothing.
func (r *run) differs(e *expectation, i int) (why string, same bool) {
	entry := &r.journal[i]
	switch {
	case e.SIP != nil && entry.SIP != nil:
		return r.sipDiffers(e, entry.SIP)
	case e.Webhook != "" && entry.Webhook != nil:
		w := entry.Webhook
		if w.Event != state.WebhookRequest || w.EventType != e.Webhook {
			return "", false
		}
		return r.webhookDiffers(e, i), true
	case e.Verb != "" && entry.Verb != nil:
		v, event := entry.Verb, e.Event
		if event == "" {
			event = state.VerbStarted
			if e.Error != nil {
				event = state.VerbEnded
			}
		}
		return r.textDiffers("error", e.Error, v.Error), v.Name == e.Verb && v.Event == event
	case e.Timer != "" && entry.Timer != nil:
		return "", entry.Timer.Name == e.Timer && (entry.Timer.Event == e.Event || e.Event == "" && entry.Timer.Event == "started")
	case e.Call != "" && entry.Call != nil:
		return r.textDiffers("cause", e.Cause, entry.Call.Cause), entry.Call.Event == e.Call
	case e.Sound != nil && entry.Media != nil:
		return r.textDiffers("it", e.Sound, entry.Media.Detail), entry.Media.Event == "playing"
	}
	return "", false
}

// textDiffers compares a text that is absent where it is empty.
func (r *run) textDiffers(name string, m *matcher, got string) string {
	if m == nil {
		return ""
	}
	if why := m.differs(headerText(got), got != "", r.addresses); why != "" {
		return name + " " + why
	}
	return ""
}

func (r *run) sipDiffers(e *expectation, s *state.SIP) (why string, same bool) {
	m, err := ParseMessage([]byte(s.Raw))
	if err != nil {
		m = &Message{Start: s.Method} // what was received was none
	}
	if e.From == "node" && s.Direction != "out" || e.From == "phone" && s.Direction != "in" || !e.SIP.matches(m) {
		return "", false
	}
	if why := r.textDiffers("its Request-URI", e.URI, m.RequestURI()); why != "" {
		return why, true
	}
	for i := range e.Headers {
		h := &e.Headers[i]
		if why := r.textDiffers("its "+h.name, &h.matcher, m.Get(h.name)); why != "" {
			return why, true
		}
	}
	return r.textDiffers("its body", e.Body, string(m.Body)), true
}

func (r *run) webhookDiffers(e *expectation, i int) string {
	w := r.journal[i].Webhook
	var event any
	if o, err := object(json.RawMessage(w.Body)); err == nil {
		event = o
	}
	if e.Method != "" && e.Method != w.Method {
		return fmt.Sprintf("its method is %s, and must be %s", w.Method, e.Method)
	}
	if why := e.With.differs(event, r.addresses); len(e.With) > 0 && why != "" {
		return why
	}
	for _, name := range e.Without {
		absent := matcher{operator: "present", none: true}
		if why := (properties{{name: name, matcher: absent}}).differs(event, r.addresses); why != "" {
			return why
		}
	}
	if why := r.textDiffers("its URL", e.URL, w.URL); why != "" {
		return why
	}
	if e.Reply == nil {
		return ""
	}
	if why := e.Reply.differs(r.replyStatus(i), true, r.addresses); why != "" {
		return "the status of its reply " + why
	}
	return ""
}

// replyStatus is the status of the reply to the webhook that an entry is; 0: there was none.
func (r *run) replyStatus(i int) json.Number {
	w := r.journal[i].Webhook
	for _, later := range r.journal[i:] {
		if l := later.Webhook; l != nil && l.Event == state.WebhookReply && l.EventID == w.EventID && l.Attempt == w.Attempt {
			return json.Number(fmt.Sprint(l.Status))
		}
	}
	return "0"
}
