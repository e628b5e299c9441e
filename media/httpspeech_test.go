package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHTTPSpeech(t *testing.T) {
	t.Parallel()
	var asked []string
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		asked = append(asked, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("Callengine-Voice"), " ", string(body)))
		if strings.HasPrefix(string(body), "<") {
			return &http.Response{StatusCode: 415, Status: "415 Unsupported Media Type", Body: http.NoBody}, nil
		}
		return served(bytes.NewReader(audioFile(t, "mpeg25-8k.mp3")), "Content-Type", "audio/mpeg"), nil
	})}
	e, err := New(Config{Speech: SpeechConfig{Engine: "http", URL: "http://tts.example.com/say?key=secret"}}, WithHTTPClient(client))
	require.NoError(t, err)
	defer e.Close()
	assert.Empty(t, e.SpeechMissing())
	src, err := e.Speak(t.Context(), Utterance{Text: "hello", SSML: "<speak>hello</speak>"})
	require.NoError(t, err)
	assert.InDelta(t, SampleRate/2, len(readFrames(t, src)), 1200)
	require.NoError(t, src.Close())
	assert.Equal(t, []string{
		"POST http://tts.example.com/say?key=secret application/ssml+xml en-us+f3 <speak>hello</speak>",
		"POST http://tts.example.com/say?key=secret text/plain; charset=utf-8 en-us+f3 hello",
	}, asked)
}

func TestHTTPSpeechFailures(t *testing.T) {
	for name, tc := range map[string]struct {
		f    roundTrip
		want string
	}{
		"no connection": {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, "connection refused"},
		"an error": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 500, Status: "500 No", Body: http.NoBody}, nil
		}, "the server answered 500 No"},
		"no sound": {func(*http.Request) (*http.Response, error) { return served(strings.NewReader("{}")), nil }, "not a WAV file"},
		"no reply": {func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, "nothing came for 15s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, err := New(Config{Speech: SpeechConfig{Engine: "http", URL: "http://tts.example.com/?key=secret"}}, WithHTTPClient(&http.Client{Transport: tc.f}))
				require.NoError(t, err)
				defer e.Close()
				_, err = e.Speak(t.Context(), Utterance{Text: "hello"})
				failed, ok := errors.AsType[*SpeechError](err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, tc.want, failed.Reason)
				assert.NotContains(t, err.Error(), "secret")
			})
		})
	}
}
