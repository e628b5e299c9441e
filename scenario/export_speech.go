package scenario

import (
	"regexp"
	"time"

	"github.com/callengine/callengine/state"
)

// silenceAfterSpeech is about how long after somebody's last word a node has understood them.
const silenceAfterSpeech = 850 * time.Millisecond

// confidence is what the journal says behind a text that was understood.
var confidence = regexp.MustCompile(` \([01]\.\d\d\)$`)

// saying is something that the phone has said, by what was understood of it.
type saying struct {
	at     time.Time // when it began, about: nobody knows how long it was
	length time.Duration
	step   mapping
}

// sayings finds what the phone has said to each Gather that has understood it, or found no words in it.
func (x *export) sayings() (all []saying) {
	var listening, partial time.Time
	for _, e := range x.entries {
		switch {
		case e.Webhook != nil && e.Webhook.Event == state.WebhookRequest && e.Webhook.EventType == "partialgather" && partial.IsZero():
			partial = e.Time
		case e.Media == nil:
		case e.Media.Event == state.MediaListening:
			listening, partial = e.Time, time.Time{}
		case e.Media.Event == state.MediaUnderstood:
			all = append(all, sayingOf(e, listening, partial))
		}
	}
	return all
}

// sayingOf is what was understood at an entry since a Gather has listened: it was spoken when a part of it was told, if one was.
func sayingOf(e exported, listening, partial time.Time) saying {
	ended := e.Time.Add(-silenceAfterSpeech)
	text := confidence.ReplaceAllString(e.Media.Detail, "")
	if text == e.Media.Detail {
		s := saying{length: 2 * shortestSpeech}
		s.at = latest(listening, ended.Add(-s.length))
		s.step = newMapping().with("tone", flow(newMapping().with("hertz", lowestSaid/2).with("time", s.length.String())))
		return s
	}
	s := saying{length: usualSpeech(spoken(text)), step: newMapping().with("say", text)}
	s.at = latest(listening, ended.Add(-s.length))
	if begun := partial.Add(-shortestSpeech); !partial.IsZero() && begun.Before(s.at) {
		s.at = latest(listening, begun)
		s.length = max(ended.Sub(s.at), shortestSpeech)
		s.step = newMapping().with("say", flow(newMapping().with("text", text).with("time", s.length.Round(roundedTo).String())))
	}
	return s
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// say adds what the phone has said until then.
func (s *stepExport) say(until time.Time) {
	for len(s.said) > 0 && !s.said[0].at.After(until) {
		next := s.said[0]
		s.said = s.said[1:]
		s.add(next.at, next.step)
		s.ready = next.at.Add(next.length)
	}
}

// exportHearing finds a node that recognised no speech, or whose engine failed.
func (x *export) exportHearing() {
	for _, e := range x.entries {
		switch {
		case e.Media == nil:
		case e.Media.Event == state.MediaNotListening:
			x.settings.add("media.stt.engine", "none")
			return
		case e.Media.Event == state.MediaUnheard && e.Media.Detail != "":
			x.settings.add("media.stt.url", "ws://127.0.0.1:9/")
			return
		}
	}
}
