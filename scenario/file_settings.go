package scenario

import (
	"errors"
	"strings"

	"github.com/callengine/callengine/node"
	"go.yaml.in/yaml/v3"
)

// settings is a part of the node's configuration, as it was written.
type settings struct{ node *yaml.Node }

func (s *settings) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold keys of the configuration, not %s", described(n))
		return
	}
	s.node = n
	before := len(d.errs)
	var note func(n *yaml.Node)
	note = func(n *yaml.Node) {
		switch n.Kind {
		case yaml.AliasNode: // it would be copied, perhaps without end
			d.fail(n, "an alias cannot stand in settings")
		case yaml.ScalarNode:
			d.uses(n, n.Value)
		}
		for _, child := range n.Content {
			note(child)
		}
	}
	note(n)
	if len(d.errs) > before {
		return
	}
	// With every address in its place the settings must be a configuration.
	_, err := s.config(d.file, everyAddress(), timers{})
	for _, wrong := range reasonsOf(err) {
		at := nameOf(n, wrong.Key)
		switch {
		case at != nil:
		case wrong.Line > 0:
			at = firstInLine(n, wrong.Line)
		default:
			at = n
		}
		reason := wrong.Reason
		if wrong.Key != "" {
			reason = wrong.Key + ": " + reason
		}
		d.fail(at, "%s", reason)
	}
}

// everyAddress has an address for each of the placeholders that settings may need.
func everyAddress() addresses {
	return addresses{
		"app": "http://127.0.0.1:1", "websocket": "ws://127.0.0.1:1", "initiate": "http://127.0.0.1:1", "status": "http://127.0.0.1:1",
		"speech": "http://127.0.0.1:1", "hearing": "ws://127.0.0.1:1", "node": "127.0.0.1:1", "phone": "sip:phone@127.0.0.1:1",
	}
}

// reasonsOf returns what is wrong with a configuration.
func reasonsOf(err error) []*node.ConfigError {
	var all []*node.ConfigError
	for _, e := range severalOf(err) {
		var wrong *node.ConfigError
		if !errors.As(e, &wrong) {
			wrong = &node.ConfigError{Reason: e.Error()}
		}
		all = append(all, wrong)
	}
	return all
}

// severalOf returns the errors that were joined in one.
func severalOf(err error) []error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}

// firstInLine finds the first node that stands in a line.
func firstInLine(n *yaml.Node, line int) *yaml.Node {
	best := &yaml.Node{Line: line, Column: 1}
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		if n.Line == line && (best.Column == 1 || n.Column < best.Column) {
			best = n
		}
		for _, child := range n.Content {
			look(child)
		}
	}
	look(n)
	return best
}

func (s *settings) schema(*schema) map[string]any { return map[string]any{"type": "object"} }

// config is the node's configuration: what a scenario needs, with its timers, and over it what the settings say.
func (s *settings) config(f *File, a addresses, t timers) (node.Config, error) {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	application := map[string]string{
		"id": "application", "call_initiated_callback_url": a["initiate"], "call_status_callback_url": a["status"],
	}
	if t.Callback > 0 {
		application["callback_timeout"] = t.Callback.String()
	}
	type setting struct {
		key   string
		value any
	}
	bases := []setting{
		{"sip.listen", []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"}},
		{"api.listen", "127.0.0.1:0"},
		{"media.tts", map[string]string{"engine": "http", "url": a["speech"]}},
		{"media.stt", map[string]string{"engine": "websocket", "url": a["hearing"]}},
		{"applications", []any{application}},
		{"drain_timeout", "1h"},
		{"state.dir", ""},
	}
	for key, value := range t.keys() {
		bases = append(bases, setting{key, value.String()})
	}
	for _, base := range bases {
		var value yaml.Node
		if err := value.Encode(base.value); err != nil {
			return node.Config{}, err
		}
		put(root, strings.Split(base.key, "."), &yaml.Node{}, &value)
	}
	if s.node != nil {
		for _, what := range []string{"tts", "stt"} {
			if engine := lookUp(s.node, "media."+what+".engine"); engine != nil {
				put(root, []string{"media", what, "url"}, engine, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"})
			}
		}
		merge(root, s.node, a)
	}
	cfg, _, err := node.LoadConfig(node.ConfigSource{File: f.Path, Settings: root})
	return cfg, err
}

// lookUp finds a key that may be written with dots.
func lookUp(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if name == key {
			return n.Content[i+1]
		}
		if rest, ok := strings.CutPrefix(key, name+"."); ok {
			if found := lookUp(n.Content[i+1], rest); found != nil {
				return found
			}
		}
	}
	return nil
}

// nameOf finds where a key stands, written with dots or not; of one in a list, where the list does. nil: nowhere.
func nameOf(n *yaml.Node, key string) *yaml.Node {
	key, _, _ = strings.Cut(key, "[")
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if name.Value == key {
			return name
		}
		if rest, ok := strings.CutPrefix(key, name.Value+"."); ok {
			if found := nameOf(n.Content[i+1], rest); found != nil {
				return found
			}
		}
	}
	return nil
}

// merge lays the keys of one mapping over another, with addresses in place of placeholders. Keys with dots are paths.
func merge(into, from *yaml.Node, a addresses) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		name, value := from.Content[i], from.Content[i+1]
		path := strings.Split(name.Value, ".")
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			merge(section(into, path, name), value, a)
			continue
		}
		put(into, path, name, expanded(value, a))
	}
}

// section finds or makes the mapping at a path.
func section(into *yaml.Node, path []string, at *yaml.Node) *yaml.Node {
	for _, step := range path {
		found := valueOf(into, step)
		if found == into || found.Kind != yaml.MappingNode {
			found = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
			put(into, []string{step}, at, found)
		}
		into = found
	}
	return into
}

// put sets the value at a path.
func put(into *yaml.Node, path []string, at, value *yaml.Node) {
	into = section(into, path[:len(path)-1], at)
	last := path[len(path)-1]
	for i := 0; i+1 < len(into.Content); i += 2 {
		if into.Content[i].Value == last {
			into.Content[i] = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last, Line: at.Line, Column: at.Column}
			into.Content[i+1] = value
			return
		}
	}
	into.Content = append(into.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last, Line: at.Line, Column: at.Column}, value)
}

// expanded is a copy with addresses in place of placeholders.
func expanded(n *yaml.Node, a addresses) *yaml.Node {
	c := *n
	c.Content = nil
	if n.Kind == yaml.ScalarNode {
		c.Value = a.in(text(n.Value))
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			c.Content = append(c.Content, child)
			continue
		}
		c.Content = append(c.Content, expanded(child, a))
	}
	return &c
}
