package verbs

import (
	"strings"
)

// maxDepth is how deep elements may be nested. BXML needs three levels, and SSML as many as somebody cares to write.
const maxDepth = 64

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

// element is an element of a document as it was written.
type element struct {
	name       string
	pos        Position // of its "<"
	attributes []xmlAttribute
	content    []xmlContent
	namespaces map[string]string // prefixes in scope; shared with the parent unless the element declares one
}

type xmlAttribute struct {
	name, value string
	pos         Position // of its name
}

// xmlContent is a nested element, or text when child is nil.
type xmlContent struct {
	child *element
	text  string
	pos   Position // of the text's first character that is not white space
}

// text returns the text that stands directly in the element, trimmed (docs/bxml.md).
func (e *element) text() string {
	var all strings.Builder
	for _, c := range e.content {
		all.WriteString(c.text)
	}
	return strings.Trim(all.String(), xmlSpace)
}

// xmlReader reads one document. It is a reader of its own because the one of the standard library knows no positions
// of attributes and lets two roots, text after the root, duplicate attributes and undeclared prefixes through. It has
// no entities but the five predefined ones and no document types, so that nothing in a document can grow or be fetched.
type xmlReader struct {
	text   string
	off    int
	cursor cursor
	root   *element
	open   []*element
	findings
}

// readXML returns the root element of a document. Without one (root is nil), or when the document is not well-formed,
// the findings hold the reason.
func readXML(text string) (*element, findings) {
	r := &xmlReader{text: text, cursor: cursor{text: text, pos: Position{1, 1}}}
	if !r.document() {
		r.root = nil
	}
	return r.root, r.findings
}

// document reads everything and reports whether it got to the end: errors after which the rest can still be understood
// are collected without an end to the reading.
func (r *xmlReader) document() bool {
	if strings.HasPrefix(r.text, "<?xml") && !isNameChar(runeAt(r.text[len("<?xml"):])) && !r.declaration() {
		return false
	}
	for r.off < len(r.text) {
		rest := r.text[r.off:]
		var ok bool
		switch {
		case strings.HasPrefix(rest, "<!--"):
			ok = r.comment()
		case strings.HasPrefix(rest, "<![CDATA["):
			ok = r.cdata()
		case strings.HasPrefix(rest, "<!"):
			ok = r.markupDeclaration()
		case strings.HasPrefix(rest, "<?"):
			ok = r.instruction()
		case strings.HasPrefix(rest, "</"):
			ok = r.endTag()
		case rest[0] == '<':
			ok = r.startTag()
		default:
			ok = r.characters()
		}
		if !ok {
			return false
		}
	}
	if n := len(r.open); n > 0 {
		return r.fail(r.open[n-1].pos, "the element is not closed: </%s> is missing", shorten(r.open[n-1].name))
	}
	if r.root == nil {
		return r.fail(r.here(), "the document has no root element")
	}
	return true
}

// here returns the position at which the reader is.
func (r *xmlReader) here() Position { return r.cursor.position(r.off) }

// current returns the innermost open element; nil outside the root.
func (r *xmlReader) current() *element {
	if len(r.open) == 0 {
		return nil
	}
	return r.open[len(r.open)-1]
}

// report notes an error about the element that is being read.
func (r *xmlReader) report(at Position, format string, args ...any) {
	name := ""
	if e := r.current(); e != nil {
		name = e.name
	}
	r.errorf(at, name, format, args...)
}

// fail reports an error after which the rest of the document cannot be understood.
func (r *xmlReader) fail(at Position, format string, args ...any) bool {
	r.report(at, format, args...)
	return false
}

// skip moves behind end and returns what was before it.
func (r *xmlReader) skip(start, end string) (inner string, ok bool) {
	inner, _, ok = strings.Cut(r.text[r.off+len(start):], end)
	if ok {
		r.off += len(start) + len(inner) + len(end)
	}
	return inner, ok
}

func (r *xmlReader) comment() bool {
	at := r.here()
	inner, ok := r.skip("<!--", "-->")
	if !ok {
		return r.fail(at, "the comment is not closed: --> is missing")
	}
	if strings.Contains(inner, "--") || strings.HasSuffix(inner, "-") {
		r.report(at, "a comment may not hold --")
	}
	return true
}

func (r *xmlReader) cdata() bool {
	at := r.here()
	inner, ok := r.skip("<![CDATA[", "]]>")
	if !ok {
		return r.fail(at, "the CDATA section is not closed: ]]> is missing")
	}
	if r.current() == nil {
		return r.fail(at, "text may not stand outside the root element")
	}
	r.append(inner, at)
	return true
}

func (r *xmlReader) markupDeclaration() bool {
	if strings.HasPrefix(strings.ToUpper(r.text[r.off:min(len(r.text), r.off+9)]), "<!DOCTYPE") {
		return r.fail(r.here(), "a document type declaration (DOCTYPE) is not allowed")
	}
	return r.fail(r.here(), "<! begins neither a comment nor a CDATA section")
}

func (r *xmlReader) instruction() bool {
	at := r.here()
	inner, ok := r.skip("<?", "?>")
	if !ok {
		return r.fail(at, "the processing instruction is not closed: ?> is missing")
	}
	switch name := nameAt(inner); {
	case strings.EqualFold(name, "xml"):
		return r.fail(at, "the XML declaration may only stand at the very start of the document")
	case name == "" || len(inner) > len(name) && !isSpace(inner[len(name)]):
		return r.fail(at, "the processing instruction has no name")
	}
	return true
}

// characters reads text up to the next "<".
func (r *xmlReader) characters() bool {
	from, inside := r.off, r.current() != nil
	r.space()
	if r.off == len(r.text) || r.text[r.off] == '<' {
		if inside {
			r.append(r.text[from:r.off], Position{})
		}
		return true
	}
	first := r.here()
	if !inside {
		return r.fail(first, "text may not stand outside the root element")
	}
	r.off = from
	var text strings.Builder
	for r.off < len(r.text) && r.text[r.off] != '<' {
		switch {
		case r.text[r.off] == '&':
			text.WriteString(r.reference())
		case strings.HasPrefix(r.text[r.off:], "]]>"):
			r.report(r.here(), "]]> may not stand in text; write ]]&gt;")
			text.WriteString("]]>")
			r.off += len("]]>")
		default:
			text.WriteString(r.until("<&]"))
		}
	}
	r.append(text.String(), first)
	return true
}

// until returns the next character, and those behind it up to the first of ends.
func (r *xmlReader) until(ends string) string {
	run := r.text[r.off:]
	if n := strings.IndexAny(run[1:], ends); n >= 0 {
		run = run[:1+n]
	}
	r.off += len(run)
	return run
}

func (r *xmlReader) append(text string, at Position) {
	e := r.current()
	e.content = append(e.content, xmlContent{text: text, pos: at})
}
