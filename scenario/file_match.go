package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// matcher says what a value must be. A plain value must be equal, a number as a number; a list must have as many items,
// each as its own says; keys are the properties of an object, unless they are those of an operator.
type matcher struct {
	position
	operator string // "" for a plain value, a list or an object
	value    text
	tag      string // of a plain value
	none     bool   // of the operator present: false
	list     []matcher
	object   properties
	isList   bool
	isObject bool
	inner    *matcher // of the operator not
}

// properties are what the properties of an object must be, in order.
type properties []property

type property struct {
	position
	name string
	matcher
}

var operators = []string{"equals", "matches", "contains", "present", "not", "any_of"}

func (m *matcher) decode(d *decoder, n *yaml.Node) {
	m.locate(n)
	switch n.Kind {
	case yaml.ScalarNode:
		m.plain(d, n)
	case yaml.SequenceNode:
		m.isList = true
		for _, item := range n.Content {
			var one matcher
			d.into(item, &one)
			m.list = append(m.list, one)
		}
	case yaml.MappingNode:
		if len(n.Content) == 2 {
			if m.operation(d, n.Content[0], resolved(n.Content[1])) {
				return
			}
		}
		m.isObject = true
		m.object.decode(d, n)
	}
}

func (m *matcher) plain(d *decoder, n *yaml.Node) {
	if isNull(n) {
		d.fail(n, "has no value; {present: false} stands for what must not be there")
		return
	}
	m.tag = n.ShortTag()
	if m.tag != "!!int" && m.tag != "!!float" && m.tag != "!!bool" {
		m.tag = "!!str"
	}
	m.value.decode(d, n)
}

// operation reads {name: value}; false: that is no operator.
func (m *matcher) operation(d *decoder, name, n *yaml.Node) bool {
	if !slices.Contains(operators, name.Value) {
		return false
	}
	m.operator = name.Value
	switch m.operator {
	case "matches":
		m.value.decode(d, n)
		if _, err := regexp.Compile(placeholder.ReplaceAllString(string(m.value), "x")); err != nil {
			d.fail(n, "is no regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	case "contains":
		m.value.decode(d, n)
	case "present":
		var there bool
		d.scalar(n, &there)
		m.none = !there
	case "any_of":
		d.into(n, &m.list)
	default:
		m.inner = &matcher{}
		d.into(n, m.inner)
	}
	return true
}

func (p *properties) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold keys, name: value, not %s", described(n))
		return
	}
	for name, value := range d.pairs(n) {
		one := property{position{name.Line, name.Column}, name.Value, matcher{}}
		d.into(value, &one.matcher)
		*p = append(*p, one)
	}
}

func (m *matcher) schema(s *schema) map[string]any {
	return s.shared("matcher", func() map[string]any {
		self := map[string]any{"$ref": "#/$defs/matcher"}
		only := func(name string, value any) map[string]any {
			return map[string]any{"type": "object", "properties": map[string]any{name: value}, "required": []string{name}, "additionalProperties": false}
		}
		return map[string]any{
			"description": "What a value must be: the value itself, a list with as many items, {matches: REGEXP}, {contains: TEXT}, {present: true or false}, {not: …}, {any_of: […]}, {equals: …}, or the properties of an object.",
			"anyOf": []any{
				map[string]any{"type": []string{"string", "number", "boolean"}},
				map[string]any{"type": "array", "items": self},
				only("matches", map[string]any{"type": "string", "format": "regex"}),
				only("contains", map[string]any{"type": "string"}),
				only("present", map[string]any{"type": "boolean"}),
				only("not", self), only("equals", self),
				only("any_of", map[string]any{"type": "array", "items": self}),
				map[string]any{"type": "object", "additionalProperties": self},
			},
		}
	})
}

func (p *properties) schema(s *schema) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": new(matcher).schema(s)}
}

// differs compares a value, as it came from JSON with numbers as json.Number, with what it must be. there is whether the
// value is there at all. The text says how they differ; empty: they do not.
func (m *matcher) differs(got any, there bool, a addresses) string {
	if got == nil {
		there = false // null
	}
	switch {
	case m.operator == "present" && m.none && there:
		return fmt.Sprintf("is %s, and must be absent", shown(got))
	case m.operator == "present" && m.none:
		return ""
	case m.operator == "not":
		if there && m.inner.differs(got, there, a) == "" {
			return fmt.Sprintf("is %s, and must not be", shown(got))
		}
		return ""
	case !there && m.isList && len(m.list) == 0:
		return "" // a list that has nothing in it may be left out
	case !there:
		return "is absent, and must be " + m.describe(a)
	case m.operator == "present":
		return ""
	case m.operator == "equals":
		return m.inner.differs(got, there, a)
	case m.operator == "any_of":
		for i := range m.list {
			if m.list[i].differs(got, there, a) == "" {
				return ""
			}
		}
	case m.operator == "matches":
		if m.expression(a).MatchString(plainText(got)) {
			return ""
		}
	case m.operator == "contains":
		if strings.Contains(plainText(got), a.in(m.value)) {
			return ""
		}
	case m.isList:
		return m.listDiffers(got, a)
	case m.isObject:
		return m.object.differs(got, a)
	case m.equal(got, a):
		return ""
	}
	return fmt.Sprintf("is %s, and must be %s", shown(got), m.describe(a))
}

// expression is the regular expression with addresses in the place of placeholders, each taken as it stands.
func (m *matcher) expression(a addresses) *regexp.Regexp {
	literal := addresses{}
	for name, value := range a {
		literal[name] = regexp.QuoteMeta(value)
	}
	re, err := regexp.Compile(literal.in(m.value))
	if err != nil {
		return regexp.MustCompile(`$.`) // matches nothing; it was checked when it was read
	}
	return re
}

func (m *matcher) listDiffers(got any, a addresses) string {
	items, ok := got.([]any)
	if !ok || len(items) != len(m.list) {
		return fmt.Sprintf("has %d items, and must have %d", len(items), len(m.list))
	}
	for i := range m.list {
		if s := m.list[i].differs(items[i], true, a); s != "" {
			return fmt.Sprintf("[%d] %s", i, s)
		}
	}
	return ""
}

func (m *matcher) equal(got any, a addresses) bool {
	want := a.in(m.value)
	switch got := got.(type) {
	case string:
		return m.tag == "!!str" && got == want
	case json.Number:
		return m.tag != "!!str" && got.String() == want
	case headerText:
		return string(got) == want
	case bool:
		return m.tag == "!!bool" && fmt.Sprint(got) == want
	}
	return false
}

// headerText is a value that has no type of its own, so that 60 and "60" are the same.
type headerText string

// describe says what a value must be.
func (m *matcher) describe(a addresses) string {
	switch {
	case m.operator == "matches":
		return "like /" + a.in(m.value) + "/"
	case m.operator == "contains":
		return "a text with " + quoted(a.in(m.value))
	case m.operator == "present":
		return "there"
	case m.operator == "any_of":
		return "one of a list"
	case m.inner != nil:
		return m.inner.describe(a)
	case m.isList:
		return fmt.Sprintf("a list of %d", len(m.list))
	case m.isObject:
		return "an object"
	case m.tag == "!!str":
		return quoted(a.in(m.value))
	}
	return a.in(m.value)
}

func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case headerText:
		return string(v)
	}
	return shown(v)
}

// shown is a value as JSON writes it.
func shown(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// differs compares the properties of an object. A name with dots is looked up step by step where there is no property of
// that name.
func (p properties) differs(got any, a addresses) string {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Sprintf("is %s, and must be an object", shown(got))
	}
	for i := range p {
		value, there := lookedUp(object, p[i].name)
		if s := p[i].matcher.differs(value, there, a); s != "" {
			return p[i].name + " " + s
		}
	}
	return ""
}

func lookedUp(object map[string]any, name string) (any, bool) {
	if v, ok := object[name]; ok {
		return v, true
	}
	first, rest, dotted := strings.Cut(name, ".")
	if inner, ok := object[first].(map[string]any); ok && dotted {
		return lookedUp(inner, rest)
	}
	return nil, false
}
