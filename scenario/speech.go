package scenario

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// speech is how long sentences are, by their text.
type speech map[string]time.Duration

// What speech sounds like in a scenario: a tone whose length follows from the text, so that no engine has to be installed,
// and a call takes the same time everywhere.
const (
	speechHertz    = 440
	speechOfLetter = 10 * time.Millisecond
	shortestSpeech = 200 * time.Millisecond
	longestSpeech  = 5 * time.Second
)

func (s *speech) decode(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "must hold sentences and how long they are, text: 2s, not %s", described(n))
		return
	}
	*s = speech{}
	for name, value := range d.pairs(n) {
		var length time.Duration
		d.into(value, &length)
		(*s)[spoken(name.Value)] = length
	}
}

func (s *speech) schema(of *schema) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": of.of(typeOf[time.Duration]())}
}

var markup = regexp.MustCompile(`<[^>]*>`)

// spoken is a text without markup, as it compares.
func spoken(s string) string {
	return strings.Join(strings.Fields(html.UnescapeString(markup.ReplaceAllString(s, " "))), " ")
}

// usualSpeech is how long a sentence is of which a scenario says nothing.
func usualSpeech(sentence string) time.Duration {
	return min(max(time.Duration(len([]rune(sentence)))*speechOfLetter, shortestSpeech), longestSpeech)
}

// speak is the speech engine of scenarios.
func (s speech) speak(e *Event) Reply {
	length := s.length(spoken(string(e.Body)))
	return Reply{Body: string(writeWAV(sine(speechHertz, length))), Header: http.Header{"Content-Type": {"audio/wav"}}}
}

// length is how long a sentence is.
func (s speech) length(sentence string) time.Duration {
	if length, told := s[sentence]; told {
		return length
	}
	return usualSpeech(sentence)
}
