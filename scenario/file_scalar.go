package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// scalar reads one of the types that are not made of others. A number is taken for a text, as in a header's value,
// because that is what was meant; nothing else is converted.
func (d *decoder) scalar(n *yaml.Node, target any) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, "must be %s, not %s", wanted(target), described(n))
		return
	}
	tag := n.ShortTag()
	switch target := target.(type) {
	case *string:
		if tag == "!!null" || tag == "!!binary" {
			d.fail(n, "must be a text, not %s", described(n))
			return
		}
		*target = n.Value
	case *bool:
		b, err := strconv.ParseBool(n.Value)
		if tag != "!!bool" || err != nil {
			d.fail(n, "must be true or false, not %s", described(n))
			return
		}
		*target = b
	case *int:
		i, err := strconv.Atoi(n.Value)
		if tag != "!!int" || err != nil {
			d.fail(n, "must be a whole number, not %s", described(n))
			return
		}
		*target = i
	case *time.Duration:
		x, err := time.ParseDuration(n.Value)
		switch {
		case n.Value == "0":
		case err != nil:
			d.fail(n, "must be a duration such as 500ms, 2s or 1m, not %s", quoted(n.Value))
		case x < 0 || x > maxDuration:
			d.fail(n, "must be a duration from 0s to %v", maxDuration)
		default:
			*target = x
		}
	default:
		panic(fmt.Sprintf("no way to read a %T", target))
	}
}

// maxDuration bounds every time that a scenario may name.
const maxDuration = time.Hour

func wanted(target any) string {
	switch target.(type) {
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *time.Duration:
		return "a duration such as 2s"
	}
	return "a text"
}

// resolved follows an alias to what it stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func described(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.ShortTag() == "!!null" {
		return "nothing"
	}
	return quoted(n.Value)
}

// quoted quotes what stands in a file for a message.
func quoted(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return strconv.Quote(s)
}

// alternatives joins names as a sentence does: "udp or tcp".
func alternatives(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// didYouMean is the tail of a message about a name that is not known; empty when none is near.
func didYouMean(name string, known []string) string {
	if len(name) > 100 {
		return ""
	}
	best, least := "", 2+min(2, len(name)/3)
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best
}
