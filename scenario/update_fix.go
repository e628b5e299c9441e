package scenario

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/callengine/callengine/state"
	"go.yaml.in/yaml/v3"
)

// fix has a file expect what happened in place of something else; false: it could not.
type fix func(u *edit) bool

// or tries another fix where the first one cannot do it.
func (f fix) or(other fix) fix {
	if f == nil {
		return other
	}
	return func(u *edit) bool { return f(u) || other(u) }
}

// alike returns the fix that makes a plain value in a matcher that of what came; nil: that is not what differs.
func alike(a addresses, m *matcher, got any, there bool) fix {
	switch {
	case m.operator == "equals":
		return alike(a, m.inner, got, there)
	case !there || got == nil || m.operator != "":
		return nil
	case m.isList:
		items, _ := got.([]any)
		for i := range m.list {
			if len(items) == len(m.list) && m.list[i].differs(items[i], true, a) != "" {
				return alike(a, &m.list[i], items[i], true)
			}
		}
		return nil
	case m.isObject:
		return m.object.alike(a, got)
	}
	at := m.position
	return func(u *edit) bool { return u.scalar(u.at(at), got) }
}

// alike is alike for the first property that differs.
func (p properties) alike(a addresses, got any) fix {
	object, _ := got.(map[string]any)
	for i := range p {
		value, there := lookedUp(object, p[i].name)
		if p[i].matcher.differs(value, there, a) != "" {
			return alike(a, &p[i].matcher, value, there)
		}
	}
	return nil
}

// likeEntry returns the fix that makes an expectation fit an entry of the journal which is of its kind.
func (r *run) likeEntry(e *expectation, i int) fix {
	otherwise := regenerating("order")
	if slices.ContainsFunc(r.spec.Expect.Anywhere, func(a expectation) bool { return a.position == e.position }) {
		otherwise = removing(e.position)
	}
	return r.differing(e, &r.journal[i], i).or(otherwise)
}

// differing is the fix of what differs first between an expectation and an entry.
func (r *run) differing(e *expectation, entry *state.Entry, i int) fix {
	text := func(m *matcher, got string) fix {
		if m == nil || m.differs(headerText(got), got != "", r.addresses) == "" {
			return nil
		}
		return alike(r.addresses, m, headerText(got), got != "")
	}
	var all []fix
	switch {
	case entry.SIP != nil:
		m, err := ParseMessage([]byte(entry.SIP.Raw))
		if err != nil {
			return nil
		}
		all = append(all, text(e.URI, m.RequestURI()))
		for i := range e.Headers {
			all = append(all, text(&e.Headers[i].matcher, m.Get(e.Headers[i].name)))
		}
		all = append(all, text(e.Body, string(m.Body)))
	case entry.Webhook != nil:
		event, _ := object(json.RawMessage(entry.Webhook.Body))
		if e.Method != "" && e.Method != entry.Webhook.Method {
			all = append(all, setting(e.position, "method", entry.Webhook.Method))
		}
		all = append(all, e.With.alike(r.addresses, event), text(e.URL, entry.Webhook.URL))
		if status := r.replyStatus(i); e.Reply != nil && e.Reply.differs(status, true, r.addresses) != "" {
			all = append(all, alike(r.addresses, e.Reply, status, true))
		}
	case entry.Verb != nil:
		all = append(all, text(e.Error, entry.Verb.Error))
	case entry.Call != nil:
		all = append(all, text(e.Cause, entry.Call.Cause))
	case entry.Media != nil:
		all = append(all, text(e.Sound, entry.Media.Detail))
	}
	for _, f := range all {
		if f != nil {
			return f
		}
	}
	return nil
}

// setting is the fix that gives a key of an object another value.
func setting(at position, key string, value any) fix {
	return func(u *edit) bool {
		n := u.at(at)
		if n != nil && n.Kind == yaml.MappingNode {
			found := valueOf(n, key)
			if found == n {
				return false
			}
			n = found
		}
		return u.scalar(resolved(n), value)
	}
}

// roughly is a bound for a time that is never quite the same: a part of it, in tenths of a second.
func roughly(d time.Duration, over, under time.Duration) time.Duration {
	const tenth = 100 * time.Millisecond
	bound := (d * over / under).Truncate(tenth)
	if over > under {
		bound += tenth
	}
	return bound
}

// removing is the fix that takes an item out of its list.
func removing(at position) fix {
	return func(u *edit) bool {
		item := u.at(at)
		for key, value := range u.expectations() {
			if i := slices.Index(value.Content, item); item != nil && value.Kind == yaml.SequenceNode && i >= 0 {
				value.Content = slices.Delete(value.Content, i, i+1)
				if len(value.Content) == 0 {
					value = nil
				}
				return u.expect(key, value)
			}
		}
		return false
	}
}

// regenerating is the fix that makes a key of expect anew from what happened; "": all of it.
func regenerating(key string) fix {
	return func(u *edit) bool {
		x := newExport(u.run.journal)
		made := x.exportExpectations()
		if made.get("webhooks") == nil {
			var names []string
			for _, e := range x.entries {
				if e.Webhook != nil && e.Webhook.Event == state.WebhookRequest {
					names = append(names, e.Webhook.EventType)
				}
			}
			if key == "webhooks" {
				made.add("webhooks", listOf(names))
			}
		}
		u.named(made.n)
		if key == "" {
			return u.section("expect", made.n)
		}
		return u.expect(key, made.get(key))
	}
}
