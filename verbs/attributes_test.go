package verbs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is a valid element of a tag with what it needs inside.
func sample(tags map[string]specTag, name, attributes string) string {
	tag := tags[name]
	var body strings.Builder
	for _, attr := range slices.Sorted(maps.Keys(tag.Attributes)) {
		if tag.Attributes[attr].Required && !strings.Contains(attributes, " "+attr+"=") {
			attributes += fmt.Sprintf(" %s=%q", attr, sampleValue(tag.Attributes[attr]))
		}
	}
	if tag.Text != nil {
		body.WriteString(map[string]string{
			"sip-uri": "sip:a@b.example", "e164": "+15551230001", "url": "https://app.example/a.wav",
			"[0-9*#a-dA-DwW,]{1,50}": "123",
		}[tag.TextFormat])
		if body.Len() == 0 {
			body.WriteString("c-1")
		}
	}
	for child, c := range tag.Children {
		if c.Min > 0 || tag.ChildrenTotal != nil && tag.ChildrenTotal.Min > 0 {
			body.WriteString(sample(tags, child, ""))
		}
	}
	return fmt.Sprintf("<%s%s>%s</%s>", name, attributes, body.String(), name)
}

// sampleDocument puts the sample under a root, inside a parent if it is a nested tag.
func sampleDocument(tags map[string]specTag, name, attributes string) string {
	return inParent(tags, name, sample(tags, name, attributes))
}

// inParent puts a tag's element where it may stand.
func inParent(tags map[string]specTag, name, element string) string {
	if !tags[name].TopLevel {
		parent := tags[name].Parents[0]
		open := "<" + parent + ">"
		if parent == "StartStream" {
			open = `<StartStream destination="wss://a.example">`
		}
		element = open + element + "</" + parent + ">"
	}
	return "<Response>" + element + "</Response>"
}

func sampleValue(a specAttribute) string {
	switch a.Type {
	case "url":
		return "https://app.example/x"
	case "wsUrl":
		return "wss://app.example/x"
	case "string":
		switch {
		case a.Format != "" && a.Format != "call-id-list":
			return "+15551230001"
		case a.Encodings != nil:
			return "aGk;encoding=" + a.Encodings[0]
		}
		return "en"
	case "enum":
		return a.Values[0]
	case "boolean":
		return "true"
	default:
		return "1"
	}
}

// trials returns values that an attribute must take and values that it must refuse, by its row in the table.
func trials(a specAttribute) (good, bad []string) {
	decimals := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	switch a.Type {
	case "url":
		good = []string{"https://a.example/x?y=z", "HTTP://a.example", "/x", "x/y", "?q=1", "https://a.example/" + strings.Repeat("a", 2048-18)}
		bad = []string{"ftp://a.example", "mailto:a@b", "http://", "https:///x", "http://a b", "http://a:99999/", "https://a.example/" + strings.Repeat("a", 2048-17)}
	case "wsUrl":
		good = []string{"ws://a.example", "wss://a.example/x"}
		bad = []string{"http://a.example", "/x", "ws://"}
	case "enum":
		good = slices.Clone(a.Values)
		bad = []string{"", "xyzzy", a.Values[0] + " "}
		if slices.Equal(a.Values, []string{"GET", "POST"}) {
			good = append(good, "get", "Post")
			bad = append(bad, "PUT")
		} else {
			bad = append(bad, strings.ToUpper(a.Values[0]))
		}
	case "boolean":
		good = []string{"true", "false", "TRUE", "False"}
		bad = []string{"", "1", "0", "yes"}
	case "integer", "number":
		bad = []string{"", "x", "+5", "-1", "1e1", "0x1", "5,0", "NaN", "Inf", ".5", "5.", " 5"}
		if a.Type == "integer" {
			bad = append(bad, "2.5")
		}
		if a.Min != nil {
			good = append(good, decimals(*a.Min))
			if *a.Min > 0 {
				bad = append(bad, decimals(*a.Min-0.01))
			}
		}
		if a.Max != nil {
			good = append(good, decimals(*a.Max))
			bad = append(bad, decimals(*a.Max+0.01), strings.Repeat("9", 400))
		}
	case "string":
		good = []string{sampleValue(a)}
		if a.MaxLength > 0 && a.Encodings == nil {
			good = append(good, strings.Repeat("ä", a.MaxLength))
			bad = append(bad, strings.Repeat("ä", a.MaxLength+1))
		}
		for _, e := range a.Encodings {
			tail := ";encoding=" + e
			good = append(good, "a"+tail, strings.Repeat("a", a.MaxLength-len(tail))+tail)
			bad = append(bad, strings.Repeat("a", a.MaxLength-len(tail)+1)+tail)
		}
		if a.Encodings != nil {
			bad = append(bad, "aGk", "aGk;encoding=utf8", ";encoding=hex", "aGk;encoding=hex,aGk", "a b;encoding=hex")
		}
		switch a.Format {
		case "e164-or-sip":
			good = append(good, "+1", "+123456789012345", "sip:a@b.example")
			bad = append(bad, "5551230001", "+1234567890123456", "+1a", "tel:+1555", "")
		case "e164-or-keyword":
			good = append(good, "+1", "Restricted", "Anonymous", "Private", "Unavailable")
			bad = append(bad, "private", "5551230001", "sip:a@b.example", "")
		case "call-id-list":
			good = append(good, "c-1", "c-1, c-2", "")
			bad = append(bad, "c-1,,c-2", "c 1")
		}
	}
	return good, bad
}

// TestEveryAttributeTakesWhatTheTableSays tries values at and beyond the borders of every attribute's row.
func TestEveryAttributeTakesWhatTheTableSays(t *testing.T) {
	t.Parallel()
	p, tags := NewParser(Config{}), spec(t)
	own := map[string]string{ // what only the text of the specification says
		"voice": "susan", "locale": "en_US", "terminatingDigits": "1*#A",
	}
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			_, err := p.Parse([]byte(sampleDocument(tags, name, "")), "")
			require.NoError(t, err, "without attributes")
			for attr, a := range tag.Attributes {
				good, bad := trials(a)
				if v, ok := own[attr]; ok {
					good = []string{v}
				}
				for _, v := range good {
					_, err := p.Parse([]byte(sampleDocument(tags, name, fmt.Sprintf(" %s=%q", attr, v))), "")
					assert.NoError(t, err, "%s=%q", attr, v)
				}
				for _, v := range bad {
					_, err := p.Parse([]byte(sampleDocument(tags, name, fmt.Sprintf(" %s=%q", attr, v))), "")
					var wrong *SyntaxError
					if assert.ErrorAs(t, err, &wrong, "%s=%q", attr, v) {
						assert.Equal(t, name, wrong.Element)
						assert.True(t, strings.HasPrefix(wrong.Reason, attr+" "), wrong.Reason)
					}
				}
				if a.Required {
					doc := strings.Replace(sampleDocument(tags, name, ""), " "+attr+"=", " x=", 1)
					_, err := p.Parse([]byte(doc), "")
					assert.ErrorContains(t, err, "the attribute "+attr+" is missing")
				}
			}
		})
	}
}

// TestTextOfEveryTag tries each tag with the text that its row allows, and without.
func TestTextOfEveryTag(t *testing.T) {
	t.Parallel()
	p, tags := NewParser(Config{}), spec(t)
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			doc := sampleDocument(tags, name, "")
			close := strings.LastIndex(doc, "</"+name+">")
			open := strings.Index(doc, "<"+name)
			open += strings.Index(doc[open:], ">") + 1
			switch {
			case tag.Text == nil:
				_, err := p.Parse([]byte(doc[:close]+" x "+doc[close:]), "")
				assert.ErrorContains(t, err, "text may not stand in "+name)
			case *tag.Text == "required":
				_, err := p.Parse([]byte(doc[:open]+" \n"+doc[close:]), "")
				assert.ErrorContains(t, err, name+" needs a text")
			default:
				_, err := p.Parse([]byte(doc[:open]+doc[close:]), "")
				assert.NoError(t, err)
			}
		})
	}
}

// TestPlaces puts every tag everywhere: under the root of each kind of document and inside every other tag.
func TestPlaces(t *testing.T) {
	t.Parallel()
	p, tags := NewParser(Config{}), spec(t)
	for name, tag := range tags {
		t.Run(name, func(t *testing.T) {
			doc := []byte("<Response>" + sample(tags, name, "") + "</Response>")
			for place, allowed := range map[Place]bool{
				OnCall:           tag.TopLevel,
				OnTransferAnswer: tag.InsideTransferAnswer,
				OnConference:     tag.InsideConference,
			} {
				_, err := p.ParseIn(place, doc, "")
				assert.Equal(t, allowed, err == nil, "place %d: %v", place, err)
			}
			for outer := range tags {
				if outer == "SpeakSentence" {
					continue // everything in it is SSML
				}
				_, allowed := tags[outer].Children[name]
				inner := strings.Replace(sample(tags, outer, ""), "</"+outer+">", sample(tags, name, "")+"</"+outer+">", 1)
				_, err := p.Parse([]byte(inParent(tags, outer, inner)), "")
				if !allowed {
					assert.ErrorContains(t, err, fmt.Sprintf("%s may not stand in %s", name, outer))
				} else if err != nil {
					assert.NotContains(t, err.Error(), "may not stand")
				}
			}
		})
	}
}
