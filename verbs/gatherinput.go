package verbs

import (
	"context"
	"time"

	"github.com/callengine/callengine/webhook"
)

// inputs are the ways in which the other side can answer a [Gather].
type inputs struct {
	keys   <-chan byte // nil: keys do not count
	speech Recognition // nil: speech does not count, or no more
	failed error       // why it does not any more
}

// input is what came first.
type input struct {
	kind inputKind
	key  byte // of aKey
}

type inputKind int

const (
	noInput inputKind = iota
	aKey              // was pressed
	aVoice            // begins to speak
	noMore            // can come
)

// hears reports why the call cannot do what only speech can.
func (g *Gather) hears(call Call) error {
	if g.Input != "speech" {
		return nil
	}
	recognizer, ok := call.(Recognizer)
	if !ok {
		return g.lacks("recognise speech")
	}
	if err := recognizer.CanRecognize(); err != nil {
		return &ActionError{Verb: g.name, Reason: "speech cannot be recognised: " + err.Error(), Err: err}
	}
	return nil
}

// listen begins to listen to what counts.
func (g *Gather) listen(ctx context.Context, call Call, keys <-chan byte) (*inputs, error) {
	in := &inputs{}
	if g.Input != "speech" {
		in.keys = keys
	}
	if g.Input == "dtmf" {
		return in, nil
	}
	recognizer, ok := call.(Recognizer)
	if !ok {
		return in, nil
	}
	wanted, err := g.wanted(ctx, call)
	if err != nil {
		return nil, err
	}
	if in.speech, err = recognizer.Recognize(ctx, wanted); err != nil {
		if in.speech = nil; g.Input == "speech" {
			return nil, ended(ctx, &ActionError{Verb: g.name, Reason: "speech cannot be recognised: " + err.Error(), Err: err})
		}
	}
	return in, nil
}

// wanted is what is listened for. Who is told of partial results is told by the call, behind the verb.
func (g *Gather) wanted(ctx context.Context, call Call) (SpeechInput, error) {
	wanted := g.Speech
	background, tells := call.(Background)
	if g.Partial == nil || !tells {
		return wanted, nil
	}
	to := *g.Partial
	var err error
	if to.URL, err = call.URL(to.URL); err != nil {
		return wanted, &ActionError{Verb: g.name, Reason: err.Error(), Err: err}
	}
	wanted.Partial = func(transcript string) {
		// That one is lost does not end the call: who hands it over reports it.
		_ = background.Tell(ctx, to, webhook.NewPartialGather(call.Info(), transcript))
	}
	return wanted, nil
}

// patience is how long is waited for a first input: as long as for the one that may come last.
func (g *Gather) patience(in *inputs) time.Duration {
	switch {
	case in.speech == nil:
		return g.FirstTimeout
	case in.keys == nil:
		return g.SpeechTimeout
	}
	return max(g.FirstTimeout, g.SpeechTimeout)
}

// stop ends the listening to speech.
func (in *inputs) stop() {
	if in.speech != nil {
		in.speech.Stop()
		in.speech = nil
	}
}

// first waits for an input, or returns the context's cause.
func (in *inputs) first(ctx context.Context, within time.Duration) (input, error) {
	if came := in.ready(); came.kind != noInput || within <= 0 {
		return came, ended(ctx, nil)
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	return in.next(ctx, timer.C)
}

// ready is an input that came before the wait begins.
func (in *inputs) ready() input {
	if came := in.pressed(); came.kind != noInput {
		return came
	}
	if in.speech != nil {
		select {
		case <-in.speech.Began():
			return input{kind: aVoice}
		default:
		}
	}
	return input{}
}

// pressed is a key that was pressed already.
func (in *inputs) pressed() input {
	select {
	case key := <-in.keys:
		return input{aKey, key}
	default:
		return input{}
	}
}

// next waits for an input, until over, or returns the context's cause. A key that came before counts, and comes before
// speech that came with it. Speech that cannot be recognised any more does not count, where keys do.
func (in *inputs) next(ctx context.Context, over <-chan time.Time) (input, error) {
	for {
		if came := in.ready(); came.kind != noInput {
			return came, nil
		}
		var began, done <-chan struct{}
		if in.speech != nil {
			began, done = in.speech.Began(), in.speech.Done()
		}
		select {
		case key := <-in.keys:
			return input{aKey, key}, nil
		case <-began: // a key may have come with it
		case <-done:
			if came := in.ready(); came.kind != noInput {
				return came, nil
			}
			if _, in.failed = in.speech.Said(); in.keys == nil {
				return input{kind: noMore}, nil
			}
			in.stop()
		case <-over:
			return input{}, nil
		case <-ctx.Done():
			return input{}, context.Cause(ctx)
		}
	}
}

// said waits for what was said, where somebody spoke; nil: nobody did, and nothing went wrong.
func (in *inputs) said(ctx context.Context, spoke bool) (*webhook.Speech, error) {
	if spoke {
		select {
		case <-in.speech.Done():
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		said, err := in.speech.Said()
		if err == nil {
			return &said, nil
		}
		in.failed = err
	}
	if in.failed == nil {
		return nil, nil
	}
	return &webhook.Speech{ErrorMessage: in.failed.Error()}, nil
}
