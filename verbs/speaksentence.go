package verbs

import "context"

// SpeakSentence speaks text, plain or with SSML tags.
type SpeakSentence struct {
	heading
	Speech Speech
}

var speakSentenceDef = definition{
	name: "SpeakSentence",
	attributes: []attribute{
		stringAttr("voice"),
		enumAttr("gender", "male", "female").or("female"),
		stringAttr("locale").or("en_US"),
	},
	text:             text{need: mixedText},
	inTransferAnswer: true,
	inConference:     true,
	check:            chooseVoice,
	read:             func(n *node) Verb { return &SpeakSentence{n.heading(), n.speech} },
}

// chooseVoice finds the voice in the table: by its name, else by locale and gender. With a name the locale has no
// effect, so that one that is not known is no error then.
func chooseVoice(c *checker, n *node) {
	voices, locale := c.parser.voices, n.str("locale")
	voice, known := spoken(voices, locale, n.str("gender"))
	switch name := n.str("voice"); {
	case n.has("voice"):
		if !known {
			c.warnf(n.at("locale"), n.name, "locale %s is not known; ignored, as voice is given", quote(locale))
		}
		if voice, known = named(voices, name); !known {
			c.errorf(n.at("voice"), n.name, "voice %s is not known%s", quote(name), didYouMean(name, voiceNames(voices)))
		}
	case !known:
		c.errorf(n.at("locale"), n.name, "locale %s is not known%s", quote(locale), didYouMean(locale, locales(voices)))
	}
	n.speech.Voice, n.speech.Locale, n.speech.Gender = voice.Name, voice.Locale, voice.Gender
}

// Execute needs a [Player].
func (s *SpeakSentence) Execute(ctx context.Context, call Call) (Outcome, error) {
	player, ok := call.(Player)
	if !ok {
		return Outcome{}, s.lacks("speak")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	return Outcome{}, ended(ctx, player.Speak(ctx, s.Speech))
}
