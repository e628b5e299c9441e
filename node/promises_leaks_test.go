package node_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kinds are calls of all sorts, each to a user of its own: what the application answers, and what the phone does once
// the INVITE has been sent.
var kinds = map[string]struct {
	reply scenario.Reply
	in    scenario.Invite
	acts  func(ctx context.Context, c *scenario.Call) error
}{
	"hangup":  {reply: scenario.BXML(response(`<Hangup/>`)), acts: rejected},
	"invalid": {reply: scenario.BXML(`<Response>`), acts: rejected},
	"fails":   {reply: scenario.Reply{Status: 500}, acts: rejected},
	"drops":   {reply: scenario.Reply{Drop: true}, acts: rejected},
	"foreign": {in: scenario.Invite{SDP: []byte(foreignOffer)}, acts: rejected},
	"later":   {reply: scenario.BXML(response(`<StopTranscription name="t"/>`)), acts: rejected},
	"speak":   {reply: scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)), acts: untilBye},
	"offer":   {reply: scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)), in: scenario.Invite{NoOffer: true}, acts: untilBye},
	"chain":   {reply: scenario.BXML(response(`<Ring answerCall="false" duration="0.1"/><Redirect redirectUrl="/speak"/>`)), acts: untilBye},
	"bye": {reply: scenario.BXML(response(`<Pause duration="60"/>`)), acts: func(ctx context.Context, c *scenario.Call) error {
		if _, err := c.Answered(ctx); err != nil {
			return err
		}
		_, err := c.Bye(ctx)
		return err
	}},
	"cancel": {reply: scenario.BXML(response(`<Ring answerCall="false" duration="60"/>`)), acts: func(ctx context.Context, c *scenario.Call) error {
		if _, err := c.Expect(ctx, "180"); err != nil {
			return err
		}
		if _, err := c.Cancel(ctx); err != nil {
			return err
		}
		return rejected(ctx, c)
	}},
	"refer": {reply: scenario.BXML(response(`<Refer><SipUri>sip:a@b.example</SipUri></Refer>`)), acts: func(ctx context.Context, c *scenario.Call) error {
		r, err := c.ExpectRefer(ctx)
		if err != nil {
			return err
		}
		if err := r.Respond(202); err != nil {
			return err
		}
		if _, err := c.Notify(ctx, scenario.Notify{Frag: "SIP/2.0 200 OK"}); err != nil {
			return err
		}
		return untilBye(ctx, c)
	}},
}

// slowKinds need the time of a bubble.
var slowKinds = []string{"no-ack", "no-notify", "silent"}

func rejected(ctx context.Context, c *scenario.Call) error {
	_, err := c.Answered(ctx)
	if _, ok := err.(*scenario.RejectedError); ok {
		return nil
	}
	return err
}

func untilBye(ctx context.Context, c *scenario.Call) error {
	_, err := c.Expect(ctx, "BYE")
	return err
}

// withKinds has an application for each kind, all at base.
func withKinds(cfg *node.Config, base string) {
	cfg.Applications = nil
	names := slowKinds
	for name := range kinds {
		names = append(names, name)
	}
	for _, name := range names {
		app := application(name, base)
		app.Match, app.CallInitiatedCallbackURL = []string{name}, base+"/"+name
		cfg.Applications = append(cfg.Applications, app)
	}
}

// place places a call of every kind, all at once, and waits for their ends.
func place(ctx context.Context, t *testing.T, phone *scenario.Phone, sip string) {
	t.Helper()
	var placing sync.WaitGroup
	for name, kind := range kinds {
		placing.Go(func() {
			in := kind.in
			in.To = "sip:" + name + "@" + sip
			c, err := phone.Invite(ctx, in)
			if assert.NoError(t, err) {
				assert.NoError(t, kind.acts(ctx, c), name)
			}
		})
	}
	placing.Wait()
}

// goroutines counts those there are. runtime.NumGoroutine does not stop them for it, and is off by some while they end.
func goroutines() int {
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("\n\ngoroutine ")) + 1
}

func TestNothingIsLeftOfTwoHundredCalls(t *testing.T) {
	const rounds = 14 // of 15 kinds
	change := func(cfg *node.Config) {
		withKinds(cfg, "http://app.example")
		cfg.Media.RTPPorts = node.PortRange{Min: 20000, Max: 20099} // fewer than there are calls
		cfg.Refer.NotifyTimeout = 10 * time.Second
	}
	inBubble(t, change, func(t *testing.T, b *bubble) {
		for name, kind := range kinds {
			b.app.On("/"+name, kind.reply)
		}
		b.app.On("/no-ack", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
		b.app.On("/no-notify", scenario.BXML(response(`<Refer><SipUri>sip:a@b.example</SipUri></Refer>`)))
		b.app.On("/silent", scenario.Reply{Hang: true})
		b.app.On("disconnect", scenario.Reply{Drop: true}, scenario.Reply{Status: 503}, scenario.Reply{})
		time.Sleep(10 * time.Minute) // idle connections are closed
		synctest.Wait()
		before := goroutines()
		for range rounds {
			b.phone.Invite(scenario.Invite{To: b.uri("no-ack"), HoldAck: true})
			b.phone.Invite(scenario.Invite{To: b.uri("silent")})
			unnoticed := b.phone.Invite(scenario.Invite{To: b.uri("no-notify")})
			place(t.Context(), t, b.phone.Phone, "10.0.0.1:5060")
			unnoticed.ExpectRefer().Reply(202)
			time.Sleep(leftover)
		}
		time.Sleep(10 * time.Minute)

		m := b.metrics()
		assert.Equal(t, float64(rounds*(len(kinds)+len(slowKinds)-1)), m[`callengine_calls_total{direction="inbound"}`], "all but those refused with 488")
		assert.Zero(t, m[`callengine_calls_active{direction="inbound"}`])
		assert.Zero(t, m["callengine_rtp_ports_in_use"])
		assert.Zero(t, m["callengine_refers_pending"])
		ids := map[string]bool{}
		for _, e := range b.app.EventsOf("disconnect") {
			ids[e.Text("callId")] = true
		}
		assert.Len(t, ids, rounds*(len(kinds)+len(slowKinds)-1))
		// The phone's two goroutines for each call's media are the test's own.
		require.NoError(t, b.phone.Close())
		time.Sleep(10 * time.Minute)
		synctest.Wait() // whatever is due at this moment, too
		assert.LessOrEqual(t, goroutines(), before)
	})
}

func TestNothingIsLeftOfCallsOverRealSockets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	app, err := scenario.NewApplication(ctx, scenario.System{}, scenario.ApplicationConfig{})
	require.NoError(t, err)
	for name, kind := range kinds {
		app.On("/"+name, kind.reply)
	}
	cfg := node.DefaultConfig()
	withKinds(&cfg, app.URL(""))
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: loopback}, {Network: "tcp", Addr: loopback}}
	cfg.API.Listen, cfg.API.PublicURL = "127.0.0.1:0", ""
	n, err := node.New(cfg, node.WithSynthesizer(&fakeSpeech{length: 100 * time.Millisecond}))
	require.NoError(t, err)
	require.NoError(t, n.Start(ctx))

	var placing sync.WaitGroup
	for i, transport := range []string{"udp", "tcp"} {
		phone, err := scenario.NewPhone(ctx, scenario.System{}, scenario.PhoneConfig{Transport: transport})
		require.NoError(t, err)
		defer func() { assert.NoError(t, phone.Close()) }()
		placing.Go(func() {
			for range 3 {
				place(ctx, t, phone, n.SIPAddrs()[i].String())
			}
		})
	}
	placing.Wait()
	n.Drain(ctx)
	told := map[string]bool{}
	for _, e := range app.EventsOf("disconnect") {
		told[e.Text("callId")] = true
	}
	assert.Len(t, told, 2*3*(len(kinds)-1))
	require.NoError(t, n.Close())
	require.NoError(t, app.Close())

	for _, addr := range n.SIPAddrs() { // the ports are free again
		if addr.Network() == "udp" {
			conn, err := net.ListenPacket("udp", addr.String())
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
	}
	_, err = http.Get("http://" + n.APIAddr().String() + "/healthz")
	assert.Error(t, err)
}
