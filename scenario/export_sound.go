package scenario

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// unheard is how much longer a sound is made of which the call's end cut off the rest: nobody knows how long it was.
const unheard = 5 * time.Second

// fetchStatus finds the status for which a sound file could not be played.
var fetchStatus = regexp.MustCompile(`the server answered (\d{3})`)

// exportSounds gives sentences and sound files the lengths that they had in the call: what the phone does next happens
// while they last, or after.
func (x *export) exportSounds(replies mapping) {
	verb := ""
	for i, e := range x.entries {
		switch {
		case e.Verb != nil && e.Verb.Event == state.VerbStarted:
			verb = e.Verb.Name
		case e.Media == nil || e.Media.Event != "playing":
		case verb == "SpeakSentence":
			length, _ := x.played(i)
			x.exportSentence(e.Media.Detail, length)
		case verb == "PlayAudio":
			length, failure := x.played(i)
			x.exportFile(replies, i, length, failure)
		case verb == "Gather":
			length, failure := x.prompted(i)
			if strings.HasPrefix(e.Media.Detail, "http") && strings.Contains(e.Media.Detail, "://") {
				x.exportFile(replies, i, length, failure)
			} else {
				x.exportSentence(e.Media.Detail, length)
			}
		}
	}
}

// exportSentence adds the length of a sentence, where it is not the usual one.
func (x *export) exportSentence(text string, length time.Duration) {
	sentence := spoken(text)
	if usual := usualSpeech(sentence); x.speech.get(sentence) == nil && (length-usual).Abs() >= shownDelay {
		x.speech.add(sentence, length.Round(roundedTo).String())
	}
}

// exportFile adds the reply with a sound file whose playing entry i begins.
func (x *export) exportFile(replies mapping, i int, length time.Duration, failure string) {
	u, err := url.Parse(x.entries[i].Media.Detail)
	if err != nil || u.Path == "" || replies.get(u.Path) != nil {
		return
	}
	switch status := fetchStatus.FindStringSubmatch(failure); {
	case status != nil:
		code, _ := strconv.Atoi(status[1]) // three digits
		replies.add(u.Path, code)
	case failure != "":
		replies.add(u.Path, flow(newMapping().with("drop", true)))
	default:
		tone := newMapping().with("hertz", speechHertz).with("time", length.Round(roundedTo).String())
		replies.add(u.Path, flow(newMapping().with("tone", flow(tone))))
	}
}

// played returns how long the sound is whose playing entry i begins, and why it could not be played.
func (x *export) played(i int) (length time.Duration, failure string) {
	began, left := x.entries[i].Time, false
	for _, e := range x.entries[i+1:] {
		length = e.Time.Sub(began)
		switch {
		case e.from("in", "BYE") && e.m.IsRequest():
			left = true
		case e.Media != nil && e.Media.Event == "played":
			// Whether it was cut off is told by how its verb ends.
			if left {
				length += unheard
			}
			began = e.Time.Add(-length)
		case e.Verb != nil && e.Verb.Event == state.VerbEnded:
			if left || e.Verb.Error == "" {
				return length, ""
			}
			return length, e.Verb.Error
		}
	}
	return length + unheard, ""
}

// prompted is played for a prompt of a Gather, which a digit cuts off.
func (x *export) prompted(i int) (length time.Duration, failure string) {
	began, cut, over := x.entries[i].Time, false, false
	for _, e := range x.entries[i+1:] {
		if !over {
			length = e.Time.Sub(began)
		}
		switch {
		case !over && (e.Digit != nil || e.from("in", "BYE") && e.m.IsRequest()):
			cut = true
		case e.Media != nil && e.Media.Event == "played":
			over = true
		case e.Media != nil && e.Media.Event == "playing":
			return length, ""
		case e.Verb != nil && cut:
			return length + unheard, ""
		case e.Verb != nil:
			return length, e.Verb.Error
		}
	}
	return length + unheard, ""
}

// hosts are those of the application's URLs and of the sound files.
func (x *export) hosts() map[string]string {
	all := map[string]string{}
	note := func(address string) {
		if u, err := url.Parse(address); err == nil && u.Host != "" && strings.HasPrefix(u.Scheme, "http") {
			all[u.Scheme+"://"+u.Host] = u.Host
		}
	}
	for _, e := range x.entries {
		if e.Webhook != nil {
			note(e.Webhook.URL)
		}
		if e.Media != nil && e.Media.Event == "playing" {
			note(e.Media.Detail)
		}
	}
	return all
}
