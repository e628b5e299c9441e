package interpreter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/require"
)

// fakeLeg records what is done to it.
type fakeLeg struct {
	mu           sync.Mutex
	did          []string
	status       int // of the rejection
	answer       error
	ended        time.Time
	answering    func(ctx context.Context) error // nil: answer
	speaking     func(ctx context.Context, s verbs.Speech) error
	referral     *fakeReferral
	noRefer      error
	keys         chan byte
	recordings   []verbs.Recording // of StartRecording
	recognizing  func(ctx context.Context, s verbs.SpeechInput) (verbs.Recognition, error)
	opening      func(ctx context.Context, s verbs.StreamConfig) (verbs.Stream, error)
	transcribing func(ctx context.Context, t verbs.TranscriptionConfig) (verbs.Transcription, error)
}

func (l *fakeLeg) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.did = append(l.did, what)
}

func (l *fakeLeg) Answer(ctx context.Context) error {
	l.note("answer")
	if l.answering != nil {
		return l.answering(ctx)
	}
	return l.answer
}
func (l *fakeLeg) Reject(_ context.Context, status int) error {
	l.note("reject")
	l.status = status
	return nil
}
func (l *fakeLeg) Bye(context.Context) error  { l.note("bye"); return nil }
func (l *fakeLeg) EndTime() time.Time         { return l.ended }
func (l *fakeLeg) Ring(context.Context) error { l.note("ring"); return nil }
func (l *fakeLeg) CanRefer(string) error      { return l.noRefer }
func (l *fakeLeg) Refer(_ context.Context, target string) (verbs.Referral, error) {
	l.note("refer " + target)
	return l.referral, nil
}
func (l *fakeLeg) Speak(ctx context.Context, s verbs.Speech) error {
	l.note("speak " + s.Text)
	if l.speaking != nil {
		return l.speaking(ctx, s)
	}
	return nil
}
func (l *fakeLeg) PlayURL(_ context.Context, url string, _ *webhook.BasicAuth) error {
	l.note("play " + url)
	return nil
}
func (l *fakeLeg) Digits() (<-chan byte, func())     { return nil, func() {} }
func (l *fakeLeg) TakeDigits() (<-chan byte, func()) { return nil, func() {} }
func (l *fakeLeg) OverhearDigits() (<-chan byte, func()) {
	l.note("overhear")
	return l.keys, func() { l.note("overhear no more") }
}
func (l *fakeLeg) CanRecognize() error { return nil }
func (l *fakeLeg) Recognize(ctx context.Context, s verbs.SpeechInput) (verbs.Recognition, error) {
	l.note("recognize")
	return l.recognizing(ctx, s)
}
func (l *fakeLeg) OpenStream(ctx context.Context, s verbs.StreamConfig) (verbs.Stream, error) {
	l.note("stream to " + s.Destination)
	return l.opening(ctx, s)
}
func (l *fakeLeg) SendDigits(_ context.Context, strokes []verbs.Stroke) error {
	l.note(fmt.Sprintf("%d strokes", len(strokes)))
	return nil
}
func (l *fakeLeg) OpenTranscription(ctx context.Context, _ webhook.Call, t verbs.TranscriptionConfig) (verbs.Transcription, error) {
	l.note("transcribe " + t.Name)
	return l.transcribing(ctx, t)
}
func (l *fakeLeg) PlayRinging(ctx context.Context) error {
	l.note("ringing")
	<-ctx.Done()
	return nil
}

type fakeReferral struct {
	once   sync.Once
	done   chan struct{}
	result verbs.ReferResult
}

func (l *fakeLeg) Record(webhook.Call, verbs.Recording) verbs.Take { panic("nothing is recorded here") }
func (l *fakeLeg) StartRecording(_ webhook.Call, r verbs.Recording) {
	l.recordings = append(l.recordings, r)
}
func (l *fakeLeg) StopRecording()   {}
func (l *fakeLeg) PauseRecording()  {}
func (l *fakeLeg) ResumeRecording() {}

func newReferral() *fakeReferral { return &fakeReferral{done: make(chan struct{})} }

func (r *fakeReferral) end(result verbs.ReferResult) {
	r.once.Do(func() { r.result = result; close(r.done) })
}
func (r *fakeReferral) Done() <-chan struct{}     { return r.done }
func (r *fakeReferral) Result() verbs.ReferResult { return r.result }
func (r *fakeReferral) Interrupt()                { r.end(verbs.ReferResult{}) }

// fakeApplication answers events with documents, by event type, one after the other; the last one again and again.
type fakeApplication struct {
	mu      sync.Mutex
	replies map[string][]any // string: a document; error; func(ctx) (string, error)
	asked   []question
	sent    []question
}

type question struct {
	to webhook.Target
	ev webhook.Event
}

func (a *fakeApplication) Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error) {
	a.mu.Lock()
	a.asked = append(a.asked, question{to, ev})
	list := a.replies[ev.Type]
	if len(list) > 1 {
		a.replies[ev.Type] = list[1:]
	}
	a.mu.Unlock()
	if len(list) == 0 {
		return webhook.Reply{}, errors.New("no reply was scripted for " + ev.Type)
	}
	switch r := list[0].(type) {
	case string:
		return webhook.Reply{URL: to.URL, Status: 200, Body: []byte(r)}, nil
	case error:
		return webhook.Reply{}, r
	case func(context.Context) (string, error):
		body, err := r(ctx)
		return webhook.Reply{URL: to.URL, Status: 200, Body: []byte(body)}, err
	}
	panic("unknown kind of reply")
}

func (a *fakeApplication) Send(_ context.Context, to webhook.Target, ev webhook.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, question{to, ev})
	return nil
}

// types returns the types of the events, asked and sent.
func types(list []question) []string {
	var all []string
	for _, q := range list {
		all = append(all, q.ev.Type)
	}
	return all
}

// hangsUntilTheEnd is a reply that never comes: the request ends with its context.
func hangsUntilTheEnd(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", context.Cause(ctx)
}

// bench is one call about to run.
type bench struct {
	t       testing.TB
	leg     *fakeLeg
	app     *fakeApplication
	store   *state.Memory
	runner  *Runner
	end     context.CancelCauseFunc
	drain   context.CancelCauseFunc
	close   context.CancelCauseFunc
	ctx     context.Context
	limits  Limits
	panics  int
	callTag string
}

func newBench(t testing.TB, replies map[string][]any) *bench {
	b := &bench{t: t, leg: &fakeLeg{referral: newReferral()}, app: &fakeApplication{replies: replies}}
	b.store = state.NewMemory(state.MemoryConfig{})
	b.limits.Drained, b.drain = context.WithCancelCause(context.Background())
	b.limits.Closed, b.close = context.WithCancelCause(context.Background())
	b.ctx, b.end = context.WithCancelCause(b.limits.Drained)
	t.Cleanup(func() { b.drain(nil); b.close(nil); b.end(nil); require.NoError(t, b.store.Close()) })
	return b
}

// assemble makes the runner; without it run does.
func (b *bench) assemble() {
	app := Application{
		Initiate: webhook.Target{URL: "https://app.example/calls/initiate"},
		Status:   webhook.Target{URL: "https://app.example/status"},
		Timeout:  7 * time.Second,
		Tag:      b.callTag,
	}
	b.runner = New(Config{}, app, verbs.NewParser(verbs.Config{}), b.app, b.app, b.store,
		WithPanicHandler(func(any) { b.panics++ }))
}

// run runs the call to its end.
func (b *bench) run() {
	if b.runner == nil {
		b.assemble()
	}
	b.runner.Run(b.ctx, b.limits, &Arrival{Call: webhook.Call{
		AccountID: "5555555", ApplicationID: "a-1", From: "sip:alice@example.com", To: "sip:desk@node.example",
		Direction: webhook.Inbound, CallID: "c-1", CallURL: "http://node.example/c-1", StartTime: time.Now(),
	}, Invite: webhook.Invite{}}, b.leg)
}

// disconnect returns the properties of the one disconnect event.
func (b *bench) disconnect() map[string]any {
	b.t.Helper()
	b.app.mu.Lock()
	defer b.app.mu.Unlock()
	require.Equal(b.t, []string{"disconnect"}, types(b.app.sent), "there is exactly one disconnect event")
	return properties(b.t, b.app.sent[0].ev)
}
