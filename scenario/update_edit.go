package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// edit changes the text of a scenario's file in one place, of which the rest need not be written anew.
type edit struct {
	run  *run
	text []byte
	root *yaml.Node
}

// at finds the value that stands somewhere; nil: none does.
func (u *edit) at(p position) (found *yaml.Node) {
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				continue // a key, at which an object of its own begins, too
			}
			if child.Line == p.line && child.Column == p.column && found == nil {
				found = child
			}
			look(child)
		}
	}
	look(u.root)
	return found
}

// expectations are the keys of expect, with their values.
func (u *edit) expectations() func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		expect := valueOf(u.root, "expect")
		for i := 0; i+1 < len(expect.Content) && expect != u.root; i += 2 {
			if !yield(expect.Content[i].Value, expect.Content[i+1]) {
				return
			}
		}
	}
}

// expect sets a key of expect; nil: takes it out.
func (u *edit) expect(key string, value *yaml.Node) bool {
	expect := valueOf(u.root, "expect")
	if expect == u.root || expect.Kind != yaml.MappingNode {
		return false
	}
	if expect.Style&yaml.FlowStyle == 0 && u.root.Style&yaml.FlowStyle == 0 && len(expect.Content) > 2 {
		return u.lines(expect, key, value, u.following("expect"))
	}
	whole := mapping{expect}
	switch at := slices.IndexFunc(expect.Content, func(n *yaml.Node) bool { return n.Value == key }); {
	case at < 0 && value != nil:
		whole.add(key, value)
	case at >= 0 && value == nil:
		expect.Content = slices.Delete(expect.Content, at, at+2)
	case at >= 0:
		expect.Content[at+1] = value
	}
	expect.Style &^= yaml.FlowStyle
	return u.section("expect", expect)
}

// section sets a key of the whole file.
func (u *edit) section(key string, value *yaml.Node) bool {
	if u.root.Style&yaml.FlowStyle != 0 {
		return false
	}
	return u.lines(u.root, key, value, 0)
}

// following is the line of the key after one of the whole file; 0: it is the last.
func (u *edit) following(key string) int {
	for i := 0; i+3 < len(u.root.Content); i += 2 {
		if u.root.Content[i].Value == key {
			return u.root.Content[i+2].Line
		}
	}
	return 0
}

// lines replaces the lines of a key of a mapping that has a line for each. end is the first line after the mapping; 0: that
// is the end of the text.
func (u *edit) lines(in *yaml.Node, key string, value *yaml.Node, end int) bool {
	all := strings.SplitAfter(string(u.text), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	if end == 0 {
		end = len(all) + 1
	}
	first, column := end, in.Column
	for i := 0; i+1 < len(in.Content); i += 2 {
		if in.Content[i].Value != key {
			continue
		}
		first = in.Content[i].Line
		if i+2 < len(in.Content) {
			end = in.Content[i+2].Line
		}
	}
	for end-1 > first && loose(all[end-2], column) { // it belongs to what follows
		end--
	}
	if first > end {
		first = end
	}
	var written string
	if value != nil {
		text, err := encoded(newMapping().with(key, value).n)
		if err != nil {
			return false
		}
		for line := range strings.Lines(text) {
			written += strings.Repeat(" ", column-1) + line
		}
	}
	before := strings.Join(all[:first-1], "")
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	u.text = []byte(before + written + strings.Join(all[end-1:], ""))
	return true
}

// loose reports whether a line is empty, or a comment that stands no deeper than a column.
func loose(line string, column int) bool {
	content := strings.TrimLeft(line, " ")
	return strings.TrimSpace(content) == "" || content[0] == '#' && len(line)-len(content) < column
}

func encoded(n *yaml.Node) (string, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := errors.Join(enc.Encode(n), enc.Close())
	return b.String(), err
}

// named puts the names of addresses into the place of those that the run has had.
func (u *edit) named(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Value = u.name(n.Value)
	}
	for _, child := range n.Content {
		u.named(child)
	}
}

func (u *edit) name(s string) string {
	names := slices.Clone(placeholders)
	for name := range u.run.destinations {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if address := u.run.addresses[name]; address != "" {
			s = strings.ReplaceAll(s, address, "${"+name+"}")
		}
	}
	return s
}

// simple are texts that need no quotes wherever they stand.
var simple = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./<>()-]*( [A-Za-z0-9_./<>()-]+)*$`)

// digits are what needs no quotes where any value is a text.
var digits = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// scalar replaces a value in a single line.
func (u *edit) scalar(n *yaml.Node, value any) bool {
	if n == nil || n.Kind != yaml.ScalarNode {
		return false
	}
	start, length, ok := u.source(n)
	if !ok {
		return false
	}
	var written string
	switch value := value.(type) {
	case string:
		written = u.quoted(value)
	case headerText:
		if written = string(value); !digits.MatchString(written) {
			written = u.quoted(written)
		}
	case int, bool, json.Number, time.Duration:
		written = fmt.Sprint(value)
	default:
		return false
	}
	u.text = slices.Concat(u.text[:start], []byte(written), u.text[start+length:])
	return true
}

func (u *edit) quoted(s string) string {
	s = u.name(escapedText(s))
	plain := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	if simple.MatchString(s) && plain.ShortTag() == "!!str" {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSpace(b.String())
}

// source finds where a value of one line stands in the text.
func (u *edit) source(n *yaml.Node) (start, length int, ok bool) {
	for range n.Line - 1 {
		next := bytes.IndexByte(u.text[start:], '\n')
		if next < 0 {
			return 0, 0, false
		}
		start += next + 1
	}
	line, _, _ := bytes.Cut(u.text[start:], []byte("\n"))
	runes := []rune(string(line))
	if n.Column-1 > len(runes) {
		return 0, 0, false
	}
	start += len(string(runes[:n.Column-1]))
	rest := string(runes[n.Column-1:])
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		length = len(doubleQuoted.FindString(rest))
	case n.Style&yaml.SingleQuotedStyle != 0:
		length = len(singleQuoted.FindString(rest))
	case n.Style == 0 && strings.HasPrefix(rest, n.Value):
		length = len(n.Value)
	}
	return start, length, length > 0
}

var (
	doubleQuoted = regexp.MustCompile(`^"([^"\\]|\\.)*"`)
	singleQuoted = regexp.MustCompile(`^'([^']|'')*'`)
)
