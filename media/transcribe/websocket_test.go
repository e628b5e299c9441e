package transcribe

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// service is a service that speaks the protocol, or fails to.
func service(t *testing.T, serve func(ctx context.Context, r *http.Request, c *websocket.Conn)) *webSocket {
	t.Helper()
	var served sync.WaitGroup // the server does not wait for what is no HTTP any more
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		defer served.Done()
		c, err := websocket.Accept(w, r, nil)
		if !assert.NoError(t, err) {
			return
		}
		defer c.CloseNow()
		serve(t.Context(), r, c)
	}))
	t.Cleanup(func() { s.Close(); served.Wait() })
	return serviceAt(t, "ws"+strings.TrimPrefix(s.URL, "http")+"/listen?key=1")
}

func serviceAt(t *testing.T, address string) *webSocket {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	p, err := New(Config{Engine: EngineWebSocket, URL: address}, &http.Client{Transport: transport}, zap.NewNop())
	require.NoError(t, err)
	return p.(*webSocket)
}

func say(t *testing.T, ctx context.Context, c *websocket.Conn, text string) {
	assert.NoError(t, c.Write(ctx, websocket.MessageText, []byte(text)))
}

// untilStop reads up to "stop".
func untilStop(ctx context.Context, c *websocket.Conn) (sound []byte, err error) {
	for {
		kind, p, err := c.Read(ctx)
		if err != nil || kind == websocket.MessageText {
			return sound, err
		}
		sound = append(sound, p...)
	}
}

func TestAServiceGetsTheSoundAndTellsTheText(t *testing.T) {
	sent := []int16{1, -2, 300, -32768}
	for range 2000 {
		sent = append(sent, 7)
	}
	w := service(t, func(ctx context.Context, r *http.Request, c *websocket.Conn) {
		user, password, _ := r.BasicAuth()
		assert.Equal(t, []string{"me", "s3cret", "/listen", "key=1"}, []string{user, password, r.URL.Path, r.URL.RawQuery})
		_, start, err := c.Read(ctx)
		assert.NoError(t, err)
		assert.JSONEq(t, `{"eventType":"start","metadata":{"callId":"c-1","track":"inbound","mediaFormat":{"encoding":"pcm_s16le","sampleRate":8000},
			"language":"fr-FR","detectLanguage":true,"hints":["oui"],"model":"best","profanityFilter":true,"partialResults":true}}`, string(start))
		say(t, ctx, c, `{"eventType":"hello","transcript":7}`)
		say(t, ctx, c, `{"eventType":"transcription","startTime":0.5,"endTime":1,"isPartial":true,"transcript":"bon"}`)
		sound, err := untilStop(ctx, c)
		assert.NoError(t, err)
		got := make([]int16, len(sound)/2)
		for i := range got {
			got[i] = int16(binary.LittleEndian.Uint16(sound[2*i:]))
		}
		assert.Equal(t, sent, got)
		say(t, ctx, c, `{"eventType":"transcription","startTime":0.5,"endTime":1.25,"isPartial":false,"language":"fr-FR","transcript":"Bonjour.",
			"items":[{"content":"Bonjour","startTime":0.5,"endTime":1.25,"confidence":0.8,"stable":true,"type":"PRONUNCIATION"},
			{"content":".","startTime":1.25,"endTime":1.25,"confidence":0.6,"stable":true,"type":"PUNCTUATION"}]}`)
		assert.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	})
	w.header.Set("Authorization", "Basic bWU6czNjcmV0")
	var got told
	o := Options{Language: "fr-FR", DetectLanguage: true, Hints: []string{"oui"}, Model: "best", ProfanityFilter: true, Partial: true, CallID: "c-1", Track: "inbound"}
	require.NoError(t, w.Transcribe(t.Context(), &pieces{samples: sent}, o, got.tell))
	require.Len(t, got.all, 2)
	assert.Equal(t, Result{Partial: true, Start: 500 * time.Millisecond, End: time.Second, Text: "bon"}, got.all[0])
	assert.Equal(t, Result{
		Start: 500 * time.Millisecond, End: 1250 * time.Millisecond, Language: "fr-FR", Text: "Bonjour.", Confidence: 0.7,
		Items: []Item{
			{"Bonjour", 500 * time.Millisecond, 1250 * time.Millisecond, 0.8, true, false},
			{".", 1250 * time.Millisecond, 1250 * time.Millisecond, 0.6, true, true},
		},
	}, got.all[1])
}

func TestUserInformationOfTheURLIsSentAsBasicAndNotWithTheURL(t *testing.T) {
	w := serviceAt(t, "wss://me:s3cret@speech.example.com/x?y=z")
	assert.Equal(t, "wss://speech.example.com/x?y=z", w.address)
	assert.Equal(t, "Basic bWU6czNjcmV0", w.header.Get("Authorization"))
	for _, wrong := range []string{"", "http://speech.example.com/", "ws://", "wss:speech", "\x00"} {
		_, err := New(Config{Engine: EngineWebSocket, URL: wrong}, nil, zap.NewNop())
		assert.ErrorContains(t, err, "media.stt.url", wrong)
	}
	_, err := New(Config{Engine: "sphinx"}, nil, zap.NewNop())
	assert.ErrorContains(t, err, "media.stt.engine")
}

func TestPartialResultsAreToldOnlyWhereTheyAreWanted(t *testing.T) {
	w := service(t, func(ctx context.Context, _ *http.Request, c *websocket.Conn) {
		say(t, ctx, c, `{"eventType":"transcription","isPartial":true,"transcript":"a"}`)
		say(t, ctx, c, `{"eventType":"transcription","isPartial":false,"transcript":"b"}`)
		assert.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	})
	var got told
	_ = w.Transcribe(t.Context(), &pieces{samples: make([]int16, 100)}, Options{}, got.tell) // it may end before the sound
	require.Len(t, got.all, 1)
	assert.Equal(t, "b", got.all[0].Text)
}

func TestAServiceThatFailsIsAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		serve  func(ctx context.Context, c *websocket.Conn)
		reason string // of an EngineError; "": it is a ConnectError
	}{
		"it reports an error": {func(ctx context.Context, c *websocket.Conn) {
			say(t, ctx, c, `{"eventType":"error","errorMessage":"no such model"}`)
		}, `it reports: "no such model"`},
		"garbage":          {func(ctx context.Context, c *websocket.Conn) { say(t, ctx, c, "<html>") }, "its message is not understood: invalid character '<' looking for beginning of value"},
		"not UTF-8":        {func(ctx context.Context, c *websocket.Conn) { say(t, ctx, c, "\"\xff\"") }, "its message is not UTF-8"},
		"a binary message": {func(ctx context.Context, c *websocket.Conn) { _ = c.Write(ctx, websocket.MessageBinary, []byte{1}) }, "it sent a binary message"},
		"times that go backwards": {func(ctx context.Context, c *websocket.Conn) {
			say(t, ctx, c, `{"eventType":"transcription","startTime":2,"endTime":1}`)
		}, "it tells of a time from 2 to 1 s"},
		"it never answers": {func(ctx context.Context, c *websocket.Conn) {
			_, _ = untilStop(ctx, c)
			_, _ = untilStop(ctx, c)
			_, _, _ = c.Read(ctx)
		}, "the engine took too long"},
		"too long a message": {func(ctx context.Context, c *websocket.Conn) {
			_ = c.Write(ctx, websocket.MessageText, []byte(`"`+strings.Repeat("x", maxMessage)+`"`))
			_, _, _ = c.Read(ctx)
		}, ""},
		"it closes at once":     {func(context.Context, *websocket.Conn) {}, ""},
		"it closes in time":     {func(_ context.Context, c *websocket.Conn) { _ = c.Close(websocket.StatusNormalClosure, "") }, ""},
		"it closes for trouble": {func(_ context.Context, c *websocket.Conn) { _ = c.Close(websocket.StatusInternalError, "oh") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := service(t, func(ctx context.Context, _ *http.Request, c *websocket.Conn) {
				tc.serve(ctx, c)
				for err := error(nil); tc.reason != "" && err == nil; { // it is the node that closes
					_, _, err = c.Read(ctx)
				}
			})
			w.patience = 100 * time.Millisecond
			sound := NewLive(1 << 20) // that of a call: it goes on
			stop := make(chan struct{})
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						sound.Put(make([]int16, 160))
						if name == "it never answers" && n > 10 {
							sound.End()
						}
					}
				}
			}()
			err := w.Transcribe(t.Context(), sound, Options{}, func(Result) {})
			close(stop)
			<-fed
			if tc.reason == "" {
				var failure *ConnectError
				require.ErrorAs(t, err, &failure)
				return
			}
			var failure *EngineError
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, tc.reason, failure.Reason)
		})
	}
}

func TestAServiceThatCannotBeHadIsAConnectError(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	address := "ws" + strings.TrimPrefix(s.URL, "http") + "/?token=s3cret"
	var failure *ConnectError
	require.ErrorAs(t, serviceAt(t, address).Transcribe(t.Context(), &pieces{}, Options{}, nil), &failure)
	assert.EqualError(t, failure, "connection failed: the server answered 404 Not Found")
	s.Close()
	require.ErrorAs(t, serviceAt(t, address).Transcribe(t.Context(), &pieces{}, Options{}, nil), &failure)
	assert.NotContains(t, failure.Error(), "s3cret")
}

func TestTheEndOfATranscriptionClosesItsWebSocket(t *testing.T) {
	stopped := errors.New("stopped")
	ctx, end := context.WithCancelCause(t.Context())
	gone := make(chan struct{})
	w := service(t, func(served context.Context, _ *http.Request, c *websocket.Conn) {
		defer close(gone)
		_, err := untilStop(served, c) // "start"
		assert.NoError(t, err)
		end(stopped)
		for err == nil {
			_, _, err = c.Read(served)
		}
	})
	sound := NewLive(100)
	defer context.AfterFunc(ctx, sound.End)()
	assert.ErrorIs(t, w.Transcribe(ctx, sound, Options{}, nil), stopped)
	<-gone
}

func TestAResultIsAMessageAndBack(t *testing.T) {
	r := Result{
		Start: time.Second, End: 2 * time.Second, Language: "en-US", Text: "Yes.", Confidence: 0.75,
		Items: []Item{{"Yes", time.Second, 2 * time.Second, 0.5, true, false}, {".", 2 * time.Second, 2 * time.Second, 1, true, true}},
	}
	text, err := json.Marshal(MessageOf("outbound", r))
	require.NoError(t, err)
	assert.JSONEq(t, `{"eventType":"transcription","track":"outbound","startTime":1,"endTime":2,"isPartial":false,"language":"en-US","transcript":"Yes.",
		"items":[{"content":"Yes","startTime":1,"endTime":2,"confidence":0.5,"stable":true,"type":"PRONUNCIATION"},
		{"content":".","startTime":2,"endTime":2,"confidence":1,"stable":true,"type":"PUNCTUATION"}]}`, string(text))
	back, ok, err := readMessage(text)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, r, back)
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"eventType":"transcription","startTime":1,"endTime":2,"confidence":7,"transcript":"x","items":[{"content":"x","endTime":3}]}`))
	f.Add([]byte(`{"eventType":"error","errorMessage":"x"}`))
	f.Add([]byte(`[1]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, ok, err := readMessage(text)
		if err != nil || !ok {
			return
		}
		require.True(t, r.Start >= 0 && r.Start <= r.End)
		require.True(t, r.Confidence >= 0 && r.Confidence <= 1)
		again, err := json.Marshal(MessageOf("inbound", r))
		require.NoError(t, err)
		back, ok, err := readMessage(again)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, r.Text, back.Text)
		require.Len(t, back.Items, len(r.Items))
	})
}
