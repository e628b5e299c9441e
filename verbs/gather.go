package verbs

import "time"

// maxPrompts is how many prompts a Gather may play, repetitions counted.
const maxPrompts = 20

// gatherDef collects digits, or speech, while prompts are played.
var gatherDef = definition{
	name: "Gather",
	attributes: []attribute{
		urlAttr("gatherUrl"),
		methodAttr("gatherMethod"),
		urlAttr("gatherFallbackUrl"),
		methodAttr("gatherFallbackMethod"),
		userAttr("username", "gatherUrl"),
		passwordAttr("password", "gatherUrl"),
		userAttr("fallbackUsername", "gatherFallbackUrl"),
		passwordAttr("fallbackPassword", "gatherFallbackUrl"),
		tagAttr(),
		stringAttr("terminatingDigits").or("").as(formatDigits),
		integerAttr("maxDigits").or("50").atLeast(1).atMost(50),
		numberAttr("interDigitTimeout").or("5").atLeast(1).atMost(60).in(time.Second),
		numberAttr("firstDigitTimeout").or("5").atLeast(0).atMost(60).in(time.Second),
		integerAttr("repeatCount").or("1").atLeast(1),
		enumAttr("input", "dtmf", "speech", "dtmf_speech").or("dtmf"),
		stringAttr("hints"),
		stringAttr("language").as(formatLanguage),
		urlAttr("partialResultCallback"),
		methodAttr("partialResultCallbackMethod"),
		booleanAttr("profanityFilter", "true"),
		stringAttr("speechModel"),
		numberAttr("speechTimeout").or("5").in(time.Second),
	},
	children: []child{
		{"SpeakSentence", span{0, maxPrompts}, false},
		{"PlayAudio", span{0, maxPrompts}, false},
	},
	total:            &span{0, maxPrompts},
	inTransferAnswer: true,
	check: func(c *checker, n *node) {
		prompts := len(n.children)
		if prompts <= maxPrompts && n.number("repeatCount")*float64(prompts) > maxPrompts {
			c.errorf(n.at["repeatCount"], n.name, "repeatCount times the number of prompts may be at most %d, and is %s times %d",
				maxPrompts, shorten(n.str("repeatCount")), prompts)
		}
	},
}
