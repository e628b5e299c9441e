package verbs

import (
	"math"
	"strconv"
	"time"

	"github.com/callengine/callengine/webhook"
)

// node is an element whose own attributes and text have been checked. Values that were not valid are missing in it.
type node struct {
	*definition
	source   *element
	given    map[string]given // by name; nil: none
	text     string           // trimmed
	children []*node
	speech   Speech // of a SpeakSentence
}

// given is the value of an attribute, in the letter case of the tables, and where its name stands.
type given struct {
	value string
	pos   Position
}

func (n *node) heading() heading { return heading{n.name, n.source.pos} }

// has reports whether an attribute was given.
func (n *node) has(name string) bool {
	_, ok := n.given[name]
	return ok
}

// at returns where an attribute stands that was given.
func (n *node) at(name string) Position { return n.given[name].pos }

// str returns an attribute's value, or its default.
func (n *node) str(name string) string {
	if v, ok := n.given[name]; ok {
		return v.value
	}
	if a := n.attribute(name); a != nil && a.initial != nil {
		return *a.initial
	}
	return ""
}

// optional returns an attribute's value, nil when it was not given.
func (n *node) optional(name string) *string {
	if v, ok := n.given[name]; ok {
		return &v.value
	}
	return nil
}

func (n *node) boolean(name string) bool { return n.str(name) == "true" }

func (n *node) number(name string) float64 {
	v, err := strconv.ParseFloat(n.str(name), 64)
	if err != nil {
		return 0 // the value was refused
	}
	return v
}

// duration returns a number with a unit, up to 146 years.
func (n *node) duration(name string) time.Duration {
	return time.Duration(math.Round(min(n.number(name)*float64(n.attribute(name).unit), 1<<62)))
}

// auth returns the credentials of two attributes, nil when neither is given. A password without a user name has an
// empty one (docs/bxml.md).
func (n *node) auth(username, password string) *webhook.BasicAuth {
	if n.str(username) == "" && n.str(password) == "" {
		return nil
	}
	return &webhook.BasicAuth{Username: n.str(username), Password: n.str(password)}
}

// childText returns the text of the first nested tag of that name.
func (n *node) childText(name string) string {
	for _, ch := range n.children {
		if ch.name == name {
			return ch.text
		}
	}
	return ""
}
