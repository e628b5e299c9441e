package scenario

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// into reads a node into what target points at.
func (d *decoder) into(n *yaml.Node, target any) { d.value(n, reflect.ValueOf(target).Elem()) }

// text is a text in which ${NAME} stands for an address that is known when the scenario runs: ${node} for the node's
// host:port, ${app} for the application's URL without a path, ${phone} for the phone's SIP URI, ${DESTINATION} for that
// of a further phone. $${NAME} stands for ${NAME} itself.
type text string

var placeholder = regexp.MustCompile(`\$?\$\{([A-Za-z][A-Za-z0-9_-]*)\}`)

func (t *text) decode(d *decoder, n *yaml.Node) {
	before := len(d.errs)
	d.scalar(n, (*string)(t))
	if len(d.errs) == before {
		d.uses(n, string(*t))
	}
}

// uses notes a text whose placeholders have to be known.
func (d *decoder) uses(n *yaml.Node, s string) {
	if strings.Contains(s, "${") {
		d.texts = append(d.texts, usedText{n, s})
	}
}

func (t *text) schema(*schema) map[string]any {
	return map[string]any{"type": []string{"string", "number", "boolean"}}
}

// addresses are what the placeholders stand for.
type addresses map[string]string

// in replaces the placeholders of a text. What is not known stays.
func (a addresses) in(t text) string {
	return placeholder.ReplaceAllStringFunc(string(t), func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		if value, ok := a[found[2:len(found)-1]]; ok {
			return value
		}
		return found
	})
}

// headerList is header fields, in order.
type headerList []headerSpec

type headerSpec struct {
	name  string
	value text
}

func (l *headerList) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold header fields, name: value, not %s", described(n))
		return
	}
	for name, value := range d.pairs(n) {
		if name.Value == "" || strings.ContainsAny(name.Value, " :\r\n\t") {
			d.fail(name, "%s is no name of a header field", quoted(name.Value))
			continue
		}
		var values []text
		d.into(value, &values)
		for _, v := range values {
			if strings.ContainsAny(string(v), "\r\n") {
				d.fail(value, "a header field has one line")
			}
			*l = append(*l, headerSpec{name.Value, v})
		}
	}
}

func (l *headerList) schema(s *schema) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": s.of(typeOf[[]text]())}
}

// with are the header fields as a phone takes them.
func (l headerList) with(a addresses) []Header {
	var all []Header
	for _, h := range l {
		all = append(all, Header{h.name, a.in(h.value)})
	}
	return all
}

// responseCode is a status that the phone answers with; 0: it does not answer, -1: it does so later.
type responseCode int

const answerLater responseCode = -1

func (c *responseCode) decode(d *decoder, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Value == "none" {
		*c = 0
		return
	}
	d.code(n, c)
}

func (d *decoder) code(n *yaml.Node, c *responseCode) {
	var code int
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		d.scalar(n, &code)
	}
	if code < 100 || code > 699 {
		d.fail(n, "must be a status from 100 to 699, or none, not %s", described(n))
		return
	}
	*c = responseCode(code)
}

func (c *responseCode) schema(*schema) map[string]any { return statusOr("none") }

func statusOr(words ...string) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 100, "maximum": 699},
		map[string]any{"enum": words},
	}}
}

// resultCode is what the node must answer: a status, a class such as 4xx, any, or none where it is not waited for.
type resultCode struct {
	text string // "": as the request's rule says
	pattern
}

func (c *resultCode) decode(d *decoder, n *yaml.Node) {
	p, err := parsePattern(n.Value)
	switch {
	case n.Kind == yaml.ScalarNode && (n.Value == "any" || n.Value == "none"):
	case n.Kind != yaml.ScalarNode || err != nil || p.low == 0 || p.method != "":
		d.fail(n, "must be a status, a class such as 4xx, any or none, not %s", described(n))
		return
	}
	c.text, c.pattern = n.Value, p
}

func (c *resultCode) schema(*schema) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 100, "maximum": 699},
		map[string]any{"type": "string", "pattern": "^([1-6]xx|any|none)$"},
	}}
}

// sipPattern names SIP messages: REFER, 202, 202 REFER, 4xx, 4xx REFER.
type sipPattern struct {
	text string
	pattern
}

func (p *sipPattern) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, "must be a SIP method, or a status and perhaps a method, not %s", described(n))
		return
	}
	var err error
	if p.pattern, err = parsePattern(n.Value); err != nil {
		d.fail(n, "%v", err)
		return
	}
	p.text = n.Value
	if known := p.pattern.method; known != "" && known != "*" && !slices.Contains(sipMethods, known) {
		d.fail(n, "%s is no SIP method%s", quoted(known), didYouMean(known, sipMethods))
	}
}

var sipMethods = []string{
	"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REFER", "NOTIFY", "INFO", "UPDATE", "PRACK", "MESSAGE", "SUBSCRIBE", "REGISTER", "PUBLISH",
}

func (p *sipPattern) schema(*schema) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 100, "maximum": 699},
		map[string]any{"type": "string", "pattern": `^(\*|[A-Z]+|[1-6]([0-9][0-9]|xx)( [A-Z]+)?)$`},
	}}
}

// packetPattern is a sipPattern, or rtp.
type packetPattern struct {
	position
	sipPattern
	rtp bool
}

func (p *packetPattern) decode(d *decoder, n *yaml.Node) {
	if p.rtp = n.Kind == yaml.ScalarNode && n.Value == "rtp"; p.rtp {
		p.text = n.Value
		return
	}
	p.sipPattern.decode(d, n)
}

func (p *packetPattern) schema(s *schema) map[string]any {
	one := p.sipPattern.schema(s)
	one["anyOf"] = append(one["anyOf"].([]any), map[string]any{"const": "rtp"})
	return one
}
