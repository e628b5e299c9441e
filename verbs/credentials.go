package verbs

import "strings"

// credentials looks at the URLs that credentials go to, with attributes or as user information: where they would go
// unencrypted, the verbs about recordings, streams and transcriptions are not valid, and the others get a warning
// (docs/bxml.md).
func (c *checker) credentials(n *node) {
	required := false
	exposed := map[string]bool{}
	for _, row := range n.definition.attributes {
		required = required || row.requiresHTTPS
		if n.str(row.name) == "" {
			continue
		}
		for _, name := range row.sentTo {
			exposed[name] = exposed[name] || c.exposes(n, name, false)
		}
		if row.kind == kindURL || row.kind == kindWSURL {
			exposed[row.name] = exposed[row.name] || c.exposes(n, row.name, true)
		}
	}
	for _, row := range n.definition.attributes {
		if !exposed[row.name] {
			continue
		}
		if required && row.kind == kindURL {
			c.errorf(n.at(row.name), n.name, "%s must be https, because it gets credentials", row.name)
		} else {
			c.warnf(n.at(row.name), n.name, "%s gets credentials without encryption", row.name)
		}
	}
	if n.definition.text.format.name == formatURL.name && (exposed[textName] || n.text != "" && c.exposes(n, textName, true)) {
		c.warnf(n.source.pos, n.name, "the URL gets credentials without encryption")
	}
}

// exposes reports whether a URL of the element is unencrypted, and, if asked for, holds credentials itself.
func (c *checker) exposes(n *node, name string, withUser bool) bool {
	value := n.given[name].value
	if name == textName {
		value = n.text
	}
	if value == "" {
		return false
	}
	if withUser && !strings.Contains(value, "@") && (c.base == nil || c.base.User == nil) {
		return false // it can have no user, and need not be read to tell
	}
	u := c.resolve(value)
	return u != nil && insecure(u) && (!withUser || u.User != nil)
}
