package verbs

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/callengine/callengine/webhook"
)

// fakeCall is a call with every ability. It records what is asked of it, in order.
type fakeCall struct {
	mu  sync.Mutex
	did []string

	info       webhook.Call
	cannot     error // why it cannot be referred
	answerErr  error
	referErr   error
	urlErr     error
	playErr    error
	referral   *fakeReferral
	replies    func(ctx context.Context, n int) (webhook.Reply, error) // of Ask; n counts from 1
	asked      []webhook.Event
	askedOf    []webhook.Target
	spoken     []Speech
	hangupLive bool // the context of Hangup was not ended

	behind    []*fakeActivity
	told      []webhook.Event
	toldTo    []webhook.Target
	tellErr   error
	takeEnds  time.Duration // of Record: after which its recording ends by itself
	recorded  []Recording   // that were begun
	recordErr error

	opening        func(ctx context.Context, s StreamConfig) (Stream, error) // nil: it works
	streams        []*fakeStream
	transcriptions []*fakeTranscription
	openErr        error

	deaf    error                    // why no speech is recognised
	speaker func(r *fakeRecognition) // who speaks, in a goroutine; nil: nobody does
	heard   sync.WaitGroup           // the goroutines of speaker
	wanted  []SpeechInput            // that was listened for

	keys chan byte                                    // nil: nobody presses any
	play func(ctx context.Context, what string) error // what Speak and PlayURL do; nil: they return at once
}

var (
	_ Referrer    = (*fakeCall)(nil)
	_ Player      = (*fakeCall)(nil)
	_ Ringer      = (*fakeCall)(nil)
	_ Hanger      = (*fakeCall)(nil)
	_ Keypad      = (*fakeCall)(nil)
	_ Dialer      = (*fakeCall)(nil)
	_ Background  = (*fakeCall)(nil)
	_ Recorder    = (*fakeCall)(nil)
	_ Streamer    = (*fakeCall)(nil)
	_ Transcriber = (*fakeCall)(nil)
	_ Recognizer  = (*fakeCall)(nil)
)

func (c *fakeCall) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did = append(c.did, fmt.Sprintf(format, args...))
}

// done returns what was asked of the call so far.
func (c *fakeCall) done() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.did)
}

func (c *fakeCall) Info() webhook.Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

func (c *fakeCall) SetTag(tag string) {
	c.note("tag %q", tag)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info.Tag = tag
}

func (c *fakeCall) Answer(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.note("answer")
	if c.answerErr != nil {
		return c.answerErr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.info.Answered() {
		c.info.AnswerTime = time.Now()
	}
	return nil
}

func (c *fakeCall) URL(ref string) (string, error) {
	base, err := url.Parse("https://app.example/a/bxml")
	if err != nil {
		return "", err
	}
	u, err := base.Parse(ref)
	if err != nil {
		return "", err
	}
	return u.String(), c.urlErr
}

func (c *fakeCall) Ask(ctx context.Context, to webhook.Target, ev webhook.Event) (webhook.Reply, error) {
	c.note("ask %s %s %s", ev.Type, to.Method, to.URL)
	c.asked, c.askedOf = append(c.asked, ev), append(c.askedOf, to)
	if c.replies != nil {
		return c.replies(ctx, len(c.asked))
	}
	return webhook.Reply{Status: 200, Body: []byte("<Response/>")}, nil
}

func (c *fakeCall) Hangup(ctx context.Context) error {
	c.note("hangup")
	c.hangupLive = ctx.Err() == nil
	return nil
}

func (c *fakeCall) Ring(context.Context) error {
	c.note("ring")
	return nil
}

func (c *fakeCall) CanRefer(string) error { return c.cannot }

func (c *fakeCall) Refer(_ context.Context, target string) (Referral, error) {
	c.note("refer %s", target)
	if c.referErr != nil {
		return nil, c.referErr
	}
	return c.referral, nil
}

func (c *fakeCall) Speak(ctx context.Context, s Speech) error {
	c.note("speak %s", s.Text)
	c.spoken = append(c.spoken, s)
	if c.play != nil {
		return c.play(ctx, s.Text)
	}
	return c.playErr
}

func (c *fakeCall) PlayURL(ctx context.Context, url string, auth *webhook.BasicAuth) error {
	c.note("play %s %v", url, auth)
	if c.play != nil {
		return c.play(ctx, url)
	}
	return c.playErr
}

func (c *fakeCall) Digits() (<-chan byte, func()) { return c.keys, func() {} }

func (c *fakeCall) TakeDigits() (<-chan byte, func()) { return c.keys, func() {} }

func (c *fakeCall) OverhearDigits() (<-chan byte, func()) {
	c.note("overhear")
	return c.keys, func() { c.note("overhear no more") }
}

// Begin runs an activity until End or the test's own end.
func (c *fakeCall) Begin(ctx context.Context, a Activity) {
	begun := &fakeActivity{Activity: a, done: make(chan struct{})}
	ctx, begun.end = context.WithCancelCause(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behind = append(c.behind, begun)
	go func() {
		defer close(begun.done)
		a.Run(ctx)
	}()
}

// fakeActivity is what goes on behind the verbs.
type fakeActivity struct {
	Activity
	end  context.CancelCauseFunc
	done chan struct{}
}

func (c *fakeCall) Running() (all []Activity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.behind {
		select {
		case <-a.done:
		default:
			all = append(all, a.Activity)
		}
	}
	return all
}

func (c *fakeCall) End(a Activity) { c.endAll(ErrStopped, a) }

// endAll ends activities, all of them where none is named.
func (c *fakeCall) endAll(cause error, named ...Activity) {
	c.mu.Lock()
	behind := slices.Clone(c.behind)
	c.mu.Unlock()
	for _, have := range behind {
		if len(named) == 0 || slices.Contains(named, have.Activity) {
			have.end(cause)
			<-have.done
		}
	}
}

func (c *fakeCall) Tell(_ context.Context, to webhook.Target, ev webhook.Event) error {
	c.note("tell %s %s %s", ev.Type, to.Method, to.URL)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told, c.toldTo = append(c.told, ev), append(c.toldTo, to)
	return c.tellErr
}

func (c *fakeCall) PlayRinging(ctx context.Context) error {
	c.note("ringing tone")
	<-ctx.Done()
	return c.playErr
}

// fakeReferral is a REFER under way, whose outcome the test tells.
type fakeReferral struct {
	once   sync.Once
	done   chan struct{}
	result ReferResult
	known  ReferResult // the outcome if it is interrupted
	note   func(string, ...any)
}

// refer gives the call a referral.
func (c *fakeCall) refer() *fakeReferral {
	c.referral = &fakeReferral{done: make(chan struct{}), note: c.note}
	return c.referral
}

func (r *fakeReferral) end(result ReferResult) {
	r.once.Do(func() {
		r.result = result
		close(r.done)
	})
}

func (r *fakeReferral) Done() <-chan struct{} { return r.done }
func (r *fakeReferral) Result() ReferResult   { return r.result }

func (r *fakeReferral) Interrupt() {
	r.note("interrupt")
	r.end(r.known)
}

func (c *fakeCall) SendDigits(_ context.Context, strokes []Stroke) error {
	for _, s := range strokes {
		c.note("press %q %v %v", s.Key, s.Length, s.Pause)
	}
	return c.playErr
}

// fakeTake is a recording that the test ends.
type fakeTake struct {
	note  func(string, ...any)
	ended chan struct{}
}

func (t *fakeTake) Ended() <-chan struct{} { return t.ended }

func (t *fakeTake) Stop(digit bool) webhook.Recording {
	t.note("stop %v", digit)
	return webhook.Recording{ID: "r-1", MediaURL: "https://node.example/r-1/media", Channels: 1, Format: "wav", Duration: 1500 * time.Millisecond}
}

func (c *fakeCall) Record(r Recording) (Take, error) {
	c.note("record")
	c.recorded = append(c.recorded, r)
	take := &fakeTake{c.note, make(chan struct{})}
	if time.AfterFunc(c.takeEnds, func() { close(take.ended) }); c.recordErr != nil {
		return nil, c.recordErr
	}
	return take, nil
}

func (c *fakeCall) StartRecording(r Recording) error {
	c.note("start recording")
	c.recorded = append(c.recorded, r)
	return c.recordErr
}

func (c *fakeCall) StopRecording()   { c.note("stop recording") }
func (c *fakeCall) PauseRecording()  { c.note("pause recording") }
func (c *fakeCall) ResumeRecording() { c.note("resume recording") }

// fakeStream is a stream whose other side is the test.
type fakeStream struct {
	StreamConfig
	fakeTap
}

func (c *fakeCall) OpenStream(ctx context.Context, s StreamConfig) (Stream, error) {
	c.note("open %s", s.Destination)
	if c.opening != nil {
		return c.opening(ctx, s)
	}
	opened := &fakeStream{s, newFakeTap()}
	c.streams = append(c.streams, opened)
	return opened, nil
}

func (c *fakeCall) NoteStream(s StreamConfig, change TapChange) {
	name := s.Name
	if name == s.ID {
		name = "its id"
	}
	c.note("%s %s %s", name, change.Event, change.Cause)
}
