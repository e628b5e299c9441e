package scenario

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mapping is a mapping of YAML being made.
type mapping struct{ n *yaml.Node }

func newMapping() mapping { return mapping{&yaml.Node{Kind: yaml.MappingNode}} }

func (m mapping) add(name string, value any) { m.with(name, value) }

func (m mapping) addIf(name string, value mapping) {
	if len(value.n.Content) > 0 {
		m.add(name, value.n)
	}
}

// with adds a key: a node as it is, everything else as YAML writes it.
func (m mapping) with(name string, value any) mapping {
	n, ok := value.(*yaml.Node)
	if !ok {
		n = &yaml.Node{}
		if err := n.Encode(value); err != nil {
			n.SetString(fmt.Sprint(value))
		}
		switch v := value.(type) {
		case json.Number:
			n.Tag, n.Style = "!!int", 0
		case string:
			if strings.Contains(v, "\n") {
				n.SetString(v)
			}
		}
	}
	key := &yaml.Node{}
	key.SetString(name)
	m.n.Content = append(m.n.Content, key, n)
	return m
}

func (m mapping) get(name string) *yaml.Node {
	if found := valueOf(m.n, name); found != m.n {
		return found
	}
	return nil
}

// texts is a list in one line; one of a single text is the text.
func texts(list []string) *yaml.Node {
	n := listOf(list)
	if len(n.Content) == 1 {
		return n.Content[0]
	}
	return n
}

// listOf is a list in one line.
func listOf(list []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, s := range list {
		item := &yaml.Node{}
		item.SetString(escapedText(s))
		n.Content = append(n.Content, item)
	}
	return n
}
