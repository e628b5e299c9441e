package verbs

import (
	"context"
	"strings"
	"time"

	"github.com/callengine/callengine/webhook"
)

// Record records the other side as a step of its own.
type Record struct {
	heading
	Recording
	Target      *webhook.Target // of recordComplete; nil: the document goes on
	Terminating string          // keys, in capitals
}

var recordDef = definition{
	name: "Record",
	attributes: []attribute{
		urlAttr("recordCompleteUrl"),
		methodAttr("recordCompleteMethod"),
		urlAttr("recordCompleteFallbackUrl"),
		methodAttr("recordCompleteFallbackMethod"),
		urlAttr("recordingAvailableUrl"),
		methodAttr("recordingAvailableMethod"),
		booleanAttr("transcribe", "false"),
		booleanAttr("detectLanguage", "false"),
		urlAttr("transcriptionAvailableUrl"),
		methodAttr("transcriptionAvailableMethod"),
		userAttr("username", "recordCompleteUrl", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		passwordAttr("password", "recordCompleteUrl", "recordingAvailableUrl", "transcriptionAvailableUrl").overHTTPS(),
		userAttr("fallbackUsername", "recordCompleteFallbackUrl").overHTTPS(),
		passwordAttr("fallbackPassword", "recordCompleteFallbackUrl").overHTTPS(),
		tagAttr(),
		stringAttr("terminatingDigits").or("#").as(formatDigits),
		integerAttr("maxDuration").or("60").atLeast(1).atMost(10800).in(time.Second),
		numberAttr("silenceTimeout").or("0").atLeast(0).atMost(10800).in(time.Second),
		fileFormatAttr(),
	},
	misspellings:     map[string]string{"recordCompleteFallback_url": "", "recordCompleteFallback_method": ""},
	inTransferAnswer: true,
	read: func(n *node) Verb {
		r := &Record{
			heading:     n.heading(),
			Recording:   n.recording(),
			Terminating: strings.ToUpper(n.str("terminatingDigits")),
		}
		r.Longest, r.Silence = n.duration("maxDuration"), n.duration("silenceTimeout")
		if n.has("recordCompleteUrl") {
			r.Target = n.target("recordComplete")
			if n.has("recordCompleteFallbackUrl") {
				r.Target.Fallback = n.target("recordCompleteFallback")
				r.Target.Fallback.Auth = n.auth("fallbackUsername", "fallbackPassword")
			}
		}
		return r
	},
}

func fileFormatAttr() attribute { return enumAttr("fileFormat", "wav", "mp3").or("wav") }

// recording reads the attributes that Record and StartRecording share.
func (n *node) recording() Recording {
	r := Recording{Format: n.str("fileFormat"), Tag: n.optional("tag"), Transcribe: n.boolean("transcribe")}
	r.DetectLanguage = r.Transcribe && n.boolean("detectLanguage")
	if n.has("recordingAvailableUrl") {
		r.Available = n.target("recordingAvailable")
	}
	if r.Transcribe && n.has("transcriptionAvailableUrl") {
		r.Transcribed = n.target("transcriptionAvailable")
	}
	return r
}

// target reads an event's URL, its method, and the credentials of the element.
func (n *node) target(event string) *webhook.Target {
	return &webhook.Target{URL: n.str(event + "Url"), Method: n.str(event + "Method"), Auth: n.auth("username", "password")}
}

// Execute needs a [Recorder], and a [Keypad] for the digits that end it. A recording that the call's end or another
// document ends is kept, and recordComplete is not sent. With a URL the reply to recordComplete replaces the document.
func (r *Record) Execute(ctx context.Context, call Call) (Outcome, error) {
	setTag(call, r.Tag)
	recorder, ok := call.(Recorder)
	keypad, hears := call.(Keypad)
	if !ok || !hears {
		return Outcome{}, r.lacks("be recorded")
	}
	if err := call.Answer(ctx); err != nil {
		return Outcome{}, ended(ctx, err)
	}
	keys, deafen := keypad.Digits()
	defer deafen()
	take, err := recorder.Record(r.Recording)
	if err != nil {
		return Outcome{}, &ActionError{Verb: r.name, Reason: err.Error(), Err: err}
	}
	digit := r.wait(ctx, keys, take)
	deafen()
	recorded := take.Stop(digit)
	if ctx.Err() != nil || r.Target == nil {
		return Outcome{}, ended(ctx, nil)
	}
	reply, err := call.Ask(ctx, *r.Target, webhook.NewRecordComplete(call.Info(), recorded))
	if err = ended(ctx, err); err != nil {
		return Outcome{}, err
	}
	return Outcome{Replace: &reply}, nil
}

// wait waits for the end, and reports whether a digit was it.
func (r *Record) wait(ctx context.Context, keys <-chan byte, take Take) (digit bool) {
	for {
		select {
		case key := <-keys:
			if strings.IndexByte(r.Terminating, key) >= 0 {
				return true
			}
		case <-take.Ended():
			return false
		case <-ctx.Done():
			return false
		}
	}
}
