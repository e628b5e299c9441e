package scenario

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// spec is a whole scenario file.
type spec struct {
	Name         string                 `yaml:"name" doc:"What the scenario shows, in a few words; it stands in reports, and --run selects by it. Default: the file's path."`
	Description  string                 `yaml:"description" doc:"A text for whoever reads the file."`
	Call         callSpec               `yaml:"call" doc:"The call that the phone places."`
	Application  appSpec                `yaml:"application" doc:"What the application answers."`
	Phone        []step                 `yaml:"phone" doc:"What the phone does, in this order, from its INVITE on. Then it waits for the call's end; BYE and OPTIONS it answers by itself, and reliable 18x responses it acknowledges."`
	Destinations map[string]destination `yaml:"destinations" doc:"Further phones, by name. ${NAME} is a phone's SIP URI; the step transfer calls the one whose name is the user part of the Refer-To."`
	Impairments  []impairment           `yaml:"impairments" doc:"What the network between the phone and the node does to their UDP packets."`
	Settings     settings               `yaml:"settings" doc:"Configuration of the node, as in its configuration file; a key may be written with dots (refer.notify_timeout: 1s)."`
	Timers       timers                 `yaml:"timers" doc:"How long the node waits for others, so that a scenario need not wait as long as a node in the field."`
	Speech       speech                 `yaml:"speech" doc:"How long sentences are, by their text. What is not named takes 10ms a letter, 200ms at least and 5s at most. Speech is a tone of 440 Hz in scenarios, and another one for each text that the phone says, so that no engine has to be installed."`
	Timeout      time.Duration          `yaml:"timeout" doc:"How long the whole may take. Default: 40s."`
	Expect       expectations           `yaml:"expect" doc:"What must have happened when the call is over."`
}

// callSpec is how the call comes in.
type callSpec struct {
	position
	To        text       `yaml:"to" doc:"User part of the address that is called, or a whole SIP URI. Default: app."`
	From      text       `yaml:"from" doc:"User part of the phone's address, or a whole SIP URI. Default: phone."`
	Headers   headerList `yaml:"headers" doc:"Header fields that the INVITE has beside its own, or in place of them."`
	Transport string     `yaml:"transport" enum:"udp,tcp,tls" doc:"How the phone reaches the node. With tls the scenario makes the certificates of both. Default: udp."`
	Codecs    []string   `yaml:"codecs" enum:"PCMU,PCMA" doc:"What the phone offers, best first. Default: PCMU and PCMA."`
	NoEvents  bool       `yaml:"no_events" doc:"The phone knows no telephone events (RFC 4733); its keys are tones, with by: tone."`
	Offer     string     `yaml:"offer" enum:"sendrecv,sendonly,recvonly,inactive,none" doc:"Direction of the sound in the INVITE's session description; none: there is no description, the node is to offer. Default: sendrecv."`
	SDP       text       `yaml:"sdp" doc:"The session description itself, in place of the phone's own."`
	Compact   bool       `yaml:"compact" doc:"The phone writes the names of header fields in their compact forms (i for Call-ID)."`
	HoldAck   bool       `yaml:"hold_ack" doc:"The node's 200 is not acknowledged before the step ack."`
}

// appSpec is the application's side.
type appSpec struct {
	position
	URL     text      `yaml:"url" doc:"Where a real application is asked, in place of replies written here."`
	BXML    text      `yaml:"bxml" doc:"The document for the new call."`
	File    string    `yaml:"file" doc:"A file with the document for the new call, relative to this one."`
	Replies replyList `yaml:"replies" doc:"What is answered, by the event's type (initiate, referComplete, …) or by the path of the URL (/…). Of several replies each is given once, in this order, and the last one from then on; a reply with a condition that does not hold is passed over. Where nothing fits, the answer is 204."`
}

func (a *appSpec) check(d *decoder, n *yaml.Node) {
	document, err := d.document1(n, a.BXML, a.File)
	if err {
		return
	}
	if document != nil {
		a.Replies = append(a.Replies, replyRule{"initiate", []replySpec{{Body: document}}})
	}
	rules := map[string]bool{}
	for _, r := range a.Replies {
		if rules[r.key] {
			d.fail(n, "the reply to %s is there twice: once as bxml or file, once in replies", r.key)
		}
		rules[r.key] = true
	}
	if a.URL != "" {
		if _, err := applicationURL(everyAddress().in(a.URL)); err != nil {
			d.fail(valueOf(n, "url"), "%v", err)
		}
	}
	if a.URL != "" && len(a.Replies) > 0 {
		d.fail(n, "url cannot stand with replies: a real application gives its own")
	}
}

// applicationURL reads what webhooks can be sent to.
func applicationURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("must be an absolute http:// or https:// URL, not %s", quoted(address))
	}
	return u, nil
}

// document1 returns the one document that bxml or file gives; nil: neither is there.
func (d *decoder) document1(n *yaml.Node, bxml text, file string) (document *text, failed bool) {
	switch {
	case bxml != "" && file != "":
		d.fail(n, "bxml and file cannot stand together: one of them is enough")
		return nil, true
	case bxml != "":
		return &bxml, false
	case file == "":
		return nil, false
	}
	content, err := d.file.beside(file)
	if err != nil {
		d.fail(valueOf(n, "file"), "%s: %v", file, err)
		return nil, true
	}
	if ext := filepath.Ext(file); ext != ".wav" && ext != ".mp3" {
		d.uses(valueOf(n, "file"), string(content))
	}
	body := text(content)
	return &body, false
}

// valueOf returns the value of a mapping's key, or the node itself.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return n
}

// replySpec is one answer of the application.
type replySpec struct {
	Status   int           `yaml:"status" min:"200" max:"599" doc:"Default: 200 with a body, 204 without."`
	Delay    time.Duration `yaml:"delay" doc:"Before the answer begins."`
	Headers  headerList    `yaml:"headers" doc:"Header fields of the answer."`
	BXML     text          `yaml:"bxml" doc:"The document."`
	File     string        `yaml:"file" doc:"A file with the document, relative to the scenario."`
	Body     *text         `yaml:"body" doc:"A body that is no BXML, or is to be wrong."`
	Hang     bool          `yaml:"hang" doc:"No answer at all; the connection stays open."`
	Drop     bool          `yaml:"drop" doc:"No answer: the connection is closed."`
	Close    time.Duration `yaml:"close" doc:"A WebSocket is taken, and closed after this time. Without it one is taken and left to the other side, unless the reply has a status."`
	Redirect text          `yaml:"redirect" doc:"A URL to ask in place of this one; the status is 307 unless another is given."`
	Tone     *toneStep     `yaml:"tone" doc:"The body is a WAV file with this tone, for PlayAudio."`
	When     properties    `yaml:"when" doc:"Properties that the event must have for this reply to be given."`
	Headed   properties    `yaml:"when_headers" doc:"Header fields that the request must have for this reply to be given, such as Authorization."`

	contentType string // of a file that is no document
	raw         bool   // the body is no text, and holds no placeholders
}

func (r *replySpec) fromScalar(d *decoder, n *yaml.Node) {
	switch {
	case n.ShortTag() == "!!int":
		d.scalar(n, &r.Status)
		if r.Status < 200 || r.Status > 599 {
			d.fail(n, "status must be from 200 to 599")
		}
	case strings.HasPrefix(strings.TrimSpace(n.Value), "<"):
		r.BXML.decode(d, n)
	case slices.Contains([]string{".bxml", ".xml", ".wav", ".mp3"}, filepath.Ext(n.Value)):
		r.File = n.Value
	default:
		d.fail(n, "must be a status, a document, the name of a file (*.bxml, *.xml, *.wav, *.mp3), or keys, not %s", described(n))
	}
}

func (r *replySpec) scalarSchema(*schema) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}}
}

func (r *replySpec) check(d *decoder, n *yaml.Node) {
	document, failed := d.document1(n, r.BXML, r.File)
	if document != nil && r.Body != nil {
		d.fail(n, "body cannot stand with bxml or file: one of them is enough")
		return
	}
	if r.Tone != nil {
		if document != nil || r.Body != nil {
			d.fail(n, "tone cannot stand with body, bxml or file: one of them is enough")
			return
		}
		sound := text(writeWAV(sine(float64(r.Tone.Hertz), r.Tone.Time)))
		r.Body, r.raw, r.contentType = &sound, true, "audio/wav"
	}
	if document != nil && !failed {
		r.Body = document
		r.contentType = map[string]string{".wav": "audio/wav", ".mp3": "audio/mpeg"}[filepath.Ext(r.File)]
		r.raw = r.contentType != ""
	}
	if r.Close > 0 && (r.Body != nil || r.Status != 0 || r.Redirect != "" || r.Hang || r.Drop) {
		d.fail(n, "close is about a WebSocket that is taken: nothing else can be answered beside it")
	}
	if (r.Hang || r.Drop) && (r.Body != nil || r.Status != 0 || r.Redirect != "") || r.Hang && r.Drop {
		d.fail(n, "hang and drop give no answer: nothing else can stand with them")
	}
}

// replyRule is what is answered to an event type or path.
type replyRule struct {
	key     string
	replies []replySpec
}

type replyList []replyRule

func (l *replyList) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold keys such as initiate or /path, not %s", described(n))
		return
	}
	for name, value := range d.pairs(n) {
		if !strings.HasPrefix(name.Value, "/") && !slices.Contains(eventTypes, name.Value) {
			d.fail(name, "%s is no event type, and no path that begins with /%s", name.Value, didYouMean(name.Value, eventTypes))
			continue
		}
		rule := replyRule{key: name.Value}
		d.into(value, &rule.replies)
		*l = append(*l, rule)
	}
}

func (l *replyList) schema(s *schema) map[string]any {
	replies := s.of(typeOf[[]replySpec]())
	known := map[string]any{}
	for _, e := range eventTypes {
		known[e] = replies
	}
	return map[string]any{
		"type": "object", "properties": known, "patternProperties": map[string]any{"^/": replies}, "additionalProperties": false,
	}
}

// destination is a further phone. Its transport is that of the call, as the phone that calls it has no other.
type destination struct {
	Answer *responseCode `yaml:"answer" doc:"Status of its final response to an INVITE; none: there is none. Default: 200."`
	Ring   time.Duration `yaml:"ring" doc:"How long it rings (180) before that. Default: it does not."`
	HangUp time.Duration `yaml:"hang_up" doc:"How long after its 200 it sends BYE. Default: it does not."`
}

// impairment is something that goes wrong with a packet.
type impairment struct {
	Lose      packetPattern `yaml:"lose" action:"true" doc:"These packets do not arrive."`
	Duplicate packetPattern `yaml:"duplicate" action:"true" doc:"These packets arrive twice."`
	Reorder   packetPattern `yaml:"reorder" action:"true" doc:"These packets arrive after the next one of the same direction."`
	Delay     packetPattern `yaml:"delay" action:"true" doc:"These packets arrive later."`
	By        time.Duration `yaml:"by" doc:"How much later, with delay. Default: 100ms."`
	From      string        `yaml:"from" enum:"phone,node" doc:"Who sends the packets. Default: both."`
	Skip      int           `yaml:"skip" min:"0" max:"100000" doc:"How many of them pass at first. Default: 0."`
	Count     int           `yaml:"count" min:"1" max:"100000" doc:"How many it happens to. Default: 1 for SIP messages, all for rtp."`
	Percent   int           `yaml:"percent" min:"1" max:"100" doc:"It happens to so many of a hundred, the same ones in each run. Default: 100."`
	Seed      int           `yaml:"seed" min:"0" max:"1000000" doc:"Another number chooses other packets, with percent. Default: 0."`
}

// check looks at what the parts of a scenario say of each other.
func (s *spec) check(d *decoder) {
	s.checkTimers(d)
	s.checkSaid(d)
	for name, c := range s.Expect.Called {
		if _, ok := s.Destinations[name]; !ok {
			known := slices.Sorted(maps.Keys(s.Destinations))
			d.fail(&yaml.Node{Line: c.line, Column: c.column}, "called: %s is none of the destinations%s", name, didYouMean(name, known))
		}
	}
	for i := range s.Impairments {
		if (s.Call.Transport == "tcp" || s.Call.Transport == "tls") && !s.Impairments[i].pattern().rtp {
			d.errs = append(d.errs, &FileError{d.file.Path, s.Impairments[i].pattern().line, s.Impairments[i].pattern().column,
				"only UDP packets can be impaired, and the call's transport is " + s.Call.Transport})
		}
	}
}

func (i *impairment) pattern() packetPattern {
	for _, p := range []packetPattern{i.Lose, i.Duplicate, i.Reorder} {
		if p.text != "" {
			return p
		}
	}
	return i.Delay
}

// names of what a scenario can refer to with ${NAME}, beside its destinations.
var placeholders = []string{"node", "app", "websocket", "phone"}

// names looks up the placeholders of all texts.
func (d *decoder) names(s *spec) {
	known := append(slices.Sorted(maps.Keys(s.Destinations)), placeholders...)
	for name := range s.Destinations {
		if slices.Contains(placeholders, name) || !placeholder.MatchString("${"+name+"}") {
			d.errs = append(d.errs, &FileError{File: d.file.Path, Reason: "destinations: " + name + " cannot be the name of a phone"})
		}
	}
	for _, t := range d.texts {
		for _, found := range placeholder.FindAllStringSubmatch(t.text, -1) {
			if !strings.HasPrefix(found[0], "$$") && !slices.Contains(known, found[1]) {
				d.fail(t.at, "%s is neither a destination nor %s%s", found[0], alternatives(placeholders), didYouMean(found[1], known))
			}
		}
	}
}
