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

// Gather collects digits while prompts are played.
type Gather struct {
	heading
	Target       *webhook.Target // nil: the digits are thrown away; its URLs as in the document
	Tag          *string
	Input        string
	MaxDigits    int
	Terminating  string // keys, in capitals
	FirstTimeout time.Duration
	InterTimeout time.Duration
	Rounds       int
	Prompts      []Verb
}

// gatherDef has the attributes of speech, too.
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

// errPressed ends a prompt.
var errPressed = errors.New("a digit was pressed")

// Execute needs a [Keypad], and a [Player] for its prompts. Keys that were pressed before it are dropped. With a URL the
// reply to the gather event replaces the document. There is no speech recognition: where digits count, too, they are
// collected alone, and where only speech counts, the call cannot do it.
func (g *Gather) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, g.Tag)
	if g.Input == "speech" {
		return Outcome{}, g.lacks("recognise speech")
	}
	if g.Target != nil && asked(call, "gather") {
		return g.ask(ctx, call, webhook.Gathered{})
	}
	keypad, ok := call.(Keypad)
	if !ok {
		return Outcome{}, g.lacks("collect digits")
	}
	keys, stop := keypad.TakeDigits() // before the answer: the first key may come with the ACK
	defer stop()
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	collected, err := g.collect(ctx, call, keys)
	stop()
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

// collect plays the prompts and collects digits until there are enough or no more come.
func (g *Gather) collect(ctx context.Context, call Call, keys <-chan byte) (got webhook.Gathered, err error) {
	key, pressed := byte(0), false
	for round := 0; round < g.Rounds && !pressed; round++ {
		if key, pressed, err = g.prompt(ctx, call, keys); err != nil {
			return got, err
		}
		if !pressed {
			if key, pressed, err = next(ctx, keys, g.FirstTimeout); err != nil {
				return got, err
			}
		}
	}
	for pressed {
		if strings.IndexByte(g.Terminating, key) >= 0 {
			got.TerminatingDigit = string(rune(key))
			return got, nil
		}
		if got.Digits += string(rune(key)); len(got.Digits) >= g.MaxDigits {
			return got, nil
		}
		if key, pressed, err = next(ctx, keys, g.InterTimeout); err != nil {
			return got, err
		}
	}
	return got, nil
}

// prompt plays the prompts, up to the first key.
func (g *Gather) prompt(ctx context.Context, call Call, keys <-chan byte) (key byte, pressed bool, err error) {
	playing, over := context.WithCancelCause(ctx)
	defer over(nil)
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		select {
		case key = <-keys:
			pressed = true
			over(errPressed)
		case <-playing.Done():
		}
	}()
	for _, prompt := range g.Prompts {
		if _, err = prompt.Execute(playing, call); err != nil {
			break
		}
	}
	over(nil)
	<-listened
	if pressed && ctx.Err() == nil {
		err = nil // whatever became of the sound
	}
	return key, pressed, err
}

// next waits for a key, or returns the context's cause.
func next(ctx context.Context, keys <-chan byte, within time.Duration) (key byte, pressed bool, err error) {
	select {
	case key = <-keys: // it came before the wait began
		return key, true, nil
	default:
	}
	if within <= 0 {
		return 0, false, ended(ctx, nil)
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case key = <-keys:
		return key, true, nil
	case <-timer.C:
		return 0, false, nil
	case <-ctx.Done():
		return 0, false, context.Cause(ctx)
	}
}
