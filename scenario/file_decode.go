package scenario

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder lays the nodes of a scenario file over the types of its format. It goes on after an error, so that all are told
// at once. What a struct may hold is said by its fields' tags, of which the schema is made too:
//
//	yaml:"name"      the key
//	doc:"text"       what it means
//	enum:"a,b"       the texts allowed
//	min:"1" max:"9"  the numbers allowed
//	required:"true"  must be there
//	action:"true"    exactly one of the struct's actions must be there; "bare": its name alone will do, too
type decoder struct {
	file  *File
	errs  []*FileError
	nodes int
	depth int
	texts []usedText
}

// usedText is a text with placeholders, which can be looked up when everything has been read.
type usedText struct {
	at   *yaml.Node
	text string
}

// Bounds of a file: YAML's aliases let a short one stand for one without end.
const (
	maxNodes = 100_000
	maxDepth = 100
)

// shaped is a type that is read in a way of its own.
type shaped interface {
	decode(d *decoder, n *yaml.Node)
	schema(s *schema) map[string]any
}

// checked is a type whose parts must fit together; n is where it stands.
type checked interface {
	check(d *decoder, n *yaml.Node)
}

// abbreviated is a struct that may be written as a single value.
type abbreviated interface {
	fromScalar(d *decoder, n *yaml.Node)
	scalarSchema(s *schema) map[string]any
}

// misplaced is a struct beside which keys stand that are easily written into it.
type misplaced interface {
	placeOf(key string) string // the tail of a message; empty: it has no place nearby
}

// located is a struct that has to know where it stands.
type located interface{ locate(n *yaml.Node) }

// position is where something stands in its file.
type position struct{ line, column int }

func (p *position) locate(n *yaml.Node) { p.line, p.column = n.Line, n.Column }

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, &FileError{File: d.file.Path, Line: n.Line, Column: n.Column, Reason: fmt.Sprintf(format, args...)})
}

func (d *decoder) document(n *yaml.Node, into *spec) { d.value(n, reflect.ValueOf(into).Elem()) }

// value reads a node into a value of one of the types of the format.
func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	n = resolved(n)
	d.nodes++
	d.depth++
	defer func() { d.depth-- }()
	if d.nodes > maxNodes || d.depth > maxDepth {
		if d.nodes < 2*maxNodes { // told once
			d.nodes = 2 * maxNodes
			d.fail(n, "the scenario is too large")
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if at, ok := v.Addr().Interface().(located); ok {
		at.locate(n)
	}
	if own, ok := v.Addr().Interface().(shaped); ok {
		own.decode(d, n)
		return
	}
	before := len(d.errs)
	switch {
	case v.Kind() == reflect.Struct:
		d.object(n, v)
	case v.Kind() == reflect.Slice:
		d.list(n, v)
	case v.Kind() == reflect.Map:
		d.table(n, v)
	default:
		d.scalar(n, v.Addr().Interface())
	}
	if c, ok := v.Addr().Interface().(checked); ok && len(d.errs) == before {
		c.check(d, n)
	}
}

// field is a key of a struct.
type field struct {
	name   string
	index  int
	tag    reflect.StructTag
	action string
}

// fieldsOf returns the keys of a struct in their order. Those of an embedded struct are the struct's own.
func fieldsOf(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			all = append(all, field{name, i, f.Tag, f.Tag.Get("action")})
		}
	}
	return all
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func actionsOf(fields []field) (names []string) {
	for _, f := range fields {
		if f.action != "" {
			names = append(names, f.name)
		}
	}
	return names
}

func (d *decoder) object(n *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		if s, ok := v.Addr().Interface().(abbreviated); ok && n.Kind == yaml.ScalarNode {
			s.fromScalar(d, n)
			return
		}
		d.notAnObject(n, v, fields)
		return
	}
	seen := map[string]bool{}
	var acted []string
	for name, value := range d.pairs(n) {
		i := indexOf(fields, name.Value)
		if i < 0 {
			hint := didYouMean(name.Value, namesOf(fields))
			if at, ok := v.Addr().Interface().(misplaced); ok && hint == "" {
				hint = at.placeOf(name.Value)
			}
			d.fail(name, "unknown key %s%s", name.Value, hint)
			seen[""] = true // what is missing is perhaps what was misspelt
			continue
		}
		f := fields[i]
		seen[f.name] = true
		if f.action != "" {
			acted = append(acted, f.name)
		}
		if f.action == "bare" && isNull(resolved(value)) {
			v.Field(f.index).Set(reflect.New(v.Field(f.index).Type().Elem()))
			continue
		}
		d.member(value, v.Field(f.index), f)
	}
	for _, f := range fields {
		if f.tag.Get("required") != "" && !seen[f.name] && !seen[""] {
			d.fail(n, "%s is missing", f.name)
		}
	}
	actions := actionsOf(fields)
	switch {
	case len(actions) > 0 && len(acted) == 0 && !seen[""]:
		d.fail(n, "one of %s is missing", strings.Join(actions, ", "))
	case len(acted) > 1:
		d.fail(n, "%s cannot stand together: one of them is enough", strings.Join(acted, " and "))
	}
}

func indexOf(fields []field, name string) int {
	for i, f := range fields {
		if f.name == name {
			return i
		}
	}
	return -1
}

// member reads the value of a key and holds it to its field's tags.
func (d *decoder) member(n *yaml.Node, v reflect.Value, f field) {
	before := len(d.errs)
	if isNull(resolved(n)) {
		if _, ok := v.Addr().Interface().(shaped); !ok {
			d.fail(n, "%s has no value", f.name)
			return
		}
	}
	d.value(n, v)
	if len(d.errs) > before {
		return
	}
	if allowed := f.tag.Get("enum"); allowed != "" {
		for _, text := range textsOf(v) {
			if !containsFold(strings.Split(allowed, ","), text) {
				d.fail(n, "%s must be %s, not %s%s", f.name, alternatives(strings.Split(allowed, ",")), quoted(text),
					didYouMean(text, strings.Split(allowed, ",")))
			}
		}
	}
	if least, most := f.tag.Get("min"), f.tag.Get("max"); least != "" {
		number := v
		if number.Kind() == reflect.Pointer {
			number = number.Elem()
		}
		low, _ := strconv.ParseInt(least, 10, 64)
		high, _ := strconv.ParseInt(most, 10, 64)
		if number.Int() < low || number.Int() > high {
			d.fail(n, "%s must be from %s to %s", f.name, least, most)
		}
	}
}

// textsOf returns a text, or the texts of a list.
func textsOf(v reflect.Value) []string {
	if v.Kind() == reflect.Slice {
		var all []string
		for i := range v.Len() {
			all = append(all, v.Index(i).String())
		}
		return all
	}
	return []string{v.String()}
}

func containsFold(list []string, text string) bool {
	for _, s := range list {
		if s == text {
			return true
		}
	}
	return false
}

// notAnObject says what should stand in place of n.
func (d *decoder) notAnObject(n *yaml.Node, v reflect.Value, fields []field) {
	for _, f := range fields {
		if n.Kind == yaml.ScalarNode && f.action == "bare" && f.name == n.Value {
			v.Field(f.index).Set(reflect.New(v.Field(f.index).Type().Elem()))
			return
		}
	}
	if actions := actionsOf(fields); len(actions) > 0 && n.Kind == yaml.ScalarNode {
		d.fail(n, "must hold keys such as %s, not %s%s", alternatives(actions[:min(3, len(actions))]), described(n), didYouMean(n.Value, actions))
		return
	}
	d.fail(n, "must hold keys, not %s", described(n))
}

// pairs returns keys and values of a mapping, without those keys that are no texts or stand there twice.
func (d *decoder) pairs(n *yaml.Node) func(yield func(*yaml.Node, *yaml.Node) bool) {
	return func(yield func(*yaml.Node, *yaml.Node) bool) {
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			switch {
			case name.Kind != yaml.ScalarNode:
				d.fail(name, "a key must be a text, not %s", described(name))
			case seen[name.Value]:
				d.fail(name, "%s stands there twice", name.Value)
			default:
				seen[name.Value] = true
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// list reads a list; a single value is a list of one.
func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	list := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		element := reflect.New(v.Type().Elem()).Elem()
		if isNull(resolved(item)) {
			d.fail(item, "an item of the list has nothing in it")
			continue
		}
		d.value(item, element)
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

// table reads a mapping whose keys the scenario chooses.
func (d *decoder) table(n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold keys, not %s", described(n))
		return
	}
	for name, value := range d.pairs(n) {
		element := reflect.New(v.Type().Elem()).Elem()
		if !isNull(resolved(value)) {
			d.value(value, element)
		} else if element.Kind() != reflect.Struct {
			d.fail(value, "%s has no value", name.Value)
		}
		v.SetMapIndex(reflect.ValueOf(name.Value), element)
	}
}
