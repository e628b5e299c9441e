package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeHearing understands every utterance as "one", "two" and so on, in an instant.
type fakeHearing struct {
	delay  time.Duration // from the end of the sound on
	err    error         // of every transcription, in place of its text
	panics bool
	texts  []string // what is understood; empty: numbers
	// whispers is when somebody is heard, for a second, whom nobody else hears; 0: nobody is.
	whispers time.Duration

	mu    sync.Mutex
	asked []transcribe.Options
}

func (h *fakeHearing) Transcribe(ctx context.Context, sound transcribe.Sound, o transcribe.Options, tell func(transcribe.Result)) error {
	h.mu.Lock()
	h.asked = append(h.asked, o)
	h.mu.Unlock()
	if h.panics {
		panic("the engine is broken")
	}
	if h.err != nil {
		return h.err
	}
	texts := h.texts
	if texts == nil {
		texts = []string{"one", "two", "three", "four"}
	}
	var d transcribe.Detector
	spoke, start, at, n := false, time.Duration(0), time.Duration(0), 0
	frame := make([]int16, 160)
	for {
		read, err := sound.ReadFrame(frame)
		was := at
		at += time.Duration(read) * time.Second / transcribe.SampleRate
		if h.whispers > 0 && was < h.whispers && at >= h.whispers {
			tell(transcribe.Result{Partial: true, Start: was, End: at, Text: "psst", Confidence: 0.2})
		} else if end := h.whispers + time.Second; h.whispers > 0 && was < end && at >= end {
			tell(transcribe.Result{Start: h.whispers, End: at, Text: "psst psst", Confidence: 0.5})
		}
		switch speaks := d.Hear(frame[:read]); {
		case speaks && !spoke:
			spoke, start = true, at
			if o.Partial {
				tell(transcribe.Result{Partial: true, Start: at, End: at, Text: texts[n][:min(2, len(texts[n]))], Language: "en-US", Confidence: 0.2})
			}
		case spoke && (!speaks || err != nil):
			spoke = false
			item := transcribe.Item{Content: texts[n], Start: start, End: at, Confidence: 0.8, Stable: true}
			tell(transcribe.Result{Start: start, End: at, Text: texts[n], Language: "en-US", Confidence: 0.8, Items: []transcribe.Item{item}})
			n = (n + 1) % len(texts)
		}
		if err != nil {
			break
		}
	}
	if h.delay == 0 {
		return nil
	}
	select {
	case <-time.After(h.delay):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

func (h *fakeHearing) options() []transcribe.Options {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]transcribe.Options(nil), h.asked...)
}

// inTranscribingBubble is inBubble with a folder for texts.
func inTranscribingBubble(t *testing.T, f func(t *testing.T, b *bubble)) {
	t.Helper()
	texts, sounds := t.TempDir(), t.TempDir()
	inBubble(t, func(cfg *node.Config) { cfg.Transcriptions.Dir, cfg.Recordings.Dir = texts, sounds }, f)
}

// speaks lets the phone speak for a second, and be silent then.
func speaks(c *scenario.ScriptedCall) {
	c.SendTone(440, time.Second)
	time.Sleep(1500 * time.Millisecond)
}

// getJSON asks the API for an object or a list.
func getJSON[T any](b *bubble, address string) (v T) {
	b.t.Helper()
	status, body := b.get(strings.TrimPrefix(address, "http://10.0.0.1:8088"))
	require.Equal(b.t, 200, status, body)
	require.NoError(b.t, json.Unmarshal([]byte(body), &v))
	return v
}

// updates is an application that gets the updates of a transcription.
type updates struct {
	mu   sync.Mutex
	auth string
	got  []map[string]any
}

// updatesAt serves a WebSocket in the bubble; act, if there is one, decides what becomes of it after the first message.
func (b *bubble) updatesAt(address string, act func(ctx context.Context, c *websocket.Conn)) *updates {
	b.t.Helper()
	u := &updates{}
	l, err := b.net.Listen(b.t.Context(), "tcp", address)
	require.NoError(b.t, err)
	var served sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		u.mu.Lock()
		u.auth = r.Header.Get("Authorization")
		u.mu.Unlock()
		c, err := websocket.Accept(w, r, nil)
		if !assert.NoError(b.t, err) {
			return
		}
		defer c.CloseNow()
		for {
			_, text, err := c.Read(context.Background())
			if err != nil {
				return
			}
			var m map[string]any
			assert.NoError(b.t, json.Unmarshal(text, &m))
			u.mu.Lock()
			u.got = append(u.got, m)
			u.mu.Unlock()
			if act != nil {
				act(context.Background(), c)
			}
		}
	})}
	go func() { _ = server.Serve(l) }()
	b.t.Cleanup(func() { _ = server.Close(); served.Wait() })
	return u
}

func (u *updates) all() []map[string]any {
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]map[string]any(nil), u.got...)
}

// mediaEntries are what a call's journal says of transcriptions.
func (b *bubble) mediaEntries(e interface{ Text(string) string }) (events []string) {
	for _, entry := range b.journal(e) {
		if m := entry.Media; m != nil && (strings.Contains(m.Event, "transcri") || strings.HasPrefix(m.Event, "text")) {
			events = append(events, m.Event+": "+m.Detail)
		}
	}
	return events
}

func TestWhatIsSaidOnACallCanBeFetchedAsText(t *testing.T) {
	inTranscribingBubble(t, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartTranscription name="notes" tracks="both" transcriptionEventUrl="/texts"/><Pause duration="1"/><SpeakSentence>Hello</SpeakSentence>
			<Pause duration="8"/><Tag>later</Tag>`))
		time.Sleep(4 * time.Second)
		speaks(c)
		speaks(c)
		c.Expect("BYE")
		end := b.disconnect("hangup", "")
		e := b.app.Expect("realTimeTranscriptionAvailable").Check(map[string]any{"tag": "later", "cause": scenario.Absent, "answerTime": scenario.Present})
		assert.Equal(t, "/texts", e.Path)
		about := e.Properties["realTimeTranscription"].(map[string]any)
		id := about["id"].(string)
		assert.Equal(t, end.Text("callUrl")+"/transcriptions/"+id, about["url"])
		assert.Equal(t, []any{"notes", []any{"inbound", "outbound"}, "available"}, []any{about["name"], about["tracks"], about["status"]})
		assert.NotContains(t, about, "stabilized", "there is no destination")
		assert.Equal(t, map[string]any{
			"accountId": "5555555", "callId": end.Text("callId"), "transcriptionId": id,
			"tracks": []any{
				map[string]any{"detectedLanguage": "en-US", "track": "inbound", "transcript": "one two", "confidence": 0.8},
				map[string]any{"detectedLanguage": "en-US", "track": "outbound", "transcript": "one", "confidence": 0.8},
			},
		}, getJSON[map[string]any](b, about["url"].(string)))
		assert.Equal(t, []any{map[string]any{"transcriptionId": id, "transcriptionName": "notes", "transcriptionUrl": about["url"]}},
			getJSON[[]any](b, end.Text("callUrl")+"/transcriptions"))
		assert.Equal(t, []string{"transcribing: notes, inbound and outbound", "transcribed: notes: closed", "text available: notes"}, b.mediaEntries(e))
		for i, track := range []string{"inbound", "outbound"} {
			assert.Equal(t, transcribe.Options{DetectLanguage: true, CallID: end.Text("callId"), Track: track}, optionsOf(b, track), i)
		}
		time.Sleep(leftover)
		assert.ElementsMatch(t, []string{"initiate", "disconnect", "realTimeTranscriptionAvailable"}, eventTypes(b), "nothing else is told")
		m := b.metrics()
		assert.Equal(t, 0.0, m["callengine_transcriptions_active"])
		assert.Equal(t, 1.0, m[`callengine_transcriptions_total{kind="live",result="available"}`])
	})
}

func optionsOf(b *bubble, track string) transcribe.Options {
	for _, o := range b.hearing.options() {
		if o.Track == track {
			return o
		}
	}
	return transcribe.Options{}
}

func TestADestinationGetsUpdates(t *testing.T) {
	for name, stabilized := range map[string]bool{"stable ones": true, "all": false} {
		t.Run(name, func(t *testing.T) {
			inTranscribingBubble(t, func(t *testing.T, b *bubble) {
				u := b.updatesAt("10.0.0.3:80", nil)
				c := b.call(response(fmt.Sprintf(`<StartTranscription name="notes" destination="ws://me:s3cret@10.0.0.3/in?x=y" stabilized="%v" transcriptionEventUrl="/texts">
					<CustomParam name="a" value="b"/></StartTranscription><Pause duration="4"/><StopTranscription name="notes"/><Pause duration="1"/>`, stabilized)))
				time.Sleep(time.Second)
				speaks(c)
				c.Expect("BYE")
				started := b.app.Expect("realTimeTranscriptionStarted")
				about := started.Properties["realTimeTranscription"].(map[string]any)
				assert.Equal(t, []any{"ws://10.0.0.3/in?x=y", stabilized}, []any{about["destination"], about["stabilized"]})
				b.app.Expect("realTimeTranscriptionStopped").Check(map[string]any{"cause": "closed", "errorMessage": scenario.Absent, "realTimeTranscription": scenario.Present})
				b.app.Expect("realTimeTranscriptionAvailable")
				b.disconnect("hangup", "")
				metadata := map[string]any{
					"accountId": "5555555", "callId": started.Text("callId"), "realTimeTranscriptionId": about["id"], "transcriptionName": "notes",
					"tracks": []any{map[string]any{"name": "inbound"}}, "stabilized": stabilized,
				}
				got := u.all()
				require.GreaterOrEqual(t, len(got), 3)
				assert.Equal(t, map[string]any{"eventType": "start", "metadata": metadata, "customParams": map[string]any{"a": "b"}}, got[0])
				assert.Equal(t, map[string]any{"eventType": "stop", "metadata": metadata}, got[len(got)-1])
				last := got[len(got)-2]
				assert.Equal(t, []any{"transcription", "inbound", false, "en-US", "one"}, []any{last["eventType"], last["track"], last["isPartial"], last["language"], last["transcript"]})
				item := last["items"].([]any)[0].(map[string]any)
				assert.Equal(t, []any{"one", true, "PRONUNCIATION", last["startTime"], last["endTime"]}, []any{item["content"], item["stable"], item["type"], item["startTime"], item["endTime"]})
				if stabilized {
					assert.Len(t, got, 3)
				} else {
					require.Len(t, got, 4)
					assert.Equal(t, true, got[1]["isPartial"])
				}
				assert.Equal(t, "Basic bWU6czNjcmV0", u.auth)
				for _, entry := range b.mediaEntries(started) {
					assert.NotContains(t, entry, "s3cret")
				}
			})
		})
	}
}

func TestATranscriptionWithoutWhatItNeedsIsRejectedAndTheCallGoesOn(t *testing.T) {
	for name, tc := range map[string]struct {
		verb    string
		engine  string
		cause   string
		message string
	}{
		"the engine is off":             {``, node.EngineNone, "error", "switched off (media.stt.engine: none)"},
		"nobody is at the destination":  {`destination="ws://10.0.0.9/"`, "", "connection-error", "connection failed"},
		"the destination is denied":     {`destination="ws://169.254.1.1/"`, "", "error", "169.254.1.1"},
		"the destination does not talk": {`destination="ws://app.example/closed"`, "", "connection-error", "the server answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) {
				if tc.engine != "" {
					cfg.Media.STT.Engine = tc.engine
				}
			}, func(t *testing.T, b *bubble) {
				b.app.On("/closed", scenario.Reply{Status: 404})
				c := b.call(response(`<StartTranscription transcriptionEventUrl="/texts" ` + tc.verb + `/><SpeakSentence>Hello</SpeakSentence>`))
				c.Expect("BYE")
				e := b.app.Expect("realTimeTranscriptionRejected").Check(map[string]any{"cause": tc.cause})
				assert.Contains(t, e.Text("errorMessage"), tc.message)
				b.disconnect("hangup", "")
				assert.Equal(t, []string{"Hello"}, b.speech.texts())
				assert.Len(t, b.mediaEntries(e), 1)
				assert.Equal(t, 1.0, b.metrics()[`callengine_transcriptions_total{kind="live",result="rejected"}`])
			})
		})
	}
}

func TestADestinationThatGoesAwayEndsTheTranscription(t *testing.T) {
	for name, tc := range map[string]struct {
		act   func(ctx context.Context, c *websocket.Conn)
		cause string
	}{
		"it closes":    {func(_ context.Context, c *websocket.Conn) { _ = c.Close(websocket.StatusNormalClosure, "") }, "closed"},
		"it breaks":    {func(_ context.Context, c *websocket.Conn) { _ = c.CloseNow() }, "connection-error"},
		"it has a bug": {func(_ context.Context, c *websocket.Conn) { _ = c.Close(websocket.StatusInternalError, "") }, "connection-error"},
	} {
		t.Run(name, func(t *testing.T) {
			inTranscribingBubble(t, func(t *testing.T, b *bubble) {
				b.updatesAt("10.0.0.3:80", tc.act)
				c := b.call(response(`<StartTranscription destination="ws://10.0.0.3/" transcriptionEventUrl="/texts"/><Pause duration="3"/>`))
				b.app.Expect("realTimeTranscriptionStarted")
				b.app.Expect("realTimeTranscriptionStopped").Check(map[string]any{"cause": tc.cause})
				b.app.Expect("realTimeTranscriptionAvailable")
				c.Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}

func TestAnEngineThatFailsIsToldAndTheCallGoesOn(t *testing.T) {
	for name, h := range map[string]*fakeHearing{
		"an error": {err: errors.New("out of order")}, "a panic": {panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			inTranscribingBubble(t, func(t *testing.T, b *bubble) {
				b.hearing.err, b.hearing.panics = h.err, h.panics
				b.updatesAt("10.0.0.3:80", nil)
				c := b.call(response(`<StartTranscription destination="ws://10.0.0.3/" transcriptionEventUrl="/texts"/><Pause duration="3"/>`))
				b.app.Expect("realTimeTranscriptionStarted")
				b.app.Expect("realTimeTranscriptionStopped").Check(map[string]any{"cause": "error", "errorMessage": scenario.Present})
				e := b.app.Expect("realTimeTranscriptionAvailable")
				assert.Equal(t, "failed", e.Properties["realTimeTranscription"].(map[string]any)["status"])
				c.Expect("BYE")
				b.disconnect("hangup", "")
			})
		})
	}
}

// TestTheEndOfACallDoesNotWaitForItsText: what was said last may take a slow engine long.
func TestTheEndOfACallDoesNotWaitForItsText(t *testing.T) {
	inTranscribingBubble(t, func(t *testing.T, b *bubble) {
		b.hearing.delay = time.Minute
		c := b.call(response(`<StartTranscription transcriptionEventUrl="/texts"/><Pause duration="3"/>`))
		c.Expect("BYE")
		began := time.Now()
		assert.Less(t, since(began, b.disconnect("hangup", "").Time), time.Second)
		assert.Equal(t, time.Minute, since(began, b.app.Expect("realTimeTranscriptionAvailable").Time).Round(time.Second))
	})
}

func TestTextsAreDeletedAndUnknownOnesAreNotFound(t *testing.T) {
	inTranscribingBubble(t, func(t *testing.T, b *bubble) {
		c := b.call(response(`<StartTranscription transcriptionEventUrl="/texts"/><Pause duration="1"/>`))
		c.Expect("BYE")
		b.disconnect("hangup", "")
		e := b.app.Expect("realTimeTranscriptionAvailable")
		address := e.Properties["realTimeTranscription"].(map[string]any)["url"].(string)
		for i, want := range []int{200, 404} {
			status, _ := b.send(http.MethodDelete, e, strings.TrimPrefix(address, e.Text("callUrl")), "", "")
			assert.Equal(t, want, status, i)
		}
		status, body := b.get(strings.TrimPrefix(address, "http://10.0.0.1:8088"))
		assert.Equal(t, 404, status)
		assert.Contains(t, body, `"type":"validation","description":"Transcription [t-`)
		assert.Empty(t, getJSON[[]any](b, e.Text("callUrl")+"/transcriptions"))
		status, body = b.get("/api/v2/accounts/5555555/calls/c-unknown/transcriptions")
		assert.Equal(t, 404, status)
		assert.Contains(t, body, "Call [c-unknown] not found")
	})
}

func eventTypes(b *bubble) (types []string) {
	for _, e := range b.app.Events() {
		types = append(types, e.Type())
	}
	return types
}
