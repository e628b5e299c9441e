package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) {
	sip.UDPMTUSize = 65507 + 200 // as the program has it: what is echoed may be long
	sip.Timer_L = sip.T1
	sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) // what the library writes past the node's logger
	goleak.VerifyTestMain(recordingTests{m})
}

// bubble is a node with all that is around it, in memory and in a testing/synctest bubble: time stands still while
// anything can happen, and passes at once while nothing can.
type bubble struct {
	store   state.Store // nil: the one that the configuration names
	t       *testing.T
	net     *scenario.Memory
	script  *scenario.Script
	app     *scenario.ScriptedApplication // http://app.example
	phone   *scenario.ScriptedPhone       // sip:phone@10.0.1.1:5060, over UDP
	speech  *fakeSpeech
	hearing *fakeHearing
	logs    *observer.ObservedLogs
	node    *node.Node
}

// leftover is longer than every timer of SIP and every pause that may outlive a node's work: nothing is left of a bubble
// after it.
const leftover = 70 * time.Second

// inBubble runs f with a node that takes calls. Its configuration is the default one, with SIP on udp and tcp
// 10.0.0.1:5060, HTTP on 10.0.0.1:8088 and one application, unless change does something about it.
func inBubble(t *testing.T, change func(*node.Config), f func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, net: scenario.NewMemory(), speech: &fakeSpeech{length: 2 * time.Second}, hearing: &fakeHearing{}}
		b.script = scenario.NewScript(t, b.net, 0)
		b.app = b.script.Application(scenario.ApplicationConfig{Address: "10.0.0.2:80"})
		b.phone = b.script.Phone(scenario.PhoneConfig{Address: "10.0.1.1:5060"})
		cfg := bubbleConfig()
		if change != nil {
			change(&cfg)
		}
		b.start(cfg)
		f(t, b)
	})
}

func bubbleConfig() node.Config {
	sip := netip.MustParseAddrPort("10.0.0.1:5060")
	cfg := node.DefaultConfig()
	cfg.State.Dir = "" // a bubble's clock stands still while a file is written
	cfg.Applications = []node.Application{application("app", "http://app.example")}
	cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: sip}, {Network: "tcp", Addr: sip}}
	cfg.SIP.SilenceAfter = 0        // tests break rules on purpose
	cfg.SIP.OverloadControl = false // the machine has other work
	cfg.API.Listen, cfg.API.PublicURL = "10.0.0.1:8088", "http://10.0.0.1:8088"
	return cfg
}

// application is one that takes every call.
func application(id, base string) node.Application {
	return node.Application{
		ID: id, Match: []string{"*"},
		CallInitiatedCallbackURL: base + "/initiate", CallInitiatedMethod: "POST", CallInitiatedFallbackMethod: "POST",
		CallStatusCallbackURL: base + "/status", CallStatusMethod: "POST",
		CallbackTimeout: 15 * time.Second,
	}
}

func (b *bubble) start(cfg node.Config) {
	core, logs := observer.New(zapcore.DebugLevel)
	b.logs = logs
	opts := []node.Option{node.WithNetwork(recorded(b.net)), node.WithLogger(zap.New(core))}
	if cfg.Media.TTS.Engine == node.EngineESpeak {
		opts = append(opts, node.WithSynthesizer(b.speech))
	}
	if cfg.Media.STT.Engine == node.EnginePocketsphinx {
		opts = append(opts, node.WithTranscriber(b.hearing))
	}
	if b.store != nil {
		opts = append(opts, node.WithStore(b.store))
	}
	n, err := node.New(cfg, opts...)
	require.NoError(b.t, err)
	b.node = n
	b.t.Cleanup(func() {
		assert.NoError(b.t, n.Close())
		time.Sleep(leftover)
		b.oneDisconnectAtMost()
	})
	require.NoError(b.t, n.Start(b.t.Context()))
}

// uri is where a user of the node is called.
func (b *bubble) uri(user string) string { return "sip:" + user + "@10.0.0.1:5060" }

// invite places a call for which the application has this document, and does not wait for its answer.
func (b *bubble) invite(document string) *scenario.ScriptedCall {
	b.t.Helper()
	b.app.On("initiate", scenario.BXML(document))
	return b.phone.Invite(scenario.Invite{To: b.uri("desk")})
}

// call places a call for which the application has this document, and returns when it is answered.
func (b *bubble) call(document string) *scenario.ScriptedCall {
	b.t.Helper()
	c := b.invite(document)
	c.Answered()
	return c
}

// disconnect waits for the next disconnect event and checks its cause; message, if not empty, is a part of its
// errorMessage, which an ordinary end must not have.
func (b *bubble) disconnect(cause, message string) *scenario.ScriptedEvent {
	b.t.Helper()
	e := b.app.Expect("disconnect")
	require.Equal(b.t, cause, e.Text("cause"), "errorMessage: %s", e.Text("errorMessage"))
	if message == "" {
		e.Check(map[string]any{"errorMessage": scenario.Absent, "errorId": scenario.Absent})
		return e
	}
	require.Contains(b.t, e.Text("errorMessage"), message)
	e.Check(map[string]any{"errorId": scenario.Present})
	return e
}

// ended waits until nothing moves any more and returns the one disconnect event that there must be by then.
func (b *bubble) ended() *scenario.Event {
	b.t.Helper()
	time.Sleep(leftover)
	events := b.app.EventsOf("disconnect")
	require.Len(b.t, events, 1)
	return events[0]
}

// oneDisconnectAtMost holds for every test: further deliveries of a call's disconnect have the id of the first.
func (b *bubble) oneDisconnectAtMost() {
	ids := map[string]string{}
	for _, e := range b.app.EventsOf("disconnect") {
		id, again := ids[e.Text("callId")]
		assert.True(b.t, !again || id == e.ID(), "two disconnect events of one call: %s", e)
		ids[e.Text("callId")] = e.ID()
	}
}

// record returns the record of the call that an event is about.
func (b *bubble) record(e interface{ Text(string) string }) state.Record {
	b.t.Helper()
	r, err := b.node.Store().Record(b.t.Context(), e.Text("callId"))
	require.NoError(b.t, err)
	return r
}

// journal returns the journal of the call that an event is about.
func (b *bubble) journal(e interface{ Text(string) string }) []state.Entry {
	b.t.Helper()
	entries, err := b.node.Store().Journal(b.t.Context(), e.Text("callId"))
	require.NoError(b.t, err)
	return entries
}

// get asks the node's HTTP side.
func (b *bubble) get(path string) (status int, body string) { return b.getAs("", "", path) }

// getAs asks with the credentials of HTTP Basic, unless there is no name.
func (b *bubble) getAs(username, password, path string) (status int, body string) {
	b.t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: b.net.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://"+b.node.APIAddr().String()+path, nil)
	require.NoError(b.t, err)
	if username != "" {
		req.SetBasicAuth(username, password)
	}
	res, err := client.Do(req)
	require.NoError(b.t, err)
	data, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	require.NoError(b.t, res.Body.Close())
	return res.StatusCode, string(data)
}

// metrics reads /metrics: values by name and labels, as they are written there.
func (b *bubble) metrics() map[string]float64 {
	b.t.Helper()
	status, body := b.get("/metrics")
	require.Equal(b.t, 200, status)
	values := map[string]float64{}
	for line := range strings.Lines(body) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && line[0] != '#' {
			values[name+"}"] = number(b.t, value)
		} else if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && line[0] != '#' {
			values[name] = number(b.t, value)
		}
	}
	return values
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return v
}

// since is the time from one moment to another, to the millisecond.
func since(from, to time.Time) time.Duration { return to.Sub(from).Round(time.Millisecond) }

// heard is all that the phone has heard of a call until now.
func heard(c *scenario.ScriptedCall) scenario.Sound {
	synctest.Wait() // the last packet may still be on its way
	return c.Heard()
}

// sounds compares a time in which sound was played: where it begins in the very instant of a step of the sender's clock, its
// first frame goes out with that step or with the next one, as it happens, and the playing is over when the last one has been
// sent. A sound that begins beside the clock's steps has an exact time.
func sounds(t *testing.T, want, got time.Duration) {
	t.Helper()
	assert.InDelta(t, want, got, float64(20*time.Millisecond), "%v", got)
}

// fakeSpeech speaks every text as a tone.
type fakeSpeech struct {
	length time.Duration // of every text
	err    error
	panics bool

	mu    sync.Mutex
	asked []media.Utterance
}

// toneOfSpeech is how the fake speech sounds.
const toneOfSpeech = 1000

func (s *fakeSpeech) Synthesize(_ context.Context, u media.Utterance) (media.Source, error) {
	s.mu.Lock()
	s.asked = append(s.asked, u)
	s.mu.Unlock()
	if s.panics {
		panic("the speech engine is broken")
	}
	if s.err != nil {
		return nil, s.err
	}
	return &tone{left: int(s.length.Seconds() * media.SampleRate)}, nil
}

// texts returns what was to be said, in order.
func (s *fakeSpeech) texts() (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.asked {
		texts = append(texts, u.Text)
	}
	return texts
}

// tone is a source of a sine.
type tone struct{ at, left int }

func (s *tone) ReadFrame(dst []int16) (int, error) {
	n := min(len(dst), s.left)
	for i := range n {
		dst[i] = int16(8000 * math.Sin(2*math.Pi*toneOfSpeech*float64(s.at+i)/media.SampleRate))
	}
	s.at, s.left = s.at+n, s.left-n
	if s.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (s *tone) Close() error { return nil }

// documents as applications write them.
func response(verbs string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><Response>` + verbs + `</Response>`
}

func TestTheHarnessPlacesACall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		c := b.call(response(`<SpeakSentence>Hello</SpeakSentence>`))
		c.Expect("BYE")
		sounds(t, 2*time.Second, since(began, time.Now()))
		e := b.disconnect("hangup", "")
		assert.Equal(t, "disconnected", b.record(e).State)
		assert.NotEmpty(t, b.journal(e))
		assert.Equal(t, []string{"Hello"}, b.speech.texts())
		assert.Equal(t, e.ID(), b.ended().ID())
		status, body := b.get("/readyz")
		assert.Equal(t, "200 ready\n", fmt.Sprint(status, " ", body))
	})
}

// basicAuth reads an Authorization header; empty strings if it is none of HTTP Basic.
func basicAuth(header string) (username, password string) {
	r := http.Request{Header: http.Header{"Authorization": {header}}}
	username, password, _ = r.BasicAuth()
	return username, password
}
