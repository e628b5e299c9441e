package verbs

import "time"

// definition is what the language says of one tag: its row in the specification's tables. [registry] lists them all.
type definition struct {
	name       string
	attributes []attribute
	text       text
	children   []child
	total      *span // of all nested tags together; nil: what children say is enough
	nested     bool  // stands only in the tags that list it as a child

	inTransferAnswer bool // may stand in a document for the called party of a Transfer
	inConference     bool // may stand in a document that a conference runs

	// misspellings are names that published libraries write for an attribute. "" has no effect; "$text" stands in for
	// an empty text.
	misspellings map[string]string

	// check applies the rules that concern more than one attribute. May be nil.
	check func(c *checker, n *node)
	// read makes the verb; what it makes of an invalid document is dropped. nil: the verb is checked only.
	read func(n *node) Verb
}

// textName is what misspellings and credentials call an element's text.
const textName = "$text"

// span is how many nested tags there may be.
type span struct{ min, max int }

// child is a tag that may be nested.
type child struct {
	name string
	span
	bare bool // its attributes have no effect here
}

// text is what may stand between the tags of an element.
type text struct {
	need   need
	format format // of the trimmed text; empty: any
}

type need int

const (
	noText need = iota
	optionalText
	requiredText
	mixedText // text with SSML tags; required
)

// kind is the type of an attribute's value.
type kind string

const (
	kindURL     kind = "url"   // http, https or relative
	kindWSURL   kind = "wsUrl" // ws or wss
	kindEnum    kind = "enum"
	kindString  kind = "string"
	kindInteger kind = "integer"
	kindNumber  kind = "number"
	kindBoolean kind = "boolean"
)

// attribute is one row of a tag's attribute table, made by the functions below.
type attribute struct {
	name          string
	kind          kind
	required      bool
	initial       *string  // the value it has when it is not given; nil: none
	values        []string // of an enum
	anyCase       bool     // of an enum
	min, max      *float64
	unit          time.Duration
	maxLength     int // in characters; 0: no limit
	format        format
	secret        bool
	sentTo        []string // credentials: the URLs that they go to
	requiresHTTPS bool     // these URLs have to be https
}

func urlAttr(name string) attribute     { return attribute{name: name, kind: kindURL} }
func wsAttr(name string) attribute      { return attribute{name: name, kind: kindWSURL} }
func stringAttr(name string) attribute  { return attribute{name: name, kind: kindString} }
func integerAttr(name string) attribute { return attribute{name: name, kind: kindInteger} }
func numberAttr(name string) attribute  { return attribute{name: name, kind: kindNumber} }

func booleanAttr(name, initial string) attribute {
	return attribute{name: name, kind: kindBoolean}.or(initial)
}

// methodAttr is an HTTP method, in any letter case (docs/bxml.md).
func methodAttr(name string) attribute {
	a := enumAttr(name, "GET", "POST").or("POST")
	a.anyCase = true
	return a
}

func enumAttr(name string, values ...string) attribute {
	return attribute{name: name, kind: kindEnum, values: values}
}

// tagAttr is the new tag of the call (docs/bxml.md).
func tagAttr() attribute { return stringAttr("tag").upTo(maxTag) }

// userAttr and passwordAttr are the two halves of the credentials that go to some of the element's URLs.
func userAttr(name string, sentTo ...string) attribute {
	return attribute{name: name, kind: kindString, sentTo: sentTo}
}

func passwordAttr(name string, sentTo ...string) attribute {
	return attribute{name: name, kind: kindString, sentTo: sentTo, secret: true}
}

func (a attribute) needed() attribute {
	a.required = true
	return a
}

func (a attribute) or(initial string) attribute {
	a.initial = &initial
	return a
}

func (a attribute) atLeast(n float64) attribute {
	a.min = &n
	return a
}

func (a attribute) atMost(n float64) attribute {
	a.max = &n
	return a
}

func (a attribute) in(unit time.Duration) attribute {
	a.unit = unit
	return a
}

func (a attribute) upTo(characters int) attribute {
	a.maxLength = characters
	return a
}

func (a attribute) as(f format) attribute {
	a.format = f
	return a
}

// overHTTPS makes credentials forbid any other URL (docs/bxml.md).
func (a attribute) overHTTPS() attribute {
	a.requiresHTTPS = true
	return a
}

// attributeNames returns the names of a tag's attributes.
func (d *definition) attributeNames() []string {
	names := make([]string, len(d.attributes))
	for i, a := range d.attributes {
		names[i] = a.name
	}
	return names
}

// attribute returns the row of an attribute; nil when there is none.
func (d *definition) attribute(name string) *attribute {
	for i := range d.attributes {
		if d.attributes[i].name == name {
			return &d.attributes[i]
		}
	}
	return nil
}

// child returns what the tag says of a nested one; nil when it may not stand there.
func (d *definition) child(name string) *child {
	for i := range d.children {
		if d.children[i].name == name {
			return &d.children[i]
		}
	}
	return nil
}

// childNames returns the names of the tags that may be nested.
func (d *definition) childNames() []string {
	names := make([]string, len(d.children))
	for i, ch := range d.children {
		names[i] = ch.name
	}
	return names
}
