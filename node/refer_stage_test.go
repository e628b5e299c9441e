package node_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
)

const (
	appURI = "sip:app@127.0.0.1:5060" // what phones call
	target = "sip:bob@example.com"    // what they are referred to
)

// The Refer that most tests run, with a URL and without, and verbs after it that show as a webhook whether they ran.
const (
	referWithURL    = `<Response><Refer referCompleteUrl="/complete"><SipUri>` + target + `</SipUri></Refer><Redirect redirectUrl="/next"/></Response>`
	referWithoutURL = `<Response><Refer><SipUri>` + target + `</SipUri></Refer><Redirect redirectUrl="/next"/></Response>`
	// recovery is what referComplete is answered with: it shows as a webhook, too.
	recovery = `<Response><Redirect redirectUrl="/recovered"/></Response>`
)

// stage is a whole node with a scripted application and a phone, on a network in memory, inside a bubble: its clock
// stands still while anything runs, so that times are exact.
type stage struct {
	*scenario.Script
	t       *testing.T
	network *scenario.Memory
	node    *node.Node
	app     *scenario.ScriptedApplication
	phone   *scenario.ScriptedPhone
	start   time.Time
}

// settings change what a stage is made of.
type settings struct {
	node  func(*node.Config)
	phone scenario.PhoneConfig
}

// onStage runs a script. At its end every call must have had exactly one initiate and one disconnect event, and be over.
func onStage(t *testing.T, with settings, script func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := scenario.NewMemory()
		s := &stage{Script: scenario.NewScript(t, network, 0), t: t, network: network, start: time.Now()}
		s.app = s.Application(scenario.ApplicationConfig{Address: "app.example:80"})
		s.phone = s.Phone(with.phone)
		cfg := node.DefaultConfig()
		cfg.State.Dir = ""
		cfg.Applications = []node.Application{{
			ID: "shop", Match: []string{"*"}, CallbackTimeout: 15 * time.Second,
			CallInitiatedCallbackURL: "http://app.example/initiate", CallInitiatedMethod: "POST", CallInitiatedFallbackMethod: "POST",
			CallStatusCallbackURL: "http://app.example/status", CallStatusMethod: "POST",
		}}
		cfg.SIP.Listen = []node.Listener{
			{Network: "udp", Addr: netip.MustParseAddrPort("127.0.0.1:5060")},
			{Network: "tcp", Addr: netip.MustParseAddrPort("127.0.0.1:5060")},
		}
		if with.node != nil {
			with.node(&cfg)
		}
		n, err := node.New(cfg, node.WithNetwork(network), node.WithSynthesizer(speech{}))
		require.NoError(t, err)
		require.NoError(t, n.Start(t.Context()))
		s.node = n
		t.Cleanup(func() {
			assert.NoError(t, n.Close())
			// The library's timers of transactions that are over (RFC 3261 section 17: J, L and M).
			time.Sleep(70 * time.Second)
		})
		script(t, s)
		s.settled()
		if t.Failed() {
			t.Log("\n" + s.phone.Ladder() + s.ladders())
		}
	})
}

// ladders draws the journals of all calls.
func (s *stage) ladders() string {
	var b strings.Builder
	records, _, err := s.node.Store().Records(s.t.Context(), state.Query{})
	require.NoError(s.t, err)
	for _, r := range records {
		entries, err := s.node.Store().Journal(s.t.Context(), r.CallID)
		require.NoError(s.t, err)
		require.NoError(s.t, state.Ladder{}.Write(&b, entries))
	}
	return b.String()
}

// settled waits until nothing more can happen and checks what is true of every call.
func (s *stage) settled() {
	s.t.Helper()
	time.Sleep(5 * time.Minute)
	events := map[string]map[string]int{} // by call and type
	seen := map[string]bool{}
	for _, e := range s.app.Events() {
		id := e.Text("callId")
		if events[id] == nil {
			events[id] = map[string]int{}
		}
		if !seen[e.ID()] { // a repeated delivery is the same event
			seen[e.ID()] = true
			events[id][e.Type()]++
		}
	}
	for id, count := range events {
		assert.Equal(s.t, 1, count["initiate"], "initiate events of %s", id)
		assert.Equal(s.t, 1, count["disconnect"], "disconnect events of %s", id)
		record, err := s.node.Store().Record(s.t.Context(), id)
		require.NoError(s.t, err)
		assert.Equal(s.t, state.StateDisconnected, record.State)
		for _, r := range record.Refers {
			assert.NotEqual(s.t, state.ReferPending, r.Status)
		}
	}
}

// at checks a time against the seconds since the stage was made. Nothing takes time on it but what waits.
func (s *stage) at(want time.Duration, got time.Time, what string) {
	s.t.Helper()
	assert.Equal(s.t, want, got.Sub(s.start), what)
}

// refer calls the application, which answers with the document, and returns the REFER that follows.
func (s *stage) refer(document string) (*scenario.ScriptedCall, *scenario.ScriptedRefer) {
	s.t.Helper()
	s.app.On("initiate", scenario.BXML(document))
	s.app.On("referComplete", scenario.BXML(recovery))
	call := s.phone.Call(appURI)
	return call, call.ExpectRefer()
}

// result is what the application is told of a Refer, and what the record says. A code of 0 is none.
type result struct {
	status   string
	refer    int
	notify   int
	evidence string
	billable bool
}

// referComplete expects the event with exactly the result's properties.
func (s *stage) referComplete(want result) *scenario.ScriptedEvent {
	s.t.Helper()
	return s.app.Expect("referComplete").Check(map[string]any{
		"referCallStatus": want.status, "referSipResponseCode": codeOrAbsent(want.refer), "notifySipResponseCode": codeOrAbsent(want.notify),
	})
}

func codeOrAbsent(code int) any {
	if code == 0 {
		return scenario.Absent
	}
	return code
}

// recorded checks what the call's record says of its last Refer, and returns it.
func (s *stage) recorded(call *scenario.ScriptedCall, want result) state.Refer {
	s.t.Helper()
	record := s.record(call)
	require.NotEmpty(s.t, record.Refers)
	r := record.Refers[len(record.Refers)-1]
	assert.Equal(s.t, want, result{r.Status, r.ReferSIPResponseCode, r.NotifySIPResponseCode, r.Evidence, r.Billable})
	return r
}

func (s *stage) record(call *scenario.ScriptedCall) state.Record {
	s.t.Helper()
	records, _, err := s.node.Store().Records(s.t.Context(), state.Query{})
	require.NoError(s.t, err)
	for _, r := range records {
		if r.SIPCallID == call.ID() {
			return r
		}
	}
	s.t.Fatalf("no record of call %s", call.ID())
	return state.Record{}
}

// recovers expects that the reply's document replaces the failed Refer's, and that the call ends with it: the verbs after
// the Refer have not run, and the node hangs up.
func (s *stage) recovers(call *scenario.ScriptedCall) {
	s.t.Helper()
	s.app.Expect("/recovered")
	call.Expect("BYE")
	s.disconnected("hangup")
	s.unused("/next")
}

// disconnected expects the disconnect event with its cause.
func (s *stage) disconnected(cause string) *scenario.ScriptedEvent {
	s.t.Helper()
	return s.app.Expect("disconnect").Check(map[string]any{"cause": cause})
}

// unused checks that no request has come for the paths.
func (s *stage) unused(paths ...string) {
	s.t.Helper()
	for _, e := range s.app.Events() {
		assert.NotContains(s.t, paths, e.Path)
	}
}

// order checks in which order the application got its requests: paths, the initiate event apart.
func (s *stage) order(want ...string) {
	s.t.Helper()
	var got []string
	for _, e := range s.app.Events() {
		if e.Path != "/initiate" {
			got = append(got, e.Path)
		}
	}
	assert.Equal(s.t, want, got)
}

// journal returns the SIP messages of the call's journal: "in NOTIFY", "out 200 NOTIFY".
func (s *stage) journal(call *scenario.ScriptedCall) []string {
	s.t.Helper()
	entries, err := s.node.Store().Journal(s.t.Context(), s.record(call).CallID)
	require.NoError(s.t, err)
	var lines []string
	for _, e := range entries {
		switch {
		case e.SIP == nil:
		case e.SIP.Code == 0:
			lines = append(lines, e.SIP.Direction+" "+e.SIP.Method)
		default:
			lines = append(lines, fmt.Sprintf("%s %d %s", e.SIP.Direction, e.SIP.Code, e.SIP.Method))
		}
	}
	return lines
}

// inOrder checks that the lines stand in this order in the journal, others between them.
func (s *stage) inOrder(call *scenario.ScriptedCall, want ...string) {
	s.t.Helper()
	lines := s.journal(call)
	rest := lines
	for _, w := range want {
		i := 0
		for i < len(rest) && rest[i] != w {
			i++
		}
		if i == len(rest) {
			s.t.Fatalf("%q is not in the journal in the order %q:\n%s", w, want, strings.Join(lines, "\n"))
		}
		rest = rest[i+1:]
	}
}

// speech stands in for a speech engine: a second of silence for each text.
type speech struct{}

func (speech) Synthesize(context.Context, media.Utterance) (media.Source, error) {
	return &silence{left: 8000}, nil
}

type silence struct{ left int }

func (s *silence) ReadFrame(dst []int16) (int, error) {
	n := min(len(dst), s.left)
	if n == 0 {
		return 0, io.EOF
	}
	clear(dst[:n])
	s.left -= n
	return n, nil
}

func (s *silence) Close() error { return nil }
