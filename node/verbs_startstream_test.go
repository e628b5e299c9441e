package node_test

import (
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStartStreamSendsTheSoundOfTheCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		b.speech.length = 2 * time.Second
		c := b.invite(response(`<StartStream destination="ws://user:word@10.0.0.3/in?key=1" name="monitor" tracks="both" streamEventUrl="/stream">` +
			`<StreamParam name="a" value="1"/><StreamParam name="b" value="x &quot;y&quot;"/></StartStream>` +
			`<SpeakSentence>Hello</SpeakSentence><Pause duration="2"/>`))
		c.Answered()
		p := server.next()
		began := time.Now()
		c.SendTone(440, time.Second)
		c.Expect("BYE")
		sounds(t, 4*time.Second, since(began, time.Now()))
		assert.Equal(t, websocket.StatusNormalClosure, p.closed())

		assert.Equal(t, "/in?key=1", p.request.URL.String())
		username, password := basicAuth(p.request.Header.Get("Authorization"))
		assert.Equal(t, "user word", username+" "+password)
		assert.Equal(t, "callengine/", p.request.Header.Get("User-Agent"))

		started := b.app.Expect("mediaStreamStarted")
		messages := p.got()
		first, last := messages[0], messages[len(messages)-1]
		assert.Equal(t, "start", first.EventType)
		format := map[string]any{"encoding": "PCMU", "sampleRate": 8000.}
		id := first.Metadata["streamId"]
		metadata := map[string]any{
			"accountId": "5555555", "callId": started.Text("callId"), "streamId": id, "streamName": "monitor",
			"tracks": []any{map[string]any{"name": "inbound", "mediaFormat": format}, map[string]any{"name": "outbound", "mediaFormat": format}},
		}
		assert.Equal(t, metadata, first.Metadata)
		assert.Equal(t, map[string]any{"a": "1", "b": `x "y"`}, first.StreamParams)
		assert.Equal(t, "stop", last.EventType)
		assert.Equal(t, metadata, last.Metadata)
		assert.Nil(t, last.StreamParams)

		in, out := p.sound("inbound"), p.sound("outbound")
		assert.Len(t, in, len(out))
		assert.InDelta(t, 4*media.SampleRate, len(in), media.SampleRate/20)
		assert.GreaterOrEqual(t, loud(in), time.Second, "all that was said")
		assert.LessOrEqual(t, loud(in), 1080*time.Millisecond, "it fades within 60 ms, and begins within a frame")
		assert.InDelta(t, 2*time.Second, loud(out), float64(200*time.Millisecond))

		described := map[string]any{
			"destination": "ws://10.0.0.3/in?key=1", "id": id, "name": "monitor", "tracks": []any{"inbound", "outbound"}, "type": "WebSocket",
		}
		assert.Equal(t, described, streamOf(started, "startTime"))
		assert.Equal(t, "/stream", started.Path)
		stopped := b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed", "errorMessage": scenario.Absent})
		assert.Equal(t, described, streamOf(stopped, "startTime", "duration"))
		b.disconnect("hangup", "")
	})
}

// streamOf returns an event's mediaStream without some properties, which must be there.
func streamOf(e *scenario.ScriptedEvent, without ...string) map[string]any {
	described := maps.Clone(e.Properties["mediaStream"].(map[string]any))
	for _, name := range without {
		if described[name] != "" {
			delete(described, name)
		}
	}
	return described
}

const monitored = `<StartStream destination="ws://10.0.0.3/in" name="monitor" streamEventUrl="/stream"/>`

// TestStreamsEndWithTheCall, however it ends: "stop" is sent, the stream is closed in order, and its last event comes
// before disconnect.
func TestStreamsEndWithTheCall(t *testing.T) {
	for name, tc := range map[string]struct {
		rest string
		end  func(b *bubble, c *scenario.ScriptedCall, e *scenario.ScriptedEvent)
	}{
		"the caller hangs up":     {hour, func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Bye() }},
		"StartStream is the last": {"", func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Expect("BYE") }},
		"the API ends it":         {hour, func(b *bubble, _ *scenario.ScriptedCall, e *scenario.ScriptedEvent) { b.modify(e, 200, completed) }},
		"the node is drained":     {hour, func(b *bubble, _ *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { b.drain()() }},
		"a verb fails":            {`<Gather input="speech"/>`, func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Expect("BYE") }},
		"StopStream stops it": {`<Pause/><StopStream name="monitor"/><Pause duration="5"/>`,
			func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) { c.Expect("BYE") }},
		"it is handed over": {`<Pause/><Refer><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`, func(_ *bubble, c *scenario.ScriptedCall, _ *scenario.ScriptedEvent) {
			r := c.ExpectRefer()
			c.Respond(r.Request, 202)
			c.Notify(scenario.Notify{Frag: "SIP/2.0 200 OK"}, 200)
			c.Expect("BYE")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				server := b.streamServer()
				c := b.call(response(monitored + tc.rest))
				p := server.next()
				e := b.app.Expect("mediaStreamStarted")
				tc.end(b, c, e)
				assert.Equal(t, websocket.StatusNormalClosure, p.closed())
				messages := p.got()
				assert.Equal(t, "stop", messages[len(messages)-1].EventType)
				b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed"})
				b.app.Expect("disconnect")
				events := b.app.Events()
				assert.Equal(t, "disconnect", events[len(events)-1].Type())
			})
		})
	}
}

// TestStreamsGoOnThroughAModificationAndAFailedRefer: what is replaced is the document.
func TestStreamsGoOnThroughAModificationAndAFailedRefer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(monitored + hour))
		p := server.next()
		e := b.app.Expect("mediaStreamStarted")
		b.app.On("redirect", scenario.BXML(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`)))
		b.app.On("referComplete", scenario.BXML(response(`<Pause duration="2"/>`)))
		time.Sleep(2 * time.Second)
		b.modify(e, 200, redirect)
		r := c.ExpectRefer()
		c.Respond(r.Request, 405)
		b.app.Expect("referComplete")
		c.Expect("BYE")
		p.closed()
		assert.InDelta(t, 4*media.SampleRate, len(p.sound("inbound")), media.SampleRate/20)
		b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed"})
	})
}

// TestSeveralStreamsOfOneCall hear the same, each its own tracks.
func TestSeveralStreamsOfOneCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		stream := func(name, tracks string) string {
			return `<StartStream destination="ws://10.0.0.3/` + name + `" name="` + name + `" tracks="` + tracks + `" streamEventUrl="/stream"/>`
		}
		c := b.call(response(stream("a", "outbound") + stream("b", "both") + stream("c", "inbound") + stream("d", "inbound") + stream("a", "inbound") +
			`<SpeakSentence>Hello</SpeakSentence><StopStream name="b"/><SpeakSentence>Good bye</SpeakSentence>`))
		streams := map[string]*streamPeer{} // they open at once, in any order
		for range 3 {
			stream := server.next()
			streams[stream.request.URL.Path] = stream
		}
		a, both, third := streams["/a"], streams["/b"], streams["/c"]
		b.app.Expect("mediaStreamRejected").Check(map[string]any{"cause": "track-limit"})
		rejected := b.app.Expect("mediaStreamRejected").Check(map[string]any{"cause": "duplicate"})
		assert.Equal(t, "ws://10.0.0.3/a", rejected.Properties["originalMediaStream"].(map[string]any)["destination"])
		c.Expect("BYE")
		a.closed()
		third.closed()
		assert.InDelta(t, 4*time.Second, loud(a.sound("outbound")), float64(100*time.Millisecond))
		assert.Empty(t, a.sound("inbound"))
		assert.InDelta(t, 2*time.Second, loud(both.sound("outbound")), float64(100*time.Millisecond))
		assert.Len(t, both.sound("inbound"), len(both.sound("outbound")))
		assert.Zero(t, loud(third.sound("inbound")))
		e := b.disconnect("hangup", "")
		var ladder []string
		for _, entry := range b.journal(e) {
			if entry.Type == state.TypeMedia && entry.Media.Stream != "" {
				ladder = append(ladder, entry.Media.Event+" "+entry.Media.Detail)
			}
		}
		assert.Equal(t, []string{
			"streaming a to ws://10.0.0.3/a, outbound", "streaming b to ws://10.0.0.3/b, inbound and outbound", "streaming c to ws://10.0.0.3/c, inbound",
			"not streamed d to ws://10.0.0.3/d, inbound: At most 4 tracks may be streamed on one call",
			"not streamed a to ws://10.0.0.3/a, inbound: The call has a stream of this name",
			"streamed b to ws://10.0.0.3/b, inbound and outbound",
		}, ladder[:6])
		m := b.metrics()
		assert.Equal(t, 3., m[`callengine_streams_total{cause="closed",result="stopped"}`])
		assert.Equal(t, 1., m[`callengine_streams_total{cause="duplicate",result="rejected"}`])
		assert.Equal(t, 1., m[`callengine_streams_total{cause="track-limit",result="rejected"}`])
		assert.Equal(t, 0., m["callengine_streams_active"])
	})
}

// TestStartStreamThatIsNotTaken: the application is told why, and the call goes on.
func TestStartStreamThatIsNotTaken(t *testing.T) {
	for name, tc := range map[string]struct {
		change         func(*node.Config)
		serve          http.HandlerFunc
		destination    string
		cause, message string
		took           time.Duration
	}{
		"nobody listens":    {destination: "ws://10.0.0.9/in", cause: "connection-error", message: "refused"},
		"no WebSocket":      {serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, cause: "connection-error", message: "403"},
		"no answer in time": {serve: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, cause: "connection-error", message: "15s", took: 15 * time.Second},
		"redirected without end": {serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/in", http.StatusFound) },
			cause: "connection-error", message: "redirects"},
		"a header without end": {serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			w.WriteHeader(101)
		}, cause: "connection-error"},
		"the host is not allowed": {change: func(c *node.Config) { c.Webhook.AllowHosts = []string{"app.example"} }, cause: "error", message: "allow_hosts"},
		"the address is denied": {change: func(c *node.Config) { c.Webhook.DenyCIDRs = []netip.Prefix{netip.MustParsePrefix("10.0.0.3/32")} },
			cause: "error", message: "deny_cidrs"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				if tc.serve != nil {
					b.streamServer(tc.serve)
				} else {
					b.streamServer()
				}
				destination := "ws://user:secret@10.0.0.3/in?key=secret"
				if tc.destination != "" {
					destination = tc.destination
				}
				began := time.Now()
				c := b.call(response(`<StartStream destination="` + destination + `" streamEventUrl="/stream"/><Pause duration="2"/>`))
				e := b.app.Expect("mediaStreamRejected").Check(map[string]any{"cause": tc.cause, "errorMessage": scenario.Present})
				assert.Contains(t, e.Text("errorMessage"), tc.message)
				assert.NotContains(t, e.Text("errorMessage"), "secret")
				c.Expect("BYE")
				sounds(t, tc.took+2*time.Second, since(began, time.Now()))
				b.disconnect("hangup", "")
				assert.Empty(t, b.app.EventsOf("mediaStreamStopped"))
				for _, line := range b.logs.All() {
					for _, field := range line.Context {
						if field.Key != "document" {
							assert.NotContains(t, field.String, "secret", line.Message)
						}
					}
				}
			})
		})
	}
}

// TestACallThatEndsWhileItsStreamConnects is not held up, and no event tells of the stream.
func TestACallThatEndsWhileItsStreamConnects(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.streamServer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c := b.call(response(monitored + hour))
		time.Sleep(3 * time.Second)
		began := time.Now()
		c.Bye()
		assert.Zero(t, since(began, b.disconnect("hangup", "").Time))
		b.ended()
		assert.Len(t, b.app.Events(), 2, "initiate and disconnect")
	})
}

// TestStopStreamWaitsForTheOtherSide keeps the call up for as long as the other side wants it.
func TestStopStreamWaitsForTheOtherSide(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(monitored + `<StopStream name="monitor" wait="true"/><Pause duration="2"/>`))
		p := server.next()
		time.Sleep(5 * time.Minute)
		require.NoError(t, p.conn.Close(websocket.StatusNormalClosure, "enough"))
		began := time.Now()
		b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed", "errorMessage": scenario.Absent})
		c.Expect("BYE")
		sounds(t, 2*time.Second, since(began, time.Now()))
		assert.InDelta(t, 300*media.SampleRate, len(p.sound("inbound")), media.SampleRate/20)
		b.disconnect("hangup", "")
	})
}
