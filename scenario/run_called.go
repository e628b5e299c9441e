package scenario

import "slices"

// judgeCalled looks at the calls that a destination got. They are not the node's: its journal has nothing of them.
func (r *run) judgeCalled(name string, c called) {
	var invites []*Message
	seen := map[string]bool{}
	for _, m := range r.destinations[name].Received("INVITE") {
		if m.IsRequest() && m.Tag("To") == "" && !seen[m.CallID()] {
			seen[m.CallID()] = true
			invites = append(invites, m)
		}
	}
	by := setting(c.position, "times", len(invites))
	switch {
	case c.Times != nil && len(invites) > *c.Times:
		r.differ(by, c.position, r.last(), "%s was called %s, and must be %s", name, times(len(invites)), times(*c.Times))
		return
	case c.Times != nil && len(invites) < *c.Times:
		r.missingCall(by, c, "%s was called %s, and must be %s", name, times(len(invites)), times(*c.Times))
		return
	case c.Times == nil && len(invites) == 0:
		r.missingCall(by, c, "%s was not called", name)
		return
	case len(invites) == 0 || len(c.Headers) == 0:
		return
	}
	why := ""
	fits := func(m *Message) bool {
		for i := range c.Headers {
			h := &c.Headers[i]
			if why = r.textDiffers("the "+h.name+" of the INVITE to "+name, &h.matcher, m.Get(h.name)); why != "" {
				return false
			}
		}
		return true
	}
	if !slices.ContainsFunc(invites, fits) {
		r.missingCall(nil, c, "%s", why)
	}
}

func (r *run) missingCall(by fix, c called, format string, args ...any) {
	r.missing(by, c.position, r.last(), format, args...)
}
