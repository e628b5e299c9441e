package scenario

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// part is a section of the reference: an object of the format.
type part struct {
	of         reflect.Type
	title, say string
}

// parts are all objects of the format, in the order in which a reader meets them.
var parts = []part{
	{typeOf[spec](), "The file", "All keys are optional. What is not known is an error with line and column."},
	{typeOf[callSpec](), "`call`", "```yaml\ncall: {to: reception, from: anna, transport: tcp, codecs: PCMA, headers: {X-Queue: gold}}\n```"},
	{typeOf[appSpec](), "`application`", "```yaml\napplication:\n  bxml: <Response><Redirect redirectUrl=\"/menu\"/></Response>\n  replies:\n    /menu: <Response><Hangup/></Response>\n    disconnect: 204\n```"},
	{typeOf[replySpec](), "A reply", "A status, a document, the name of a file (`*.bxml`, `*.xml`, `*.wav`, `*.mp3`), or these keys; or a list of such.\n\n```yaml\napplication:\n  replies:\n    initiate:\n      - {status: 503, delay: 1s}\n      - {when: {from: {contains: anna}}, bxml: <Response><Hangup/></Response>}\n      - {redirect: \"${app}/other\"}\n```"},
	{typeOf[step](), "A step of `phone`", "Exactly one of the actions, and `delay` or `at` beside it. Some need no more than their name: `- bye`.\n\n```yaml\nphone:\n  - refer: 202\n  - {notify: 100 Trying, delay: 200ms}\n  - {bye, at: 3s}\n```"},
	{typeOf[waitStep](), "`wait`", "A time, a SIP message, or one of these keys.\n\n```yaml\nphone:\n  - wait: 500ms\n  - wait: 200 INVITE\n  - wait: {webhook: referComplete}\n  - wait: {verb: PlayAudio}\n```"},
	{typeOf[referStep](), "`refer`", "A status, `none`, `later`, or these keys.\n\n```yaml\nphone:\n  - refer: {provisional: [100], answer: 202, headers: {Refer-Sub: \"false\"}}\n```"},
	{typeOf[challengeStep](), "`challenge`", "```yaml\nphone:\n  - refer: {challenge: {realm: pbx, algorithm: SHA-256, qop: auth}}\n  - refer: 202\nsettings:\n  sip.credentials: [{realm: pbx, username: node, password: secret}]\n```"},
	{typeOf[answerStep](), "`answer`", "A status, or these keys.\n\n```yaml\nphone:\n  - refer: later\n  - notify: 180 Ringing\n  - {answer: 202, delay: 300ms}\n```"},
	{typeOf[notifyStep](), "`notify`", "The sipfrag's status, or these keys.\n\n```yaml\nphone:\n  - refer: 202\n  - notify: {sipfrag: 486 Busy Here, id: last, state: terminated}\n  - notify: {body: hello, content_type: text/plain, expect: 4xx}\n```"},
	{typeOf[transferStep](), "`transfer`", "```yaml\nphone:\n  - transfer\ndestinations:\n  desk: {ring: 200ms, answer: 486}\n```"},
	{typeOf[requestStep](), "`bye`, `cancel`, `hold`, `resume`, `options`", "```yaml\nphone:\n  - wait: 200 INVITE\n  - hold\n  - {resume, delay: 500ms}\n  - bye: {headers: {Reason: SIP;cause=200}, expect: 200}\n```"},
	{typeOf[reinviteStep](), "`reinvite`", "```yaml\nphone:\n  - reinvite: {offer: none, move: true}\n```"},
	{typeOf[bodyStep](), "`info`", "```yaml\nphone:\n  - info: {content_type: text/plain, body: hello, expect: any}\n```"},
	{typeOf[anyRequestStep](), "`request`", "A method, or these keys.\n\n```yaml\nphone:\n  - request: {method: UPDATE, expect: any}\n```"},
	{typeOf[repeatStep](), "`repeat`", "```yaml\nphone:\n  - bye\n  - repeat: {times: 2}\n```"},
	{typeOf[digitsStep](), "`digits`", "The keys, or these keys.\n\n```yaml\nphone:\n  - digits: 12#\n  - digits: {digits: \"1,2\", by: info}\n```"},
	{typeOf[sayStep](), "`say`", "The text, or these keys.\n\n```yaml\nphone:\n  - say: yes please\n  - say: {text: the sales department, time: 2s}\n```"},
	{typeOf[toneStep](), "`tone`", "```yaml\nphone:\n  - tone: {hertz: 440, time: 1s}\n  - silence: 500ms\n```"},
	{typeOf[destination](), "A destination", "```yaml\ndestinations:\n  desk:            # answers\n  away: {answer: 480, ring: 300ms}\n```"},
	{typeOf[impairment](), "An impairment", "```yaml\nimpairments:\n  - {lose: 202 REFER, from: phone}\n  - {duplicate: NOTIFY}\n  - {reorder: rtp, percent: 10, seed: 7}\n  - {delay: BYE, by: 300ms}\n```"},
	{typeOf[timers](), "`timers`", "```yaml\ntimers: {transaction: 2s, notify: 1s, callback: 1s, keepalive: 500ms}\n```"},
	{typeOf[expectations](), "`expect`", "```yaml\nexpect:\n  order:\n    - sip: REFER\n    - {webhook: referComplete, with: {referCallStatus: failure}}\n  never:\n    - verb: Hangup\n  verbs: [Refer, SpeakSentence]\n  webhooks: [initiate, referComplete, disconnect]\n```"},
	{typeOf[expectation](), "An item of `order`, `anywhere` and `never`", "Exactly one of the actions, and what is to be said of it.\n\n```yaml\nexpect:\n  order:\n    - {sip: REFER, headers: {Refer-To: {contains: desk}}}\n    - {sip: 200 BYE, from: phone, times: 1}\n    - webhook: disconnect\n      with: {cause: error, errorMessage: {matches: ^no ACK}}\n      without: [tag]\n      within: 2s\n```"},
	{typeOf[heard](), "`heard`", "```yaml\nexpect:\n  heard:\n    - {from: {verb: PlayAudio}, to: {verb: PlayAudio, event: ended}, tone: 1000, at_least: 900ms}\n    - {from: {webhook: referComplete}, silence: true}\n```"},
	{typeOf[sockets](), "An item of `sockets`", "How many, or these keys.\n\n```yaml\napplication:\n  bxml: <Response><StartStream destination=\"${websocket}/in\"/><Pause/></Response>\nphone:\n  - {tone: {hertz: 500, time: 500ms}, delay: 200ms}\nexpect:\n  sockets:\n    /in: {times: 1, messages: [{eventType: start}, {eventType: stop}], tone: 500, at_least: 300ms}\n```"},
	{typeOf[called](), "An item of `called`", "How often, or these keys.\n\n```yaml\ndestinations: {desk: , spare: }\nexpect:\n  called:\n    desk: {times: 1, headers: {Referred-By: {present: true}}}\n    spare: 0\n```"},
}

const referenceHead = `# What can stand in a scenario

Every key of scenario files, made of the types that they are read into. [testing.md](testing.md) shows how to use them;
[scenario.schema.json](scenario.schema.json) says the same to editors. Durations are written as ` + "`500ms`, `2s`, `1m`" + `.

## Texts and values

In texts ` + "`${node}`" + ` stands for the node's host:port, ` + "`${app}`" + ` for the application's URL without a path (` + "`${websocket}`" + `: that of
a WebSocket, which it takes at any path unless a reply for the path says otherwise), ` + "`${phone}`" + ` for the phone's SIP URI and ` + "`${NAME}`" + ` for that of the destination NAME. ` + "`$${`" + ` stands for ` + "`${`" + `.

Where a value is expected, it is

| | holds for |
|---|---|
| a text, number or truth value | just that; a number is no text: ` + "`202`, not `\"202\"`" + ` |
| ` + "`{matches: REGEX}`" + ` | a value that a regular expression (RE2) fits somewhere |
| ` + "`{contains: TEXT}`" + ` | a value that has the text in it |
| ` + "`{present: true}`, `{present: false}`" + ` | any value; none |
| ` + "`{not: VALUE}`" + ` | everything else, nothing at all included |
| ` + "`{any_of: [VALUE, …]}`" + ` | one of them |
| ` + "`{equals: VALUE}`" + ` | the value itself, where keys would be taken for one of these words |
| a list | a list with as many items, each as its own says |
| keys | an object with such properties; others do not matter. A name may be a path: ` + "`sipHeaders.x-queue`" + ` |
`

func reference() string {
	var b strings.Builder
	b.WriteString(referenceHead)
	for _, p := range parts {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | | |\n|---|---|---|\n", p.title, p.say)
		for _, f := range fieldsOf(p.of) {
			said := strings.ReplaceAll(f.tag.Get("doc"), "|", "\\|")
			switch {
			case f.tag.Get("required") != "":
				said = "Must be there. " + said
			case f.action != "":
				said = "Action. " + said
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.name, kindOf(p.of.Field(f.index).Type, f), said)
		}
	}
	return b.String()
}

// kindOf says in a word what a key holds.
func kindOf(t reflect.Type, f field) string {
	if allowed := f.tag.Get("enum"); allowed != "" {
		return "`" + strings.ReplaceAll(allowed, ",", "`, `") + "`"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case typeOf[time.Duration]():
		return "duration"
	case typeOf[matcher]():
		return "value"
	case typeOf[properties]():
		return "name: value"
	case typeOf[headerList]():
		return "name: text"
	case typeOf[text](), typeOf[audioStep]():
		return "text"
	case typeOf[sipPattern](), typeOf[packetPattern]():
		return "message"
	case typeOf[responseCode](), typeOf[referAnswer](), typeOf[resultCode]():
		return "status"
	case typeOf[moment]():
		return "item"
	case typeOf[settings](), typeOf[speech](), typeOf[replyList](), typeOf[calledTable](), typeOf[struct{}]():
		return ""
	case typeOf[nameList]():
		return "list"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Int:
		return "number"
	case reflect.String:
		return "text"
	case reflect.Slice:
		return "list"
	}
	return ""
}

// example is a YAML block; one that is a file of its own, with a name, among them.
var example = regexp.MustCompile("(?ms)^```yaml(?: \\S+\\.yaml)?\\n(.*?)^```$")

const referencePath = "../docs/scenario.md"

func TestReferenceIsThatOfTheFormat(t *testing.T) {
	t.Parallel()
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(referencePath, []byte(reference()), 0o644))
	}
	want, err := os.ReadFile(referencePath)
	require.NoError(t, err)
	assert.Equal(t, string(want), reference(), "UPDATE=1 go test writes it")
}

// TestReferenceHasEveryObject holds the parts to all objects that the schema has.
func TestReferenceHasEveryObject(t *testing.T) {
	t.Parallel()
	s := &schema{defs: map[string]any{}}
	s.of(typeOf[spec]())
	for _, p := range parts {
		delete(s.defs, p.of.Name())
	}
	delete(s.defs, "matcher") // texts and values
	delete(s.defs, "")        // of what has no keys
	assert.Empty(t, s.defs)
}

// TestEveryExampleOfTheDocumentsIsAScenario reads each YAML block of the pages about scenarios.
func TestEveryExampleOfTheDocumentsIsAScenario(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"scenario.md", "testing.md"} {
		content, err := os.ReadFile("../docs/" + page)
		require.NoError(t, err)
		examples := 0
		for _, found := range example.FindAllStringSubmatch(string(content), -1) {
			examples++
			_, err := Parse("../docs/"+page, []byte(found[1]))
			assert.NoError(t, err, found[1])
		}
		assert.Greater(t, examples, 5, page)
	}
}
