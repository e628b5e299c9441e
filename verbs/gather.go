package verbs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/callengine/callengine/webhook"
)

// maxPrompts is how many prompts a Gather may play, repetitions counted.
const maxPrompts = 20

// Gather collects digits, or what is said, while prompts are played.
type Gather struct {
	heading
	Target        *webhook.Target // nil: what is collected is thrown away; its URLs as in the document
	Tag           *string
	Input         string // "dtmf", "speech" or "dtmf_speech"
	MaxDigits     int
	Terminating   string // keys, in capitals
	FirstTimeout  time.Duration
	InterTimeout  time.Duration
	Rounds        int
	Prompts       []Verb
	Speech        SpeechInput     // without Partial
	SpeechTimeout time.Duration   // until somebody speaks, from the end of the prompts on
	Partial       *webhook.Target // of what is understood while somebody speaks; nil: nobody is told
}

// speechOnly are the attributes that have an effect only where speech counts.
var speechOnly = []string{
	"hints", "language", "partialResultCallback", "partialResultCallbackMethod", "profanityFilter", "speechModel", "speechTimeout",
}

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
			c.errorf(n.at("repeatCount"), n.name, "repeatCount times the number of prompts may be at most %d, and is %s times %d",
				maxPrompts, shorten(n.str("repeatCount")), prompts)
		}
		for _, name := range speechOnly {
			if n.str("input") == "dtmf" && n.has(name) {
				c.warnf(n.at(name), n.name, "%s has an effect only with input speech or dtmf_speech; ignored", name)
			}
		}
	},
	read: func(n *node) Verb {
		g := &Gather{
			heading:      n.heading(),
			Tag:          n.optional("tag"),
			Input:        n.str("input"),
			MaxDigits:    int(n.number("maxDigits")),
			Terminating:  strings.ToUpper(n.str("terminatingDigits")),
			FirstTimeout: n.duration("firstDigitTimeout"),
			InterTimeout: n.duration("interDigitTimeout"),
			Rounds:       1, // without prompts there is nothing to repeat
			Speech: SpeechInput{
				Language: n.str("language"), Hints: hints(n.str("hints")), Model: n.str("speechModel"), ProfanityFilter: n.boolean("profanityFilter"),
			},
			SpeechTimeout: n.duration("speechTimeout"),
		}
		if n.has("partialResultCallback") {
			g.Partial = &webhook.Target{URL: n.str("partialResultCallback"), Method: n.str("partialResultCallbackMethod")}
		}
		if n.has("gatherUrl") {
			g.Target = &webhook.Target{
				URL:    n.str("gatherUrl"),
				Method: n.str("gatherMethod"),
				Auth:   n.auth("username", "password"),
			}
			if n.has("gatherFallbackUrl") {
				g.Target.Fallback = &webhook.Target{
					URL:    n.str("gatherFallbackUrl"),
					Method: n.str("gatherFallbackMethod"),
					Auth:   n.auth("fallbackUsername", "fallbackPassword"),
				}
			}
		}
		for _, prompt := range n.children {
			g.Prompts = append(g.Prompts, prompt.read(prompt))
		}
		if len(g.Prompts) > 0 {
			g.Rounds = int(n.number("repeatCount"))
		}
		return g
	},
}

// hints are words and phrases with commas between them.
func hints(text string) (all []string) {
	for hint := range strings.SplitSeq(text, ",") {
		if hint = strings.Join(strings.Fields(hint), " "); hint != "" {
			all = append(all, hint)
		}
	}
	return all
}

// errInput ends a prompt.
var errInput = errors.New("a digit was pressed, or somebody spoke")

// Execute needs a [Keypad] and, where speech counts, a [Recognizer]; and a [Player] for its prompts. Keys that were pressed
// before it are dropped. With a URL the reply to the gather event replaces the document.
//
// Where digits and speech count, what comes first decides: a digit ends the listening, and once somebody speaks, keys count
// only if nothing was understood. A node that recognises no speech collects digits alone there; where only speech counts,
// the call cannot do it. Speech that could not be recognised is told in the event, which is sent in any case
// (docs/webhooks.md).
func (g *Gather) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, g.Tag)
	if g.Target != nil && asked(call, "gather") {
		return g.ask(ctx, call, webhook.Gathered{})
	}
	keypad, ok := call.(Keypad)
	if !ok {
		return Outcome{}, g.lacks("collect digits")
	}
	if err := g.hears(call); err != nil {
		return Outcome{}, err
	}
	keys, stop := keypad.TakeDigits() // before the answer: the first key may come with the ACK
	defer stop()
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	in, err := g.listen(ctx, call, keys)
	if err != nil {
		return Outcome{}, err
	}
	defer in.stop()
	collected, err := g.collect(ctx, call, in)
	stop()
	in.stop()
	if err = ended(ctx, err); err != nil || g.Target == nil {
		return Outcome{}, err
	}
	return g.ask(ctx, call, collected)
}

// ask has the reply to the gather event replace the document.
func (g *Gather) ask(ctx context.Context, call Call, collected webhook.Gathered) (Outcome, error) {
	reply, err := call.Ask(ctx, *g.Target, webhook.NewGather(call.Info(), collected))
	if err = ended(ctx, err); err != nil {
		return Outcome{}, err
	}
	return Outcome{Replace: &reply}, nil
}

// collect plays the prompts and collects what comes, until there is enough or no more comes.
func (g *Gather) collect(ctx context.Context, call Call, in *inputs) (got webhook.Gathered, err error) {
	came := input{}
	for round := 0; round < g.Rounds && came.kind == noInput; round++ {
		if came, err = g.prompt(ctx, call, in); err == nil && came.kind == noInput {
			came, err = in.first(ctx, g.patience(in))
		}
		if err != nil {
			return got, err
		}
	}
	if came.kind != aKey {
		if got.Speech, err = in.said(ctx, came.kind == aVoice); err != nil || got.Speech == nil || got.Speech.Transcript != "" {
			return got, err
		}
		if came = in.pressed(); came.kind == noInput {
			return got, nil
		}
		got.Speech = nil // it was a cough, or the tone of the key
	}
	in.stop()
	for came.kind == aKey {
		if strings.IndexByte(g.Terminating, came.key) >= 0 {
			got.TerminatingDigit = string(rune(came.key))
			return got, nil
		}
		if got.Digits += string(rune(came.key)); len(got.Digits) >= g.MaxDigits {
			return got, nil
		}
		if came, err = in.first(ctx, g.InterTimeout); err != nil {
			return got, err
		}
	}
	return got, nil
}

// prompt plays the prompts, until somebody presses a key or speaks.
func (g *Gather) prompt(ctx context.Context, call Call, in *inputs) (came input, err error) {
	playing, over := context.WithCancelCause(ctx)
	defer over(nil)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		if came, _ = in.next(playing, nil); came.kind != noInput {
			over(errInput)
		}
	}()
	for _, prompt := range g.Prompts {
		if _, err = prompt.Execute(playing, call); err != nil {
			break
		}
	}
	over(nil)
	<-listened
	if came.kind != noInput && ctx.Err() == nil {
		err = nil // whatever became of the sound
	}
	return came, err
}
