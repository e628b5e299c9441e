package verbs

import (
	"errors"
	"net/url"
	"strings"

	"github.com/callengine/callengine/webhook"
)

// Config is what users set of the language.
type Config struct {
	// Voices are further voices. One with the name of a default voice replaces it.
	Voices []Voice
}

// Parser reads BXML documents. It is immutable and may be used by many goroutines at once.
type Parser struct {
	tags   map[string]*definition
	names  []string // of all tags, in the order of the registry
	verbs  []string // of those that may stand under the root
	voices []Voice
}

// NewParser returns a parser that knows the default voices and those of cfg.
func NewParser(cfg Config) *Parser {
	p := &Parser{tags: map[string]*definition{}, voices: mergeVoices(DefaultVoices(), cfg.Voices)}
	for _, d := range registry() {
		p.tags[d.name] = d
		p.names = append(p.names, d.name)
		if !d.nested {
			p.verbs = append(p.verbs, d.name)
		}
	}
	return p
}

// Document is a BXML document that has been read.
type Document struct {
	Verbs    []Verb // in document order; none: an empty document, which hangs up
	Warnings []Warning
}

// Place is where a document runs, which decides about the verbs that it may hold.
type Place int

const (
	OnCall           Place = iota // on a call
	OnTransferAnswer              // on the called party of a Transfer, before the two are joined
	OnConference                  // on a conference
)

// Parse reads a document that runs on a call and checks it whole (docs/bxml.md). base is the URL that returned the
// document; empty: not known, and relative URLs are taken as they are.
//
// A document that is not valid BXML gives [SyntaxErrors]; the document returned along with them has no verbs, only the
// warnings. The only other error is a base that is not an absolute URL; there is no document then.
func (p *Parser) Parse(body []byte, base string) (*Document, error) {
	return p.ParseIn(OnCall, body, base)
}

// ParseIn is [Parser.Parse] for a document that runs elsewhere.
func (p *Parser) ParseIn(place Place, body []byte, base string) (*Document, error) {
	c := &checker{parser: p, place: place}
	if base != "" {
		u, err := url.Parse(base)
		if err != nil || !u.IsAbs() {
			return nil, errors.New("the URL that returned the document is not an absolute URL: " + quote(base))
		}
		c.base = u
	}
	verbs := c.document(body)
	c.sort()
	if len(c.errors) > 0 {
		return &Document{Warnings: c.warnings}, c.errors
	}
	return &Document{Verbs: verbs, Warnings: c.warnings}, nil
}

// document reads and checks a document; what it returns counts only when no errors were found.
func (c *checker) document(body []byte) []Verb {
	if len(body) > webhook.MaxReply {
		c.errorf(Position{1, 1}, "", "the document is larger than %d bytes", webhook.MaxReply)
		return nil
	}
	text, err := decode(body)
	if err != nil {
		c.errors = append(c.errors, err)
		return nil
	}
	if strings.Trim(text, xmlSpace) == "" {
		return nil
	}
	root, found := readXML(text)
	c.errors = append(c.errors, found.errors...)
	if root == nil {
		return nil
	}
	return c.root(root)
}

// rootNames are the names that the root may have; both mean the same (docs/bxml.md).
var rootNames = []string{"Response", "Bxml"}

func (c *checker) root(root *element) []Verb {
	if root.name != rootNames[0] && root.name != rootNames[1] {
		c.errorf(root.pos, root.name, "the root must be %s, not %s%s", alternatives(rootNames), shorten(root.name), didYouMean(root.name, rootNames))
		return nil
	}
	for _, a := range root.attributes {
		if a.name != "xmlns" {
			c.unknownAttribute(root, a, nil)
		}
	}
	var verbs []Verb
	for _, part := range root.content {
		switch {
		case part.child == nil:
			if strings.Trim(part.text, xmlSpace) != "" {
				c.errorf(part.pos, root.name, "text may not stand directly in %s", root.name)
			}
		default:
			if v := c.verb(part.child); v != nil {
				verbs = append(verbs, v)
			}
		}
	}
	return verbs
}

// verb checks an element under the root.
func (c *checker) verb(e *element) Verb {
	d := c.parser.tags[e.name]
	switch {
	case d == nil:
		c.errorf(e.pos, e.name, "unknown verb %s%s", shorten(e.name), didYouMean(e.name, c.parser.verbs))
		return nil
	case d.nested:
		c.errorf(e.pos, e.name, "%s may stand only in %s", d.name, alternatives(c.parser.parents(d)))
		return nil
	case c.place == OnTransferAnswer && !d.inTransferAnswer:
		c.errorf(e.pos, e.name, "%s may not stand in a document for the called party of a Transfer", d.name)
		return nil
	case c.place == OnConference && !d.inConference:
		c.errorf(e.pos, e.name, "%s may not stand in a document for a conference", d.name)
		return nil
	}
	n := c.element(e, d)
	if d.read == nil {
		return &unsupported{n.heading()}
	}
	return d.read(n)
}

// parents returns the names of the tags in which a nested one may stand.
func (p *Parser) parents(d *definition) []string {
	var names []string
	for _, name := range p.names {
		if p.tags[name].child(d.name) != nil {
			names = append(names, name)
		}
	}
	return names
}
