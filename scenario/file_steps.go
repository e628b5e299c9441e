package scenario

import (
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// step is one thing that the phone does. Exactly one of its actions is set.
type step struct {
	position
	Delay time.Duration `yaml:"delay" doc:"How long the phone waits before it does this; with refer and transfer, when the REFER has come."`
	At    time.Duration `yaml:"at" doc:"When the phone does this at the earliest, from its INVITE on."`

	Wait       *waitStep               `yaml:"wait" action:"true" doc:"Wait for a time (500ms), for a SIP message from the node (180, 200 INVITE, BYE), or for a webhook or verb."`
	Refer      *referStep              `yaml:"refer" action:"true" doc:"Wait for a REFER and answer it: a status; none: not at all; later: by the step answer."`
	Answer     *answerStep             `yaml:"answer" action:"true" doc:"Answer the request that was to be answered later."`
	Notify     *notifyStep             `yaml:"notify" action:"true" doc:"Send a NOTIFY: its sipfrag (486 Busy Here), or keys."`
	Transfer   *transferStep           `yaml:"transfer" action:"bare" doc:"Wait for a REFER and do as it says: accept it, really call the address, and report in NOTIFYs how that goes."`
	Bye        *requestStep            `yaml:"bye" action:"bare" doc:"Hang up."`
	Cancel     *requestStep            `yaml:"cancel" action:"bare" doc:"Cancel the INVITE."`
	Ack        *struct{}               `yaml:"ack" action:"bare" doc:"Acknowledge the 200 that hold_ack held back."`
	Hold       *requestStep            `yaml:"hold" action:"bare" doc:"Put the node on hold with a re-INVITE."`
	Resume     *requestStep            `yaml:"resume" action:"bare" doc:"Take the node back from hold."`
	Reinvite   *reinviteStep           `yaml:"reinvite" action:"bare" doc:"Send a re-INVITE."`
	Options    *requestStep            `yaml:"options" action:"bare" doc:"Send OPTIONS within the call."`
	Info       *bodyStep               `yaml:"info" action:"bare" doc:"Send an INFO."`
	Request    *anyRequestStep         `yaml:"request" action:"true" doc:"Send any request within the call."`
	Raw        *text                   `yaml:"raw" action:"true" doc:"Send this text as it is, a SIP message or not; its lines end in CRLF."`
	Burst      []step                  `yaml:"burst" action:"true" doc:"Send several requests in one breath: notify, bye, options, info, request."`
	Repeat     *repeatStep             `yaml:"repeat" action:"bare" doc:"Send the phone's newest request once more, as it was."`
	Digits     *digitsStep             `yaml:"digits" action:"true" doc:"Press keys."`
	Say        *sayStep                `yaml:"say" action:"true" doc:"Say something, as a tone that the node's engine for speech understands."`
	Tone       *toneStep               `yaml:"tone" action:"true" doc:"Send a tone."`
	Silence    time.Duration           `yaml:"silence" action:"true" doc:"Send silence for a time."`
	Audio      *audioStep              `yaml:"audio" action:"true" doc:"Send a WAV file (PCM, 16 bit, 8 kHz, mono), relative to the scenario."`
	Answers    map[string]responseCode `yaml:"answers" action:"true" doc:"What the phone answers by itself from now on, by method: BYE: 500, OPTIONS: none. At first BYE and OPTIONS get 200."`
	Disappear  *struct{}               `yaml:"disappear" action:"bare" doc:"From now on nothing that is sent to the phone arrives, and nothing that it sends."`
	Disconnect *struct{}               `yaml:"disconnect" action:"bare" doc:"Close the phone's TCP connections."`
}

// inBurst are the actions that are one request, whose answer can be waited for later.
func (s *step) inBurst() bool {
	return s.Notify != nil || s.Bye != nil || s.Options != nil || s.Info != nil || s.Request != nil
}

func (s *step) check(d *decoder, n *yaml.Node) {
	for i := range s.Burst {
		if b := &s.Burst[i]; !b.inBurst() || b.Delay != 0 || b.At != 0 {
			d.errs = append(d.errs, &FileError{d.file.Path, b.line, b.column,
				"in a burst there can be notify, bye, options, info and request, without delay or at"})
		}
	}
	for method := range s.Answers {
		if !containsFold(sipMethods, method) {
			d.fail(n, "%s is no SIP method%s", quoted(method), didYouMean(method, sipMethods))
		}
	}
}

// besides are the keys of a step that stand beside its action.
type besides struct{}

func (besides) placeOf(key string) string {
	if key == "delay" || key == "at" {
		return "; it stands beside the action: {bye, " + key + ": 1s}"
	}
	return ""
}

// waitStep is what the phone waits for.
type waitStep struct {
	besides
	Time    time.Duration `yaml:"time" action:"true" doc:"A time."`
	SIP     *sipPattern   `yaml:"sip" action:"true" doc:"The next SIP message from the node that fits: BYE, 180, 200 INVITE, 4xx."`
	Webhook string        `yaml:"webhook" action:"true" doc:"The next webhook of that type."`
	Verb    string        `yaml:"verb" action:"true" doc:"The next verb of that name that starts."`
	Sound   *matcher      `yaml:"sound" action:"true" doc:"The next sound that begins to play, by what it is: the sentence, the file's URL."`
	Event   string        `yaml:"event" enum:"started,ended" doc:"Whether the verb or sound is waited for to start or to end. Default: started."`
}

func (w *waitStep) check(d *decoder, n *yaml.Node) {
	d.oneOf(n, "webhook", "event type", eventTypes)
	d.oneOf(n, "verb", "verb", verbNames)
	if w.Event != "" && w.Verb == "" && w.Sound == nil {
		d.fail(valueOf(n, "event"), "event goes with verb and sound")
	}
}

func (w *waitStep) fromScalar(d *decoder, n *yaml.Node) {
	if x, err := time.ParseDuration(n.Value); err == nil && x >= 0 && x <= maxDuration {
		w.Time = x
		return
	}
	w.SIP = new(sipPattern)
	w.SIP.decode(d, n)
}

func (w *waitStep) scalarSchema(s *schema) map[string]any {
	return map[string]any{"type": []string{"string", "integer"}}
}

// referStep is how the phone answers a REFER.
type referStep struct {
	besides
	Answer      *referAnswer   `yaml:"answer" doc:"A status, none, or later. Default: 202."`
	Provisional []responseCode `yaml:"provisional" doc:"Provisional responses before that, such as 100."`
	Headers     headerList     `yaml:"headers" doc:"Header fields of the answer."`
	Challenge   *challengeStep `yaml:"challenge" doc:"In place of an answer: ask for credentials."`
}

func (r *referStep) fromScalar(d *decoder, n *yaml.Node) {
	r.Answer = new(referAnswer)
	r.Answer.decode(d, n)
}

func (r *referStep) scalarSchema(s *schema) map[string]any { return new(referAnswer).schema(s) }

// referAnswer is a responseCode that may be later.
type referAnswer struct{ responseCode }

func (a *referAnswer) decode(d *decoder, n *yaml.Node) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "later":
		a.responseCode = answerLater
	case n.Kind == yaml.ScalarNode && n.Value == "none":
		a.responseCode = 0
	default:
		before := len(d.errs)
		d.code(n, &a.responseCode)
		for _, e := range d.errs[before:] {
			e.Reason = strings.Replace(e.Reason, ", or none, not", ", none or later, not", 1)
		}
	}
}

func (a *referAnswer) schema(*schema) map[string]any { return statusOr("none", "later") }

// challengeStep is a digest challenge.
type challengeStep struct {
	Status    int    `yaml:"status" min:"401" max:"407" doc:"401 or 407. Default: 401."`
	Realm     string `yaml:"realm" doc:"Default: phone."`
	Nonce     string `yaml:"nonce" doc:"Default: a new one."`
	Algorithm string `yaml:"algorithm" enum:"MD5,SHA-256" doc:"Default: none is named, which means MD5."`
	QOP       string `yaml:"qop" enum:"auth" doc:"Default: none is offered."`
	Stale     bool   `yaml:"stale" doc:"The credentials were right, but for an old nonce."`
}

// answerStep is a late answer.
type answerStep struct {
	besides
	Code    responseCode `yaml:"status" required:"true" doc:"The status."`
	Headers headerList   `yaml:"headers" doc:"Header fields of the answer."`
}

func (a *answerStep) fromScalar(d *decoder, n *yaml.Node) { d.code(n, &a.Code) }

func (a *answerStep) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": "integer", "minimum": 100, "maximum": 699}
}

// notifyStep is a NOTIFY. The zero value of a key gives one that is right.
type notifyStep struct {
	besides
	Sipfrag     text       `yaml:"sipfrag" doc:"Status line of the sipfrag, with or without SIP/2.0: 486 Busy Here."`
	Body        *text      `yaml:"body" doc:"The whole body, in place of a sipfrag; its lines end in CRLF. Empty: there is no body."`
	ContentType text       `yaml:"content_type" doc:"none: there is no such header field. Default: message/sipfrag;version=2.0."`
	Event       text       `yaml:"event" doc:"none: there is no such header field. Default: refer."`
	ID          string     `yaml:"id" doc:"The Event's parameter id: a number; first or last: the CSeq of the first or newest REFER; none: there is no such parameter. Default: none while there was one REFER, else last."`
	State       text       `yaml:"state" doc:"Subscription-State; none: there is no such header field. Default: active while the sipfrag is provisional, else terminated."`
	CSeq        string     `yaml:"cseq" doc:"A number; same: that of the phone's newest request; lower: one lower than that. Default: the next one."`
	Headers     headerList `yaml:"headers" doc:"Further header fields, or in place of these."`
	Expect      resultCode `yaml:"expect" doc:"What the node must answer. Default: 200."`
}

func (s *notifyStep) fromScalar(d *decoder, n *yaml.Node) { s.Sipfrag.decode(d, n) }

func (s *notifyStep) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": []string{"string", "integer"}}
}

func (s *notifyStep) check(d *decoder, n *yaml.Node) {
	if (s.Sipfrag == "") == (s.Body == nil) {
		d.fail(n, "sipfrag or body must be there, and only one of them")
	}
	if _, err := strconv.ParseUint(s.ID, 10, 32); err != nil && s.ID != "" && !containsFold([]string{"first", "last", "none"}, s.ID) {
		d.fail(valueOf(n, "id"), "id must be a number, first, last or none, not %s", quoted(s.ID))
	}
	if _, err := strconv.ParseUint(s.CSeq, 10, 32); err != nil && s.CSeq != "" && !containsFold([]string{"same", "lower"}, s.CSeq) {
		d.fail(valueOf(n, "cseq"), "cseq must be a number, same or lower, not %s", quoted(s.CSeq))
	}
}

// frag is the sipfrag's whole status line.
func (s *notifyStep) frag(a addresses) string {
	line := a.in(s.Sipfrag)
	if code, err := strconv.Atoi(line); err == nil {
		line += " " + reason(code)
	}
	if !strings.HasPrefix(strings.ToUpper(line), "SIP/") {
		line = "SIP/2.0 " + line
	}
	return line
}

// transferStep is what a phone does that is referred.
type transferStep struct {
	besides
	Answer *responseCode `yaml:"answer" doc:"Status with which the REFER is accepted. Default: 202."`
	Trying *bool         `yaml:"trying" doc:"Whether a NOTIFY with 100 Trying comes at once. Default: true."`
}

// requestStep is a request without more to say about it.
type requestStep struct {
	besides
	Headers headerList `yaml:"headers" doc:"Header fields beside its own, or in place of them."`
	Expect  resultCode `yaml:"expect" doc:"What the node must answer. Default: 200."`
}

// reinviteStep is a re-INVITE.
type reinviteStep struct {
	besides
	Headers headerList `yaml:"headers" doc:"Header fields beside its own, or in place of them."`
	Expect  resultCode `yaml:"expect" doc:"What the node must answer. Default: 200."`
	Offer   string     `yaml:"offer" enum:"sendrecv,sendonly,recvonly,inactive,none" doc:"Direction of the sound; none: there is no description, the node is to offer. Default: sendrecv."`
	SDP     text       `yaml:"sdp" doc:"The session description itself."`
	Move    bool       `yaml:"move" doc:"Sound is received at new ports from now on."`
}

// bodyStep is a request with a body.
type bodyStep struct {
	besides
	Headers     headerList `yaml:"headers" doc:"Header fields beside its own, or in place of them."`
	Expect      resultCode `yaml:"expect" doc:"What the node must answer. Default: 200."`
	ContentType text       `yaml:"content_type" doc:"Content-Type of the body."`
	Body        text       `yaml:"body" doc:"The body."`
}

// anyRequestStep is a request of any method.
type anyRequestStep struct {
	besides
	Method      string     `yaml:"method" required:"true" doc:"The method, such as UPDATE."`
	Headers     headerList `yaml:"headers" doc:"Header fields beside its own, or in place of them."`
	Expect      resultCode `yaml:"expect" doc:"What the node must answer. Default: any."`
	ContentType text       `yaml:"content_type" doc:"Content-Type of the body."`
	Body        text       `yaml:"body" doc:"The body."`
}

func (s *anyRequestStep) fromScalar(d *decoder, n *yaml.Node) { d.scalar(n, &s.Method) }

func (s *anyRequestStep) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": "string"}
}

// repeatStep is a retransmission.
type repeatStep struct {
	besides
	Times int `yaml:"times" min:"1" max:"100" doc:"How often. Default: 1."`
}

// digitsStep is keys that are pressed.
type digitsStep struct {
	besides
	Digits string        `yaml:"digits" required:"true" doc:"0 to 9, *, #, A to D; a comma is a pause of half a second."`
	Length time.Duration `yaml:"length" doc:"How long each is pressed. Default: 100ms."`
	Gap    time.Duration `yaml:"gap" doc:"The time between two. Default: 60ms."`
	By     string        `yaml:"by" enum:"rtp,info,tone" doc:"rtp: as telephone events in RTP (RFC 4733). info: as SIP INFO with application/dtmf-relay. tone: as tones in the sound. Default: rtp."`
	Expect resultCode    `yaml:"expect" doc:"What the node must answer to each INFO, with by: info. Default: 200."`
}

func (s *digitsStep) fromScalar(d *decoder, n *yaml.Node) { d.scalar(n, &s.Digits) }

func (s *digitsStep) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": []string{"string", "integer"}}
}

func (s *digitsStep) check(d *decoder, n *yaml.Node) {
	for _, r := range s.Digits {
		if r != ',' && !strings.ContainsRune(dtmfKeys, r) {
			d.fail(n, "%s is no key of a phone", quoted(string(r)))
			return
		}
	}
}

// toneStep is a tone that is sent.
type toneStep struct {
	besides
	Hertz int           `yaml:"hertz" min:"1" max:"3900" required:"true" doc:"Its frequency."`
	Time  time.Duration `yaml:"time" required:"true" doc:"How long it is."`
}

// audioStep is a WAV file that is sent.
type audioStep struct {
	file    string
	samples []int16
}

func (s *audioStep) decode(d *decoder, n *yaml.Node) {
	before := len(d.errs)
	d.scalar(n, &s.file)
	if len(d.errs) > before {
		return
	}
	content, err := d.file.beside(s.file)
	if err == nil {
		s.samples, err = readWAV(content)
	}
	if err != nil {
		d.fail(n, "%s: %v", s.file, err)
	}
}

func (s *audioStep) schema(*schema) map[string]any { return map[string]any{"type": "string"} }
