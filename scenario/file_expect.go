package scenario

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"go.yaml.in/yaml/v3"
)

// expectations are what must have happened when the call is over. All are read from the call's journal but for what the
// phone has heard.
type expectations struct {
	position
	Order    []expectation `yaml:"order" doc:"These, in this order; other things may have happened in between."`
	Anywhere []expectation `yaml:"anywhere" doc:"These, whenever."`
	Never    []expectation `yaml:"never" doc:"None of these."`
	Verbs    *nameList     `yaml:"verbs" doc:"The names of all verbs that have run, in this order."`
	Webhooks *nameList     `yaml:"webhooks" doc:"The types of all webhooks that the application was asked, in this order, a repeated one each time."`
	Record   *properties   `yaml:"record" doc:"What the call's record must hold; refers is a list with an item for each Refer."`
	Heard    []heard       `yaml:"heard" doc:"What the phone must have heard, in all or in a part of the call."`
	Sockets  socketTable   `yaml:"sockets" doc:"What must have come over the WebSockets that the application took, by their path: how many, or keys."`
	Called   calledTable   `yaml:"called" doc:"How often each of the destinations must have been called, by its name: a number, or keys."`
}

// nameList is a list that may be empty.
type nameList []string

// expectation is something that must be in the journal. Exactly one of its actions is set.
type expectation struct {
	position
	SIP     *sipPattern `yaml:"sip" action:"true" doc:"A SIP message: REFER, 202, 202 REFER, 4xx."`
	Webhook string      `yaml:"webhook" action:"true" doc:"A webhook, by its type: referComplete."`
	Verb    string      `yaml:"verb" action:"true" doc:"A verb that starts, by its name: SpeakSentence."`
	Timer   string      `yaml:"timer" action:"true" doc:"A timer, by its name: refer.notify."`
	Call    string      `yaml:"call" action:"true" enum:"initiated,ringing,answered,tagged,ended" doc:"A change of the call."`
	Sound   *matcher    `yaml:"sound" action:"true" doc:"A sound that begins to play, by what it is: the sentence, the file's URL."`

	From    string        `yaml:"from" enum:"node,phone" doc:"Who sent the SIP message. Default: either."`
	URI     *matcher      `yaml:"uri" doc:"Request-URI of the SIP request."`
	Headers properties    `yaml:"headers" doc:"Header fields of the SIP message."`
	Body    *matcher      `yaml:"body" doc:"The SIP message's body."`
	With    properties    `yaml:"with" doc:"Properties of the webhook."`
	Without []string      `yaml:"without" doc:"Properties that the webhook must not have."`
	Method  string        `yaml:"method" enum:"GET,POST" doc:"Method of the webhook."`
	URL     *matcher      `yaml:"url" doc:"URL of the webhook."`
	Reply   *matcher      `yaml:"reply" doc:"Status of the application's answer to the webhook; 0: there was none."`
	Event   string        `yaml:"event" enum:"started,ended,fired,stopped" doc:"What the verb or timer did. Default: started."`
	Error   *matcher      `yaml:"error" doc:"Why the verb could not do what it should; its event is ended."`
	Cause   *matcher      `yaml:"cause" doc:"Why the call ended."`
	Times   *int          `yaml:"times" min:"0" max:"1000" doc:"How many there must be in all, repetitions of a packet not counted. Default: at least one."`
	Within  time.Duration `yaml:"within" doc:"How long after the item before it at the latest; of the first, after the INVITE."`
	After   time.Duration `yaml:"after" doc:"How long after the item before it at the earliest."`
}

// belongsTo says which of an expectation's keys go with which action.
var belongsTo = map[string]string{
	"from": "sip", "uri": "sip", "headers": "sip", "body": "sip",
	"with": "webhook", "without": "webhook", "method": "webhook", "url": "webhook", "reply": "webhook",
	"event": "verb timer", "error": "verb", "cause": "call",
}

func (e *expectation) check(d *decoder, n *yaml.Node) {
	kind := e.kind()
	for name := range d.pairs(n) {
		if wants, ok := belongsTo[name.Value]; ok && !slices.Contains(strings.Fields(wants), kind) {
			d.fail(name, "%s goes with %s, not with %s", name.Value, alternatives(strings.Fields(wants)), kind)
		}
	}
	d.oneOf(n, "webhook", "event type", eventTypes)
	d.oneOf(n, "verb", "verb", verbNames)
	d.oneOf(n, "timer", "timer", timerNames)
	known, ok := eventProperties[e.Webhook]
	if !ok {
		return
	}
	known = slices.Concat(commonProperties, known)
	e.With.known(d, e.Webhook, known)
	for _, name := range e.Without {
		if !slices.Contains(known, name) {
			d.fail(valueOf(n, "without"), "%s is no property of %s%s", name, e.Webhook, didYouMean(name, known))
		}
	}
}

func (e *expectation) kind() string {
	switch {
	case e.SIP != nil:
		return "sip"
	case e.Webhook != "":
		return "webhook"
	case e.Verb != "":
		return "verb"
	case e.Timer != "":
		return "timer"
	case e.Call != "":
		return "call"
	}
	return "sound"
}

// Properties of the events whose properties are known, so that a misspelt one is told: it would be absent for ever.
var (
	commonProperties = []string{
		"eventType", "eventTime", "accountId", "applicationId", "from", "to", "direction", "callId", "callUrl", "startTime",
		"answerTime", "tag", "sipCallId",
	}
	eventProperties = map[string][]string{
		"initiate":      {"uui", "sipHeaders", "diversion", "stirShaken"},
		"disconnect":    {"endTime", "cause", "errorMessage", "errorId"},
		"redirect":      {"parentCallId", "transferCallerId", "transferTo"},
		"gather":        {"digits", "terminatingDigit", "speech", "parentCallId", "transferCallerId", "transferTo"},
		"partialgather": {"speech", "parentCallId", "transferCallerId", "transferTo"},
		"referComplete": {"referCallStatus", "referSipResponseCode", "notifySipResponseCode"},
	}
)

// heard is what the phone must have heard.
type heard struct {
	position
	From    *moment       `yaml:"from" doc:"From this on: the first thing in the journal that is like it. Default: the beginning."`
	To      *moment       `yaml:"to" doc:"Until this: the first thing after that. Default: the end."`
	AtLeast time.Duration `yaml:"at_least" doc:"So much sound that is not silence, at least."`
	AtMost  time.Duration `yaml:"at_most" doc:"So much sound that is not silence, at most."`
	Silence bool          `yaml:"silence" doc:"Nothing but silence."`
	Tone    int           `yaml:"tone" min:"1" max:"3900" doc:"What was heard is a tone of this frequency, in hertz."`
	Tones   []int         `yaml:"tones" doc:"What was heard are tones of these frequencies, in this order."`
	Gap     time.Duration `yaml:"gap" doc:"The longest time between two packets, at most."`
}

func (h *heard) check(d *decoder, n *yaml.Node) {
	for _, hertz := range h.Tones {
		if hertz < 1 || hertz > 3900 {
			d.fail(valueOf(n, "tones"), "a tone must be from 1 to 3900")
		}
	}
	if h.Silence && (h.AtLeast > 0 || h.Tone > 0 || len(h.Tones) > 0) {
		d.fail(n, "silence cannot stand with at_least, tone or tones")
	}
}

// moment is a point in the call, by what happened then.
type moment struct{ expectation }

func (m *moment) decode(d *decoder, n *yaml.Node) { d.into(n, &m.expectation) }

func (m *moment) schema(s *schema) map[string]any { return s.of(typeOf[expectation]()) }

// calledTable is how often destinations were called.
type calledTable map[string]called

// called is how often a destination was called, and how.
type called struct {
	position
	Times   *int       `yaml:"times" min:"0" max:"1000" doc:"How often. Default: at least once."`
	Headers properties `yaml:"headers" doc:"Header fields of the INVITE that it got; of several, of one of them."`
}

func (c *called) fromScalar(d *decoder, n *yaml.Node) {
	c.Times = new(int)
	d.scalar(n, c.Times)
}

func (c *called) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": "integer", "minimum": 0, "maximum": 1000}
}

func (e *expectations) check(d *decoder, n *yaml.Node) {
	d.oneOf(n, "verbs", "verb", verbNames)
	d.oneOf(n, "webhooks", "event type", eventTypes)
	if e.Record == nil {
		return
	}
	record, refer := jsonNames(typeOf[state.Record]()), jsonNames(typeOf[state.Refer]())
	e.Record.known(d, "the record", record)
	for i := range *e.Record {
		if p := &(*e.Record)[i]; p.name == "refers" {
			for _, item := range p.list {
				item.object.known(d, "a Refer's record", refer)
			}
		}
	}
}

// known holds names to those that exist: a misspelt one would be absent for ever.
func (p properties) known(d *decoder, of string, names []string) {
	for i := range p {
		first, _, _ := strings.Cut(p[i].name, ".")
		if !slices.Contains(names, first) {
			d.errs = append(d.errs, &FileError{d.file.Path, p[i].line, p[i].column,
				p[i].name + " is no property of " + of + didYouMean(p[i].name, names)})
		}
	}
}

// jsonNames returns the names that a struct's fields have in JSON.
func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
