package media

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// roundTrip is an HTTP transport in memory.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func audioEngine(t *testing.T, f roundTrip) *Engine {
	t.Helper()
	e, err := New(Config{}, WithHTTPClient(&http.Client{Transport: f}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e
}

// served returns a reply with a body.
func served(body io.Reader, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	length := int64(-1)
	if known, ok := body.(*bytes.Reader); ok {
		length = known.Size()
	}
	return &http.Response{StatusCode: 200, Status: "200 OK", Header: h, Body: io.NopCloser(body), ContentLength: length}
}

// tone returns a WAV file of so many samples.
func tone(n int) []byte {
	return riff(-1, chunk("fmt ", -1, format(wavPCM, 1, 8000, 16)...), chunk("data", -1, make([]byte, 2*n)...))
}

// listen fetches a file and returns how many samples it has.
func listen(t *testing.T, e *Engine, address string, auth *Auth) (int, error) {
	t.Helper()
	src, err := e.Fetch(t.Context(), address, auth)
	if err != nil {
		return 0, err
	}
	defer src.Close()
	n, buf := 0, make([]int16, 160)
	for {
		m, err := src.ReadFrame(buf)
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func TestFileTypeIsThatOfItsContentType(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		contentType, url string
		want             fileType
	}{
		{"audio/wav", "http://a/x", wavFile},
		{"audio/x-wav", "http://a/x.mp3", wavFile},
		{"audio/mpeg", "http://a/x", mp3File},
		{"audio/mpeg3", "http://a/x.wav", mp3File},
		{"Audio/MP3; rate=8000", "http://a/x", mp3File},
		{"", "http://a/x.mp3?a=b.wav", mp3File},
		{"application/octet-stream", "http://a/x.MP3", mp3File},
		{"audio/ogg", "http://a/x.ogg", wavFile},
		{"text/plain", "http://a/x.wav", wavFile},
		{";;", "http://a/", wavFile},
	} {
		u, err := url.Parse(tc.url)
		require.NoError(t, err)
		assert.Equal(t, tc.want, fileTypeOf(tc.contentType, u), "%s %s", tc.contentType, tc.url)
	}
}

func TestFetchPlaysOverRealHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bob" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/a.mp3", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "audio/mpeg")
		_, _ = w.Write(audioFile(t, "mpeg2-22k.mp3")) // the client tells of a failure
	}))
	defer server.Close()
	e, err := New(Config{})
	require.NoError(t, err)
	defer e.Close()
	for name, tc := range map[string]struct {
		address string
		auth    *Auth
	}{
		"credentials":            {server.URL + "/a", &Auth{"bob", "secret"}},
		"credentials in the URL": {strings.Replace(server.URL, "://", "://bob:secret@", 1) + "/a", nil},
		"a redirection":          {server.URL + "/moved", &Auth{"bob", "secret"}},
	} {
		n, err := listen(t, e, tc.address, tc.auth)
		require.NoError(t, err, name)
		assert.InDelta(t, SampleRate/2, n, 800, name)
	}
	_, err = listen(t, e, server.URL+"/a", &Auth{"bob", "wrong"})
	failed, ok := errors.AsType[*AudioError](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "the server answered 401 Unauthorized", failed.Reason)
}

func TestFetchErrorsAreAudioErrorsWithoutSecrets(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		address string
		reply   *http.Response
		err     error
		want    string
	}{
		"no connection": {err: errors.New("connection refused"), want: "connection refused"},
		"not found":     {reply: &http.Response{StatusCode: 404, Status: "404 Not Found", Body: http.NoBody}, want: "the server answered 404 Not Found"},
		"not asked for": {reply: &http.Response{StatusCode: 304, Status: "304 Not Modified", Body: http.NoBody}, want: "the server answered 304 Not Modified"},
		"an ogg":        {reply: served(bytes.NewReader(audioFile(t, "tone.ogg")), "Content-Type", "audio/ogg"), want: "not a WAV file"},
		"a web page":    {reply: served(strings.NewReader("<html>"), "Content-Type", "audio/mpeg"), want: "not an MP3 file"},
		"nothing":       {reply: served(strings.NewReader("")), want: "not a WAV file"},
		"too big":       {reply: &http.Response{StatusCode: 200, ContentLength: 250e6 + 1, Body: http.NoBody}, want: "the file is larger than 250 MB"},
		"a broken transfer": {
			reply: served(io.MultiReader(bytes.NewReader(tone(10)[:20]), iotest.ErrReader(io.ErrUnexpectedEOF))),
			want:  "the file was cut off: unexpected EOF",
		},
		"another scheme": {address: "ftp://bob:secret@app.example.com/a.wav", want: "only http and https URLs can be played"},
		"no URL":         {address: "http://bob:secret@[/a.wav", want: "missing ']' in host"},
	} {
		t.Run(name, func(t *testing.T) {
			address := tc.address
			if address == "" {
				address = "https://bob:secret@app.example.com/a"
			}
			e := audioEngine(t, func(*http.Request) (*http.Response, error) { return tc.reply, tc.err })
			_, err := listen(t, e, address, nil)
			failed, ok := errors.AsType[*AudioError](err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tc.want, failed.Reason)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestFetchTellsWhenTheTransferBreaksLater(t *testing.T) {
	t.Parallel()
	e := audioEngine(t, func(*http.Request) (*http.Response, error) {
		return served(io.MultiReader(bytes.NewReader(tone(1000)[:1044]), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
	})
	n, err := listen(t, e, "http://app.example.com/a", nil)
	assert.Equal(t, 500, n, "what came is heard")
	_, ok := errors.AsType[*AudioError](err)
	assert.True(t, ok, "%v", err)
}

// trickle gives a piece of a file at intervals.
type trickle struct {
	ctx   context.Context
	pause time.Duration
	body  []byte
	piece int
}

func (r *trickle) Read(b []byte) (int, error) {
	if len(r.body) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(r.pause):
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
	n := copy(b[:min(len(b), r.piece)], r.body)
	r.body = r.body[n:]
	return n, nil
}

func TestFetchPlaysWhileTheFileComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := audioEngine(t, func(r *http.Request) (*http.Response, error) {
			return served(&trickle{r.Context(), time.Second, tone(8000), 2000}), nil
		})
		start := time.Now()
		src, err := e.Fetch(t.Context(), "http://app.example.com/a.wav", nil)
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start))
		require.NoError(t, src.Close())
		require.NoError(t, src.Close())
	})
}

func TestFetchGivesUpOnSlowServers(t *testing.T) {
	for name, f := range map[string]roundTrip{
		"no reply": func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"no body": func(r *http.Request) (*http.Response, error) {
			return served(&trickle{r.Context(), time.Hour, tone(10), 1}), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := audioEngine(t, f)
				start := time.Now()
				_, err := listen(t, e, "http://app.example.com/a", nil)
				assert.ErrorContains(t, err, "nothing came for 15s")
				assert.Equal(t, fetchTimeout, time.Since(start))
			})
		})
	}
}

func TestFetchEndsWithTheCauseOfItsContext(t *testing.T) {
	for name, pause := range map[string]time.Duration{"before the sound": 10 * time.Second, "in it": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := audioEngine(t, func(r *http.Request) (*http.Response, error) {
					return served(&trickle{r.Context(), pause, tone(100_000), 100}), nil
				})
				hangup := errors.New("hangup")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(hangup) })
				start := time.Now()
				src, err := e.Fetch(ctx, "http://app.example.com/a", nil)
				if err == nil {
					defer src.Close()
				}
				for err == nil {
					_, err = src.ReadFrame(make([]int16, 160))
				}
				assert.ErrorIs(t, err, hangup)
				assert.Equal(t, time.Second, time.Since(start))
			})
		})
	}
}

func TestFileOfMoreThan250MBEnds(t *testing.T) {
	t.Parallel()
	f := &file{body: newGrowing[byte](audioKeep, audioAhead)}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	l := newLibrary(t.Context())
	r, _ := f.body.reader()
	l.loading.Go(func() {
		l.load(ctx, cancel, time.AfterFunc(time.Hour, func() {}), f, io.NopCloser(zeros{}))
	})
	defer l.close()
	n, err := io.Copy(io.Discard, r)
	assert.EqualError(t, err, "the file is larger than 250 MB")
	assert.LessOrEqual(t, n, int64(maxFile))
}

// zeros is content without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// silence is sound without end.
type silence struct{}

func (silence) ReadFrame(dst []int16) (int, error) { return len(dst), nil }

func TestSoundOfMoreThanAnHourEnds(t *testing.T) {
	t.Parallel()
	g, buf := &guarded{frames: silence{}}, make([]int16, SampleRate)
	var err error
	for err == nil {
		_, err = g.ReadFrame(buf)
	}
	assert.EqualError(t, err, "the sound is too long")
	assert.InDelta(t, 3600*SampleRate, g.read, SampleRate)
}

func TestDecoderPanicIsAnError(t *testing.T) {
	t.Parallel()
	_, err := (&guarded{frames: panicking{}}).ReadFrame(make([]int16, 1))
	assert.EqualError(t, err, "the decoder failed: index out of range")
}

type panicking struct{}

func (panicking) ReadFrame([]int16) (int, error) { panic("index out of range") }

func TestCloseEndsLoading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := audioEngine(t, func(r *http.Request) (*http.Response, error) {
			return served(&trickle{r.Context(), time.Second, tone(100_000), 100}), nil
		})
		src, err := e.Fetch(t.Context(), "http://app.example.com/a", nil)
		require.NoError(t, err)
		require.NoError(t, e.Close())
		for err == nil {
			_, err = src.ReadFrame(make([]int16, 160))
		}
		assert.ErrorIs(t, err, ErrClosed)
		require.NoError(t, src.Close())
		_, err = e.Fetch(t.Context(), "http://app.example.com/a", nil)
		assert.ErrorIs(t, err, ErrClosed)
	})
}

func TestMaskedURL(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "http://a/b?c=d", maskURL("http://bob:secret@a/b?c=d"))
	assert.Equal(t, "http://a/b", maskURL("http://a/b"))
	assert.NotContains(t, maskURL("http://bob:secret@[/"), "secret")
}
