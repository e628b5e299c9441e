package scenario

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/callengine/callengine/node"
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

// settings is a part of the node's configuration, as it was written.
type settings struct{ node *yaml.Node }

func (s *settings) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold keys of the configuration, not %s", described(n))
		return
	}
	s.node = n
	before := len(d.errs)
	var note func(n *yaml.Node)
	note = func(n *yaml.Node) {
		switch n.Kind {
		case yaml.AliasNode: // it would be copied, perhaps without end
			d.fail(n, "an alias cannot stand in settings")
		case yaml.ScalarNode:
			d.uses(n, n.Value)
		}
		for _, child := range n.Content {
			note(child)
		}
	}
	note(n)
	if len(d.errs) > before {
		return
	}
	// With every address in its place the settings must be a configuration.
	_, err := s.config(d.file, everyAddress(), timers{})
	for _, wrong := range reasonsOf(err) {
		at := &yaml.Node{Line: n.Line, Column: n.Column}
		if wrong.Line > 0 {
			at = firstInLine(n, wrong.Line)
		}
		reason := wrong.Reason
		if wrong.Key != "" {
			reason = wrong.Key + ": " + reason
		}
		d.fail(at, "%s", reason)
	}
}

// everyAddress has an address for each of the placeholders that settings may need.
func everyAddress() addresses {
	return addresses{
		"app": "http://127.0.0.1:1", "initiate": "http://127.0.0.1:1", "status": "http://127.0.0.1:1",
		"speech": "http://127.0.0.1:1", "node": "127.0.0.1:1", "phone": "sip:phone@127.0.0.1:1",
	}
}

// reasonsOf returns what is wrong with a configuration.
func reasonsOf(err error) []*node.ConfigError {
	var all []*node.ConfigError
	for _, e := range severalOf(err) {
		var wrong *node.ConfigError
		if !errors.As(e, &wrong) {
			wrong = &node.ConfigError{Reason: e.Error()}
		}
		all = append(all, wrong)
	}
	return all
}

// severalOf returns the errors that were joined in one.
func severalOf(err error) []error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}

// firstInLine finds the first node that stands in a line.
func firstInLine(n *yaml.Node, line int) *yaml.Node {
	best := &yaml.Node{Line: line, Column: 1}
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		if n.Line == line && (best.Column == 1 || n.Column < best.Column) {
			best = n
		}
		for _, child := range n.Content {
			look(child)
		}
	}
	look(n)
	return best
}

func (s *settings) schema(*schema) map[string]any { return map[string]any{"type": "object"} }

// config is the node's configuration: what a scenario needs, with its timers, and over it what the settings say.
func (s *settings) config(f *File, a addresses, t timers) (node.Config, error) {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	application := map[string]string{
		"id": "application", "call_initiated_callback_url": a["initiate"], "call_status_callback_url": a["status"],
	}
	if t.Callback > 0 {
		application["callback_timeout"] = t.Callback.String()
	}
	type setting struct {
		key   string
		value any
	}
	bases := []setting{
		{"sip.listen", []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}},
		{"api.listen", "127.0.0.1:0"},
		{"media.tts", map[string]string{"engine": "http", "url": a["speech"]}},
		{"applications", []any{application}},
		{"drain_timeout", "1h"},
	}
	for key, value := range t.keys() {
		bases = append(bases, setting{key, value.String()})
	}
	for _, base := range bases {
		var value yaml.Node
		if err := value.Encode(base.value); err != nil {
			return node.Config{}, err
		}
		put(root, strings.Split(base.key, "."), &yaml.Node{}, &value)
	}
	if s.node != nil {
		if engine := lookUp(s.node, "media.tts.engine"); engine != nil {
			put(root, []string{"media", "tts", "url"}, engine, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"})
		}
		merge(root, s.node, a)
	}
	cfg, _, err := node.LoadConfig(node.ConfigSource{File: f.Path, Settings: root})
	return cfg, err
}

// lookUp finds a key that may be written with dots.
func lookUp(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if name == key {
			return n.Content[i+1]
		}
		if rest, ok := strings.CutPrefix(key, name+"."); ok {
			if found := lookUp(n.Content[i+1], rest); found != nil {
				return found
			}
		}
	}
	return nil
}

// merge lays the keys of one mapping over another, with addresses in place of placeholders. Keys with dots are paths.
func merge(into, from *yaml.Node, a addresses) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		name, value := from.Content[i], from.Content[i+1]
		path := strings.Split(name.Value, ".")
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			merge(section(into, path, name), value, a)
			continue
		}
		put(into, path, name, expanded(value, a))
	}
}

// section finds or makes the mapping at a path.
func section(into *yaml.Node, path []string, at *yaml.Node) *yaml.Node {
	for _, step := range path {
		found := valueOf(into, step)
		if found == into || found.Kind != yaml.MappingNode {
			found = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
			put(into, []string{step}, at, found)
		}
		into = found
	}
	return into
}

// put sets the value at a path.
func put(into *yaml.Node, path []string, at, value *yaml.Node) {
	into = section(into, path[:len(path)-1], at)
	last := path[len(path)-1]
	for i := 0; i+1 < len(into.Content); i += 2 {
		if into.Content[i].Value == last {
			into.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last, Line: at.Line, Column: at.Column}
			into.Content[i+1] = value
			return
		}
	}
	into.Content = append(into.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last, Line: at.Line, Column: at.Column}, value)
}

// expanded is a copy with addresses in place of placeholders.
func expanded(n *yaml.Node, a addresses) *yaml.Node {
	c := *n
	c.Content = nil
	if n.Kind == yaml.ScalarNode {
		c.Value = a.in(text(n.Value))
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			c.Content = append(c.Content, child)
			continue
		}
		c.Content = append(c.Content, expanded(child, a))
	}
	return &c
}
