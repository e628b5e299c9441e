package verbs

import (
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"
)

// predefined are the entities that every XML document has (XML 1.0 section 4.6). There are no others: a document type,
// which could define some, is refused.
var predefined = map[string]string{"amp": "&", "lt": "<", "gt": ">", "quot": `"`, "apos": "'"}

// declaration reads the XML declaration. Its encoding was used before the text could be read.
func (r *xmlReader) declaration() bool {
	inner, ok := r.skip("<?xml", "?>")
	if !ok {
		return r.fail(Position{1, 1}, "the XML declaration is not closed: ?> is missing")
	}
	next := []string{"version", "encoding", "standalone"}
	for first := true; strings.Trim(inner, xmlSpace) != ""; first = false {
		rest := strings.TrimLeft(inner, xmlSpace)
		name := nameAt(rest)
		value, after, ok := quotedValue(rest[len(name):])
		for len(next) > 0 && next[0] != name && !first {
			next = next[1:]
		}
		if rest == inner || !ok || len(next) == 0 || next[0] != name || !declares(name, value) {
			return r.fail(Position{1, 1}, `the XML declaration is not understood; write <?xml version="1.0" encoding="UTF-8"?>`)
		}
		next, inner = next[1:], after
	}
	if len(next) == 3 {
		return r.fail(Position{1, 1}, "the XML declaration has no version")
	}
	return true
}

// declares reports whether a part of the XML declaration may have a value.
func declares(name, value string) bool {
	switch name {
	case "version":
		minor, ok := strings.CutPrefix(value, "1.")
		return ok && isDigits(minor)
	case "encoding":
		return value != ""
	default:
		return value == "yes" || value == "no"
	}
}

// quotedValue reads ="value" and returns what follows.
func quotedValue(text string) (value, after string, ok bool) {
	text, ok = strings.CutPrefix(strings.TrimLeft(text, xmlSpace), "=")
	text = strings.TrimLeft(text, xmlSpace)
	if !ok || text == "" || text[0] != '"' && text[0] != '\'' {
		return "", "", false
	}
	return strings.Cut(text[1:], text[:1])
}

func (r *xmlReader) startTag() bool {
	at := r.here()
	name := nameAt(r.text[r.off+1:])
	switch {
	case name == "":
		return r.fail(at, "a name must follow <; write &lt; for the character itself")
	case len(r.open) == 0 && r.root != nil:
		return r.fail(at, "the document has a second root element, %s", shorten(name))
	case len(r.open) == maxDepth:
		return r.fail(at, "elements are nested more than %d deep", maxDepth)
	}
	r.off += 1 + len(name)
	e := &element{name: name, pos: at}
	if parent := r.current(); parent != nil {
		parent.content = append(parent.content, xmlContent{child: e})
		e.namespaces = parent.namespaces
	} else {
		r.root = e
	}
	r.open = append(r.open, e)
	for {
		before := r.off
		r.space()
		rest := r.text[r.off:]
		switch {
		case strings.HasPrefix(rest, ">"):
			r.off++
			r.bindNames(e)
			return true
		case strings.HasPrefix(rest, "/>"):
			r.off += 2
			r.bindNames(e)
			r.open = r.open[:len(r.open)-1]
			return true
		case rest == "" || rest[0] == '<':
			return r.fail(at, "the tag is not closed: > is missing")
		}
		if !r.attribute(e, r.off > before) {
			return false
		}
	}
}

func (r *xmlReader) attribute(e *element, spaced bool) bool {
	at := r.here()
	name := nameAt(r.text[r.off:])
	if name == "" {
		return r.fail(at, "%s may not stand in a tag", quote(string(runeAt(r.text[r.off:]))))
	}
	if !spaced {
		r.report(at, "white space is missing before %s", shorten(name))
	}
	r.off += len(name)
	r.space()
	if !strings.HasPrefix(r.text[r.off:], "=") {
		return r.fail(at, "the attribute %s has no value", shorten(name))
	}
	r.off++
	r.space()
	quotes := runeAt(r.text[r.off:])
	if quotes != '"' && quotes != '\'' {
		return r.fail(at, "the value of %s must stand in quotes", shorten(name))
	}
	r.off++
	var value strings.Builder
	for {
		if r.off == len(r.text) {
			return r.fail(at, "the value of %s is not closed: %c is missing", shorten(name), quotes)
		}
		switch b := r.text[r.off]; {
		case b == byte(quotes):
			r.off++
			e.attributes = append(e.attributes, xmlAttribute{name, value.String(), at})
			return true
		case b == '<':
			return r.fail(at, "the value of %s holds a <; write &lt;, or close the value with %c", shorten(name), quotes)
		case b == '&':
			value.WriteString(r.reference())
		case isSpace(b): // XML 1.0 section 3.3.3
			value.WriteByte(' ')
			r.off++
		default:
			value.WriteString(r.until("<&'\"" + xmlSpace))
		}
	}
}

// reference reads what begins with "&". One that is not understood is reported and stands for itself: what
// it stands in may well be right otherwise.
func (r *xmlReader) reference() string {
	at := r.here()
	name, _, closed := strings.Cut(r.text[r.off+1:min(len(r.text), r.off+40)], ";")
	number, isNumber := strings.CutPrefix(name, "#")
	if !closed || !isNumber && (name == "" || nameAt(name) != name) {
		r.off++
		r.report(at, "& begins no reference; write &amp; for the character itself")
		return "&"
	}
	r.off += 1 + len(name) + 1
	if !isNumber {
		text, ok := predefined[name]
		if !ok {
			r.report(at, "the entity &%s; is not defined; there are amp, lt, gt, quot and apos, and numbers such as &#160;", shorten(name))
			return "&" + name + ";"
		}
		return text
	}
	base := 10
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		number, base = hex, 16
	}
	code, err := strconv.ParseUint(number, base, 32)
	if err != nil || code > utf8.MaxRune || !isChar(rune(code)) {
		r.report(at, "&%s; is no character of XML", shorten(name))
		return "&" + name + ";"
	}
	return string(rune(code))
}

func (r *xmlReader) endTag() bool {
	at := r.here()
	name := nameAt(r.text[r.off+2:])
	e := r.current()
	switch {
	case e == nil:
		return r.fail(at, "</%s> closes nothing", shorten(name))
	case e.name != name:
		return r.fail(at, "</%s> does not close <%s> of line %d", shorten(name), shorten(e.name), e.pos.Line)
	}
	r.off += 2 + len(name)
	r.space()
	if !strings.HasPrefix(r.text[r.off:], ">") {
		return r.fail(at, "the tag is not closed: > is missing")
	}
	r.off++
	r.open = r.open[:len(r.open)-1]
	return true
}

// bindNames applies Namespaces in XML 1.0: prefixes must be declared, and no attribute may stand twice.
func (r *xmlReader) bindNames(e *element) {
	own := false
	for _, a := range e.attributes {
		if prefix, ok := strings.CutPrefix(a.name, "xmlns:"); ok {
			if !own {
				e.namespaces, own = maps.Clone(e.namespaces), true
			}
			if e.namespaces == nil {
				e.namespaces = map[string]string{}
			}
			if a.value == "" || prefix == "xmlns" || (prefix == "xml") != (a.value == xmlNamespace) {
				r.report(a.pos, "the prefix %s may not stand for %s", shorten(prefix), quote(a.value))
			}
			e.namespaces[prefix] = a.value
		}
	}
	r.resolve(e, e.name, e.pos)
	seen := make(map[string]bool, len(e.attributes))
	for _, a := range e.attributes {
		key := r.resolve(e, a.name, a.pos)
		if seen[key] {
			r.report(a.pos, "the attribute %s stands twice", shorten(a.name))
		}
		seen[key] = true
	}
}

// resolve returns a name with its prefix replaced by the namespace, and reports one that has none.
func (r *xmlReader) resolve(e *element, name string, at Position) string {
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		return name
	}
	if prefix == "" || local == "" || strings.Contains(local, ":") || !isNameStart(runeAt(local)) {
		r.report(at, "%s is not a name", shorten(name))
		return name
	}
	namespace, declared := e.namespaces[prefix]
	switch {
	case prefix == "xmlns":
		namespace = "http://www.w3.org/2000/xmlns/"
	case prefix == "xml":
		namespace = xmlNamespace
	case !declared:
		r.report(at, "the prefix %s is not declared", shorten(prefix))
	}
	return namespace + " " + local
}

func (r *xmlReader) space() {
	for r.off < len(r.text) && isSpace(r.text[r.off]) {
		r.off++
	}
}

// runeAt returns the first character of text; U+FFFD when there is none.
func runeAt(text string) rune {
	c, _ := utf8.DecodeRuneInString(text)
	return c
}
