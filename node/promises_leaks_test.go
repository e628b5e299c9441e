package node_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
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
	"later":   {reply: scenario.BXML(response(`<Bridge>c-1</Bridge>`)), acts: rejected},
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
	"recovers": {reply: scenario.BXML(response(`<Refer referCompleteUrl="/speak"><SipUri>sip:a@b.example</SipUri></Refer>`)), acts: func(ctx context.Context, c *scenario.Call) error {
		r, err := c.ExpectRefer(ctx)
		if err != nil {
			return err
		}
		if err := r.Respond(603); err != nil {
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

// place places a call of every kind, so many at once, and waits for their ends.
func place(ctx context.Context, t *testing.T, phone *scenario.Phone, sip string, atOnce int) {
	t.Helper()
	var placing sync.WaitGroup
	free := make(chan struct{}, atOnce)
	for name, kind := range kinds {
		free <- struct{}{}
		placing.Go(func() {
			defer func() { <-free }()
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

// inBubbles counts the goroutines of bubbles: others, such as the one that runs finalizers, come and go as they like.
func inBubbles() int {
	buf := make([]byte, 1<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte(", synctest bubble "))
}

// inUse is the memory that something still refers to.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what the first one left in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A node takes calls of all kinds for a day, each hour's from another phone, and among them packets that nobody can read, each
// from another address. What an hour leaves is gone when the next one comes.
func TestADayOfCallsLeavesNothingBehind(t *testing.T) {
	const (
		day, warm = 24, 4 // hours
		perCall   = 200   // bytes: less than anything takes that is kept of a call
	)
	hourly := len(kinds) + len(slowKinds)
	change := func(cfg *node.Config) {
		withKinds(cfg, "http://app.example")
		cfg.Media.RTPPorts = node.PortRange{Min: 20000, Max: 20099} // fewer than there are calls
		cfg.Refer.NotifyTimeout = 10 * time.Second
		cfg.State.CallRetention = 30 * time.Minute
	}
	inBubble(t, change, func(t *testing.T, b *bubble) {
		for name, kind := range kinds {
			b.app.On("/"+name, kind.reply)
		}
		b.app.On("/no-ack", scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)))
		b.app.On("/no-notify", scenario.BXML(response(`<Refer><SipUri>sip:a@b.example</SipUri></Refer>`)))
		b.app.On("/silent", scenario.Reply{Hang: true})
		b.app.On("disconnect", scenario.Reply{Drop: true}, scenario.Reply{Status: 503}, scenario.Reply{})
		chance := rand.New(rand.NewPCG(7, 8))
		var running []int
		var memory []int64
		told, began := 0, time.Now()
		for hour := range day {
			b.hourOfCalls(hour)
			b.garbage(chance, hour, 50)
			time.Sleep(leftover)
			ids := map[string]bool{}
			for _, e := range b.app.EventsOf("disconnect") {
				ids[e.Text("callId")] = true
			}
			told += len(ids)
			b.app.Forget()
			b.logs.TakeAll()
			time.Sleep(time.Until(began.Add(time.Duration(hour+1) * time.Hour)))
			synctest.Wait()
			running, memory = append(running, inBubbles()), append(memory, inUse())
		}

		m := b.metrics()
		assert.Equal(t, float64(day*(hourly-1)), m[`callengine_calls_total{direction="inbound"}`], "all but those refused with 488")
		assert.Zero(t, m[`callengine_calls_active{direction="inbound"}`])
		assert.Zero(t, m["callengine_rtp_ports_in_use"])
		assert.Zero(t, m["callengine_refers_pending"])
		assert.Equal(t, day*(hourly-1), told)
		records, _, err := b.node.Store().Records(t.Context(), state.Query{})
		require.NoError(t, err)
		assert.Empty(t, records)
		assert.Equal(t, slices.Repeat(running[:1], day), running, "goroutines")
		assert.Less(t, slices.Min(memory[day-warm:]), slices.Max(memory[:warm])+int64(hourly*(day-2*warm)*perCall), "bytes: %d", memory)
	})
}

// hourOfCalls places a call of every kind, with a phone of its own.
func (b *bubble) hourOfCalls(hour int) {
	b.t.Helper()
	ctx := b.t.Context()
	phone, err := scenario.NewPhone(ctx, b.net, scenario.PhoneConfig{Address: fmt.Sprintf("10.0.2.%d:5060", hour)})
	require.NoError(b.t, err)
	place(ctx, b.t, phone, "10.0.0.1:5060", len(kinds))
	for _, name := range slowKinds {
		c, err := phone.Invite(ctx, scenario.Invite{To: b.uri(name), HoldAck: name == "no-ack"})
		require.NoError(b.t, err)
		if name == "no-notify" {
			refer, err := c.ExpectRefer(ctx)
			require.NoError(b.t, err)
			require.NoError(b.t, refer.Respond(202))
		}
	}
	time.Sleep(leftover)
	require.NoError(b.t, phone.Close()) // its two goroutines for each call's media are the test's own
}

// garbage sends the node so many broken messages, each from an address of its own.
func (b *bubble) garbage(chance *rand.Rand, hour, count int) {
	b.t.Helper()
	to := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5060}
	for i := range count {
		from := fmt.Sprintf("10.1.%d.%d:5060", hour, i)
		conn, err := b.net.ListenPacket(b.t.Context(), "udp", from)
		require.NoError(b.t, err)
		_, err = conn.WriteTo(mutated(chance, to.String(), from), to)
		require.NoError(b.t, err)
		require.NoError(b.t, conn.Close())
	}
}

// soak is how long calls are placed over real sockets, if that is longer than a few of each kind take; `make soak` says.
var soak = flag.Duration("soak", 0, "how long TestNothingIsLeftOfCallsOverRealSockets places calls")

// descriptors counts what the process has open.
func descriptors(t require.TestingT) int {
	open, err := os.ReadDir("/dev/fd")
	require.NoError(t, err)
	return len(open)
}

func TestNothingIsLeftOfCallsOverRealSockets(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), *soak+3*patience)
	defer cancel()
	app, err := scenario.NewApplication(ctx, scenario.System{}, scenario.ApplicationConfig{})
	require.NoError(t, err)
	for name, kind := range kinds {
		app.On("/"+name, kind.reply)
	}
	cfg := loopbackConfig()
	withKinds(&cfg, app.URL(""))
	cfg.State.CallRetention = time.Second
	n, err := node.New(cfg, node.WithSynthesizer(&fakeSpeech{length: 100 * time.Millisecond}))
	require.NoError(t, err)
	require.NoError(t, n.Start(ctx))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + n.APIAddr().String() + "/healthz") // all of the node runs once it answers
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	// But for the application's listener and who waits at it; in their place comes the goroutine that asks in the end.
	open, running := descriptors(t)-1, goroutines()

	var rounds, told int
	for began := time.Now(); rounds < 3 || time.Since(began) < *soak; rounds++ {
		var placing sync.WaitGroup
		for i, transport := range []string{"udp", "tcp"} {
			placing.Go(func() {
				phone, err := scenario.NewPhone(ctx, scenario.System{}, scenario.PhoneConfig{Transport: transport})
				if assert.NoError(t, err) {
					place(ctx, t, phone, n.SIPAddrs()[i].String(), 4)
					assert.NoError(t, phone.Close())
				}
			})
		}
		placing.Wait()
		ids := map[string]bool{}
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			for _, e := range app.EventsOf("disconnect") {
				ids[e.Text("callId")] = true
			}
			assert.Len(c, ids, 2*(len(kinds)-1))
		}, patience, 10*time.Millisecond)
		told += len(ids)
		app.Forget()
	}
	require.NoError(t, app.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.LessOrEqual(c, descriptors(c), open, "descriptors")
		assert.LessOrEqual(c, goroutines(), running, "goroutines")
	}, patience, 50*time.Millisecond)
	assert.Equal(t, rounds*2*(len(kinds)-1), told, "all but those refused with 488")
	t.Logf("%d calls", told)
	n.Drain(ctx)

	require.NoError(t, n.Close())

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
