package verbs

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checker holds one document against the definitions and collects all that is wrong with it.
type checker struct {
	findings
	parser *Parser
	place  Place
	base   *url.URL // nil: not known
}

// element checks an element that may stand where it stands.
func (c *checker) element(e *element, d *definition) *node {
	n := &node{definition: d, source: e}
	standIn := c.attributes(n)
	c.content(n, standIn)
	c.credentials(n)
	if d.check != nil {
		d.check(c, n)
	}
	return n
}

// attributes checks the attributes of an element. It returns the value of one that stands in for an empty text.
func (c *checker) attributes(n *node) (standIn string) {
	given := map[string]bool{}
	for _, a := range n.source.attributes {
		given[a.name] = true
	}
	for _, a := range n.source.attributes {
		if row := n.attribute(a.name); row != nil {
			c.value(n, row, a)
			continue
		}
		meant, misspelt := n.misspellings[a.name]
		switch {
		case !misspelt:
			c.unknownAttribute(n.source, a, n.attributeNames())
		case meant == textName && n.source.text() == "":
			standIn = a.value
			c.warnf(a.pos, n.name, "%s is no attribute of %s; taken for its text", a.name, n.name)
		case meant == "" || meant == textName || given[meant]:
			c.warnf(a.pos, n.name, "%s is no attribute of %s; ignored", a.name, n.name)
		default:
			c.warnf(a.pos, n.name, "%s is no attribute of %s; taken for %s", a.name, n.name, meant)
			given[meant] = true
			c.value(n, n.attribute(meant), a)
		}
	}
	for _, row := range n.definition.attributes {
		if row.required && !given[row.name] {
			c.errorf(n.source.pos, n.name, "the attribute %s is missing", row.name)
		}
	}
	return standIn
}

func (c *checker) unknownAttribute(e *element, a xmlAttribute, known []string) {
	if !strings.HasPrefix(a.name, "xmlns:") {
		c.warnf(a.pos, e.name, "unknown attribute %s is ignored%s", shorten(a.name), didYouMean(a.name, known))
	}
}

// value checks one attribute against its row and keeps it if it is valid.
func (c *checker) value(n *node, row *attribute, a xmlAttribute) {
	value := a.value
	if row.anyCase {
		value = strings.ToUpper(value)
	}
	if row.kind == kindBoolean {
		value = strings.ToLower(value)
	}
	if value == "" && (row.kind == kindURL || row.kind == kindWSURL) && !row.required {
		return // counts as not given
	}
	if err := row.accept(value); err != nil {
		c.errorf(a.pos, n.name, "%s %v", a.name, err)
		return
	}
	if n.given == nil {
		n.given = map[string]given{}
	}
	n.given[row.name] = given{value, a.pos}
}

// accept returns what the value must be, if it is not.
func (a *attribute) accept(value string) error {
	if a.maxLength > 0 {
		if got := utf8.RuneCountInString(value); got > a.maxLength {
			return fmt.Errorf("must have at most %d characters, not %d", a.maxLength, got)
		}
	}
	switch a.kind {
	case kindURL:
		return checkURL(value)
	case kindWSURL:
		return checkWSURL(value)
	case kindEnum:
		if err := oneOf(value, a.values); err != nil {
			return fmt.Errorf("must be %s, not %w", alternatives(a.values), err)
		}
	case kindBoolean:
		if value != "true" && value != "false" {
			return fmt.Errorf("must be true or false, not %s", quote(value))
		}
	case kindInteger, kindNumber:
		if !a.holds(value) {
			return fmt.Errorf("must be %s, not %s", a.rangeText(), quote(value))
		}
	}
	if a.format.check != nil {
		return a.format.check(value)
	}
	return nil
}

// holds reports whether a value is a number in the attribute's range: digits, and in a number perhaps a point among
// them, but no sign and no exponent (docs/bxml.md).
func (a *attribute) holds(value string) bool {
	whole, fraction, pointed := strings.Cut(value, ".")
	if !isDigits(whole) || pointed && (a.kind == kindInteger || !isDigits(fraction)) {
		return false
	}
	n, err := strconv.ParseFloat(value, 64)
	return err == nil && (a.min == nil || n >= *a.min) && (a.max == nil || n <= *a.max)
}

// rangeText says what numbers an attribute takes: "a number from 0.1 to 86400 (seconds)".
func (a *attribute) rangeText() string {
	text := "a number"
	if a.kind == kindInteger {
		text = "a whole number"
	}
	switch {
	case a.min != nil && a.max != nil:
		text += fmt.Sprintf(" from %s to %s", decimal(*a.min), decimal(*a.max))
	case a.min != nil:
		text += fmt.Sprintf(" of at least %s", decimal(*a.min))
	}
	if name, ok := unitNames[a.unit]; ok {
		text += " (" + name + ")"
	}
	return text
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// content checks text and nested tags.
func (c *checker) content(n *node, standIn string) {
	if n.definition.text.need == mixedText {
		c.speech(n)
		return
	}
	counts := map[string]int{}
	for _, part := range n.source.content {
		switch {
		case part.child != nil:
			c.child(n, part.child, counts)
		case n.definition.text.need == noText && strings.Trim(part.text, xmlSpace) != "":
			c.errorf(part.pos, n.name, "text may not stand in %s", n.name)
		}
	}
	c.counts(n, counts)
	if n.definition.text.need == noText {
		return
	}
	if n.text = n.source.text(); n.text == "" {
		n.text = strings.Trim(standIn, xmlSpace)
	}
	if n.text == "" {
		if n.definition.text.need == requiredText {
			c.errorf(n.source.pos, n.name, "%s needs a text", n.name)
		}
		return
	}
	if check := n.definition.text.format.check; check != nil {
		if err := check(n.text); err != nil {
			c.errorf(n.source.pos, n.name, "the text %v", err)
			n.text = ""
		}
	}
}

// child checks a nested tag and counts it. One whose name is misspelt is counted as what was meant, so that it is not
// missed as well.
func (c *checker) child(n *node, e *element, counts map[string]int) {
	rule := n.child(e.name)
	if rule == nil {
		if _, known := c.parser.tags[e.name]; known || len(n.definition.children) == 0 {
			c.errorf(e.pos, e.name, "%s may not stand in %s", shorten(e.name), n.name)
			return
		}
		meant := suggest(e.name, n.childNames())
		counts[meant]++
		c.errorf(e.pos, e.name, "unknown tag %s in %s%s", shorten(e.name), n.name, didYouMean(e.name, n.childNames()))
		return
	}
	counts[e.name]++
	d := c.parser.tags[e.name]
	if rule.bare {
		for _, a := range e.attributes {
			if d.attribute(a.name) != nil {
				c.warnf(a.pos, e.name, "%s has no effect in %s; ignored", a.name, n.name)
			} else {
				c.unknownAttribute(e, a, nil)
			}
		}
		plain := *e
		plain.attributes = nil
		e = &plain
	}
	n.children = append(n.children, c.element(e, d))
}

// counts checks how many tags are nested.
func (c *checker) counts(n *node, counts map[string]int) {
	total := 0
	for _, ch := range n.definition.children {
		got := counts[ch.name]
		total += got
		if n.total == nil && !ch.holds(got) {
			c.errorf(n.source.pos, n.name, "%s takes %s %s, not %d", n.name, ch.span, ch.name, got)
		}
	}
	if n.total != nil && !n.total.holds(total) {
		c.errorf(n.source.pos, n.name, "%s takes %s %s in all, not %d", n.name, *n.total, alternatives(n.childNames()), total)
	}
}

func (s span) holds(n int) bool { return n >= s.min && n <= s.max }

func (s span) String() string {
	switch {
	case s.min == s.max:
		return fmt.Sprintf("exactly %d", s.min)
	case s.min == 0:
		return fmt.Sprintf("at most %d", s.max)
	default:
		return fmt.Sprintf("%d to %d", s.min, s.max)
	}
}
