package verbs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ssmlTag is an SSML tag that text may hold (docs/bxml.md).
type ssmlTag struct {
	name       string
	attributes []ssmlAttribute
}

// ssmlAttribute takes one of a list of values, each a word or the name of a rule in [ssmlRules].
type ssmlAttribute struct {
	name     string
	values   []string
	required bool
}

var ssmlTags = []ssmlTag{
	{"break", []ssmlAttribute{
		{name: "strength", values: []string{"none", "x-weak", "weak", "medium", "strong", "x-strong"}},
		{name: "time", values: []string{"<n>s or <n>ms, max 10s"}},
	}},
	{"emphasis", []ssmlAttribute{
		{name: "level", values: []string{"strong", "moderate", "reduced"}},
	}},
	{"lang", []ssmlAttribute{
		{name: "xml:lang", values: []string{
			"arb", "cmn-CN", "da-DK", "nl-NL", "en-AU", "en-GB", "en-IN", "en-US", "fr-FR", "fr-CA", "hi-IN", "de-DE", "is-IS", "it-IT",
			"ja-JP", "ko-KR", "nb-NO", "pl-PL", "pt-BR", "pt-PT", "ro-RO", "ru-RU", "es-ES", "es-MX", "es-US", "sv-SE", "tr-TR", "cy-GB",
		}, required: true},
	}},
	{"p", nil},
	{"s", nil},
	{"phoneme", []ssmlAttribute{
		{name: "ph", values: []string{"IPA"}, required: true},
	}},
	{"prosody", []ssmlAttribute{
		{name: "pitch", values: []string{"x-low", "low", "medium", "high", "x-high", "default", "<+/-n>%"}},
		{name: "rate", values: []string{"x-slow", "slow", "medium", "fast", "x-fast", "<n>%"}},
		{name: "volume", values: []string{"silent", "x-soft", "soft", "medium", "loud", "x-loud", "default", "<+/-n>dB"}},
	}},
	{"say-as", []ssmlAttribute{
		{name: "interpret-as", values: []string{"date", "time", "telephone", "characters", "cardinal", "ordinal"}, required: true},
		{name: "format", values: []string{"mdy", "dmy", "ymd", "md", "dm", "ym", "my", "d", "m", "y"}},
	}},
	{"sub", []ssmlAttribute{
		{name: "alias", values: []string{"string"}, required: true},
	}},
}

// ssmlRules are the values that are not words.
var ssmlRules = map[string]func(string) bool{
	"<n>s or <n>ms, max 10s": isBreakTime,
	"<+/-n>%":                regexp.MustCompile(`^[+-]\d+(\.\d+)?%$`).MatchString,
	"<n>%":                   regexp.MustCompile(`^\d+(\.\d+)?%$`).MatchString,
	"<+/-n>dB":               regexp.MustCompile(`^[+-]\d+(\.\d+)?dB$`).MatchString,
	"IPA":                    func(v string) bool { return strings.TrimSpace(v) != "" },
	"string":                 func(string) bool { return true },
}

var breakTime = regexp.MustCompile(`^(\d+(?:\.\d+)?)(m?s)$`)

func isBreakTime(value string) bool {
	m := breakTime.FindStringSubmatch(value)
	if m == nil {
		return false
	}
	n, err := strconv.ParseFloat(m[1], 64)
	return err == nil && (m[2] == "s" && n <= 10 || m[2] == "ms" && n <= 10_000)
}

// speechWriter turns the content of a SpeakSentence into plain text and into SSML that holds nothing but the known tags
// and attributes. An unknown tag is dropped and its text spoken; a known one with a wrong value is an error.
type speechWriter struct {
	c      *checker
	plain  strings.Builder
	markup strings.Builder
	tagged bool // at least one tag was kept
}

func (w *speechWriter) write(e *element) {
	for _, part := range e.content {
		if part.child == nil {
			w.plain.WriteString(part.text)
			w.markup.WriteString(escapeXML(part.text))
			continue
		}
		tag := ssmlTagNamed(part.child.name)
		if tag == nil {
			w.c.warnf(part.child.pos, part.child.name, "unknown SSML tag %s is dropped, its text is spoken%s",
				shorten(part.child.name), didYouMean(part.child.name, ssmlNames()))
			w.write(part.child)
			continue
		}
		w.tag(tag, part.child)
	}
}

func (w *speechWriter) tag(tag *ssmlTag, e *element) {
	w.tagged = true
	values := w.attributes(tag, e)
	w.markup.WriteString("<" + tag.name)
	for _, row := range tag.attributes {
		if value, ok := values[row.name]; ok {
			w.markup.WriteString(" " + row.name + `="` + escapeXML(value) + `"`)
		}
	}
	if tag.name == "break" { // empty in SSML
		w.markup.WriteString("/>")
		w.plain.WriteString(" ")
		w.write(e)
		return
	}
	w.markup.WriteString(">")
	switch tag.name {
	case "sub":
		inner := speechWriter{c: w.c}
		inner.write(e)
		w.markup.WriteString(inner.markup.String() + "</sub>")
		w.plain.WriteString(values["alias"])
	case "p", "s":
		w.plain.WriteString(" ")
		w.write(e)
		w.plain.WriteString(" ")
		w.markup.WriteString("</" + tag.name + ">")
	default:
		w.write(e)
		w.markup.WriteString("</" + tag.name + ">")
	}
}

// attributes checks the attributes of a known tag and returns the valid ones.
func (w *speechWriter) attributes(tag *ssmlTag, e *element) map[string]string {
	given, values := map[string]string{}, map[string]string{}
	for _, a := range e.attributes {
		given[a.name] = a.value
	}
	for _, a := range e.attributes {
		row := tag.attribute(a.name)
		switch {
		case row == nil:
			w.c.unknownAttribute(e, a, tag.attributeNames())
		case tag.name == "say-as" && a.name == "format" && given["interpret-as"] != "date":
			w.c.warnf(a.pos, e.name, "format has an effect only on dates; ignored")
		default:
			value, ok := row.accept(a.value)
			if !ok {
				w.c.errorf(a.pos, e.name, "%s must be %s, not %s%s", a.name, alternatives(row.values), quote(a.value), didYouMean(a.value, row.values))
				continue
			}
			values[a.name] = value
		}
	}
	for _, row := range tag.attributes {
		dateFormat := row.name == "format" && given["interpret-as"] == "date"
		if _, ok := given[row.name]; !ok && (row.required || dateFormat) {
			w.c.errorf(e.pos, e.name, "the attribute %s is missing", row.name)
		}
	}
	return values
}

// accept returns a value as the tables write it.
func (a *ssmlAttribute) accept(value string) (string, bool) {
	for _, v := range a.values {
		rule := ssmlRules[v]
		switch {
		case rule != nil && rule(value), rule == nil && v == value:
			return value, true
		case a.name == "xml:lang" && sameLocale(v, value):
			return v, true
		}
	}
	return "", false
}

func ssmlTagNamed(name string) *ssmlTag {
	for i := range ssmlTags {
		if ssmlTags[i].name == name {
			return &ssmlTags[i]
		}
	}
	return nil
}

func ssmlNames() []string {
	var names []string
	for _, t := range ssmlTags {
		names = append(names, t.name)
	}
	return names
}

func (t *ssmlTag) attribute(name string) *ssmlAttribute {
	for i := range t.attributes {
		if t.attributes[i].name == name {
			return &t.attributes[i]
		}
	}
	return nil
}

func (t *ssmlTag) attributeNames() []string {
	var names []string
	for _, a := range t.attributes {
		names = append(names, a.name)
	}
	return names
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escapeXML(text string) string { return xmlEscaper.Replace(text) }

// speech checks the content of a SpeakSentence and keeps what it says in the node.
func (c *checker) speech(n *node) {
	w := speechWriter{c: c}
	w.write(n.source)
	n.speech.Text = strings.Join(strings.Fields(w.plain.String()), " ")
	if n.speech.Text == "" {
		c.errorf(n.source.pos, n.name, "%s needs a text", n.name)
	}
	if w.tagged {
		n.speech.SSML = fmt.Sprintf("<speak>%s</speak>", strings.Join(strings.Fields(w.markup.String()), " "))
	}
}
