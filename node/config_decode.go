package node

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder lays the nodes of one YAML file over a Config. It goes on after an error, so that all are told at once.
type decoder struct {
	file   string
	origin origins
	errs   []*ConfigError
}

func (d *decoder) fail(n *yaml.Node, key, format string, args ...any) {
	d.errs = append(d.errs, &ConfigError{Key: key, File: d.file, Line: n.Line, Reason: fmt.Sprintf(format, args...)})
}

// section reads a mapping into a struct. One without anything in it, all of its keys commented out, is allowed.
func (d *decoder) section(n *yaml.Node, v reflect.Value, key string) {
	n = resolved(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, key, "must hold keys, not %s", describe(n))
		return
	}
	names, fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		path := join(key, name.Value)
		field, known := fields[name.Value]
		switch {
		case name.Kind != yaml.ScalarNode:
			d.fail(name, key, "a key must be a text, not %s", describe(name))
		case !known:
			d.fail(name, path, "unknown key%s", didYouMean(name.Value, names))
		case seen[name.Value]:
			d.fail(name, path, "stands there twice")
		default:
			seen[name.Value] = true
			d.origin[path] = origin{file: d.file, line: name.Line}
			d.value(value, v.Field(field), path)
		}
	}
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, key string) {
	switch {
	case isObject(v.Type()):
		d.section(n, v, key)
	case v.Kind() == reflect.Slice:
		d.list(n, v, key)
	default:
		d.scalar(n, v, key)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, key string) {
	n = resolved(n)
	if n.Kind != yaml.SequenceNode {
		d.fail(n, key, "must be a list, not %s", describe(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, item := range n.Content {
		path := fmt.Sprintf("%s[%d]", key, i)
		element := reflect.New(v.Type().Elem()).Elem()
		if app, ok := element.Addr().Interface().(*Application); ok {
			*app = defaultApplication(i + 1)
		}
		d.origin[path] = origin{file: d.file, line: item.Line}
		if isObject(element.Type()) && isNull(resolved(item)) {
			d.fail(item, path, "has nothing in it")
			continue
		}
		d.value(item, element, path)
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

// scalar takes a number for a text, as in an account id, because that is what was meant; nothing else is converted.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string) {
	n = resolved(n)
	target := v.Addr().Interface()
	ok := n.Kind == yaml.ScalarNode
	switch target.(type) {
	case *int:
		ok = ok && n.ShortTag() == "!!int"
	case *float64:
		ok = ok && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
	case *bool:
		ok = ok && n.ShortTag() == "!!bool"
	default:
		ok = ok && n.ShortTag() != "!!bool" && n.ShortTag() != "!!null" && n.ShortTag() != "!!binary"
	}
	if !ok {
		d.fail(n, key, "must be %s, not %s", wanted(target), describe(n))
		return
	}
	if err := setText(target, n.Value); err != nil {
		d.fail(n, key, "%v", err)
	}
}

// setText reads a text, of whatever source, into one of the types that are not made of others. After an error the target
// is as it was.
func setText(target any, s string) error {
	switch target := target.(type) {
	case *string:
		if strings.ContainsRune(s, 0) {
			return errors.New("holds a zero character")
		}
		*target = s
	case *int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return errors.New("must be a whole number")
		}
		*target = n
	case *float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(n) {
			return errors.New("must be a number")
		}
		*target = n
	case *bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("must be true or false")
		}
		*target = b
	case *time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil {
			return errors.New("must be a duration such as 15s, 500ms or 24h")
		}
		*target = d
	case *netip.Prefix:
		return assign(target, s, parsePrefix)
	case *Listener:
		return assign(target, s, parseListener)
	case *PortRange:
		return assign(target, s, parsePortRange)
	default:
		panic(fmt.Sprintf("no way to read a %T", target))
	}
	return nil
}

func assign[T any](target *T, s string, parse func(string) (T, error)) error {
	v, err := parse(s)
	if err == nil {
		*target = v
	}
	return err
}

func wanted(target any) string {
	switch target.(type) {
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *bool:
		return "true or false"
	case *time.Duration:
		return "a duration such as 15s"
	}
	return "a text"
}

// setList reads a text with commas into a list whose elements are not made of others.
func setList(v reflect.Value, s string) error {
	list := reflect.MakeSlice(v.Type(), 0, strings.Count(s, ",")+1)
	if strings.TrimSpace(s) != "" {
		for item := range strings.SplitSeq(s, ",") {
			element := reflect.New(v.Type().Elem())
			if item = strings.TrimSpace(item); item == "" {
				return errors.New("holds an empty element")
			}
			if err := setText(element.Interface(), item); err != nil {
				return err
			}
			list = reflect.Append(list, element.Elem())
		}
	}
	v.Set(list)
	return nil
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a node is without its value, which may be a secret.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section with keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "a text"
}

// fieldsOf returns the keys of a section, in their order and with their fields' places.
func fieldsOf(t reflect.Type) (names []string, index map[string]int) {
	index = map[string]int{}
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		names = append(names, name)
		index[name] = i
	}
	return names, index
}

// isObject reports whether a type is a section: a struct with keys.
func isObject(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("yaml") != ""
}

// leaf is a key that holds a value, or a list, and no further keys.
type leaf struct {
	path    string
	value   reflect.Value
	objects bool // a list of sections, which only a file can hold
}

// leavesOf returns every key of cfg, in order.
func leavesOf(cfg *Config) []leaf {
	var all []leaf
	var walk func(v reflect.Value, key string)
	walk = func(v reflect.Value, key string) {
		names, _ := fieldsOf(v.Type())
		for i, name := range names {
			field, path := v.Field(i), join(key, name)
			if isObject(field.Type()) {
				walk(field, path)
				continue
			}
			objects := field.Kind() == reflect.Slice && isObject(field.Type().Elem())
			all = append(all, leaf{path, field, objects})
		}
	}
	walk(configValue(cfg), "")
	return all
}

// set gives a key a value from a text.
func (l leaf) set(s string) error {
	if l.value.Kind() == reflect.Slice {
		return setList(l.value, s)
	}
	return setText(l.value.Addr().Interface(), s)
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// configValue returns cfg as what the decoder fills.
func configValue(cfg *Config) reflect.Value { return reflect.ValueOf(cfg).Elem() }

func paths(leaves []leaf) []string {
	all := make([]string, len(leaves))
	for i, l := range leaves {
		all[i] = l.path
	}
	return all
}
