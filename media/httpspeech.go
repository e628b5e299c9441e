package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// httpSpeechTimeout is how long a speech server may take to begin its reply.
const httpSpeechTimeout = 15 * time.Second

// httpSpeech speaks with a server. The text is the body of a POST, of type text/plain or application/ssml+xml; the voice's
// own name, its locale and gender are in Callengine-Voice, Callengine-Locale and Callengine-Gender. The reply is a WAV or
// MP3 file, heard while it comes. A server that cannot do SSML refuses it, and is asked again with the plain text.
type httpSpeech struct {
	address *url.URL
	client  *http.Client
}

func newHTTPSpeech(address string, client *http.Client) (*httpSpeech, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("media.tts.url: the engine http needs an http or https URL")
	}
	return &httpSpeech{address: u, client: client}, nil
}

func (h *httpSpeech) Synthesize(ctx context.Context, u Utterance) (Source, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	slow := time.AfterFunc(httpSpeechTimeout, func() { cancel(errSlow) })
	defer slow.Stop()
	res, err := h.ask(ctx, u)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err // without the URL, which may hold secrets
		}
		if context.Cause(ctx) == errSlow {
			err = errSlow
		}
		cancel(err)
		return nil, h.failed(err)
	}
	sound, err := h.open(res)
	if err != nil {
		cancel(err)
		return nil, errors.Join(h.failed(err), res.Body.Close())
	}
	return &httpSpeechSource{engine: h, sound: guarded{frames: sound}, body: res.Body, cancel: cancel}, nil
}

func (h *httpSpeech) ask(ctx context.Context, u Utterance) (*http.Response, error) {
	text, contentType := u.Text, "text/plain; charset=utf-8"
	if u.SSML != "" {
		text, contentType = u.SSML, "application/ssml+xml"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.address.String(), strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "audio/wav, audio/mpeg")
	req.Header.Set("Callengine-Voice", u.Speaker)
	req.Header.Set("Callengine-Locale", u.Locale)
	req.Header.Set("Callengine-Gender", u.Gender)
	return h.client.Do(req)
}

func (h *httpSpeech) open(res *http.Response) (frames, error) {
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", res.Status)
	}
	return openAudio(fileTypeOf(res.Header.Get("Content-Type"), h.address), res.Body)
}

func (h *httpSpeech) failed(err error) error {
	return &SpeechError{Engine: h.address.Host, Reason: err.Error(), Err: err}
}

// httpSpeechSource is a reply being heard.
type httpSpeechSource struct {
	engine *httpSpeech
	sound  guarded
	body   io.Closer
	cancel context.CancelCauseFunc
}

func (s *httpSpeechSource) ReadFrame(dst []int16) (int, error) {
	n, err := s.sound.ReadFrame(dst)
	if err != nil && err != io.EOF {
		err = s.engine.failed(err)
	}
	return n, err
}

func (s *httpSpeechSource) Close() error {
	s.cancel(errStopped)
	return s.body.Close()
}
