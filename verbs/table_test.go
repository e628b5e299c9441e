package verbs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// specTag is a tag as testdata/verbs.json describes it (docs/bxml.md).
type specTag struct {
	Attributes           map[string]specAttribute
	Text                 *string
	TextFormat           string
	Children             map[string]specChild
	ChildrenTotal        *specSpan
	Parents              []string
	TopLevel             bool
	InsideGather         bool
	InsideConference     bool
	InsideTransferAnswer bool
	AnswersCall          any
	Misspellings         map[string]*string
	SSML                 map[string]map[string]any
}

type specAttribute struct {
	Type             string
	Required         bool
	Default          any
	Values           []string
	Min, Max         *float64
	MaxLength        int
	Unit             string
	RequiresHTTPS    bool
	Secret           bool
	Format           string
	Encodings        []string
	MaxTimesChildren int
}

type specSpan struct{ Min, Max int }

type specChild struct {
	specSpan
	Attributes *[]string // present and empty: none are allowed there
}

func spec(t testing.TB) map[string]specTag {
	t.Helper()
	raw, err := os.ReadFile("../testdata/verbs.json")
	require.NoError(t, err)
	var tags map[string]specTag
	require.NoError(t, json.Unmarshal(raw, &tags))
	return tags
}

// asSpec writes a definition as the table does.
func asSpec(p *Parser, d *definition) specTag {
	needs := map[need]*string{noText: nil, optionalText: ptr("optional"), requiredText: ptr("required"), mixedText: ptr("required")}
	s := specTag{
		Attributes:           map[string]specAttribute{},
		Text:                 needs[d.text.need],
		TextFormat:           d.text.format.name,
		Children:             map[string]specChild{},
		TopLevel:             !d.nested,
		InsideGather:         gatherDef.child(d.name) != nil,
		InsideConference:     d.inConference,
		InsideTransferAnswer: d.inTransferAnswer,
	}
	if d.text.need == mixedText {
		s.TextFormat = "mixed text and SSML"
		s.SSML = ssmlAsSpec()
	}
	if d.nested {
		s.Parents = p.parents(d)
		slices.Sort(s.Parents)
	}
	for _, ch := range d.children {
		c := specChild{specSpan: specSpan{ch.min, ch.max}}
		if ch.bare {
			c.Attributes = &[]string{}
		}
		s.Children[ch.name] = c
	}
	if d.total != nil {
		s.ChildrenTotal = &specSpan{d.total.min, d.total.max}
	}
	for name, meant := range d.misspellings {
		if s.Misspellings == nil {
			s.Misspellings = map[string]*string{}
		}
		s.Misspellings[name] = nil
		if meant != "" {
			s.Misspellings[name] = &meant
		}
	}
	for _, a := range d.attributes {
		s.Attributes[a.name] = attributeAsSpec(d, a)
	}
	return s
}

func attributeAsSpec(d *definition, a attribute) specAttribute {
	units := map[time.Duration]string{0: "", time.Second: "s", time.Millisecond: "ms"}
	s := specAttribute{
		Type: string(a.kind), Required: a.required, Values: a.values, Min: a.min, Max: a.max, MaxLength: a.maxLength,
		Unit: units[a.unit], RequiresHTTPS: a.requiresHTTPS, Secret: a.secret, Format: a.format.name,
	}
	if a.initial != nil {
		s.Default = *a.initial
	}
	if a.format.name == formatUUI.name {
		s.Format, s.Encodings = "", uuiEncodings
	}
	if d.name == "Gather" && a.name == "repeatCount" {
		s.MaxTimesChildren = maxPrompts
	}
	return s
}

func ssmlAsSpec() map[string]map[string]any {
	tags := map[string]map[string]any{}
	for _, tag := range ssmlTags {
		tags[tag.name] = map[string]any{}
		for _, a := range tag.attributes {
			if _, rule := ssmlRules[a.values[0]]; rule {
				tags[tag.name][a.name] = a.values[0]
				continue
			}
			var values []any
			for _, v := range a.values {
				values = append(values, v)
			}
			tags[tag.name][a.name] = values
		}
	}
	return tags
}

func ptr[T any](v T) *T { return &v }

// TestDefinitionsAreTheTable holds the definitions against the specification's table in both directions.
func TestDefinitionsAreTheTable(t *testing.T) {
	t.Parallel()
	p, tags := NewParser(Config{}), spec(t)
	names := slices.Sorted(slices.Values(p.names))
	assert.Equal(t, slices.Sorted(maps.Keys(tags)), names)
	for name, want := range tags {
		t.Run(name, func(t *testing.T) {
			for attr, a := range want.Attributes {
				if a.Default != nil {
					a.Default = fmt.Sprint(a.Default)
				}
				want.Attributes[attr] = a
			}
			slices.Sort(want.Parents)
			want.AnswersCall = nil // held by TestVerbsAnswerAsTheTableSays
			require.Contains(t, p.tags, name)
			assert.Equal(t, want, asSpec(p, p.tags[name]))
		})
	}
}
