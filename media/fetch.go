package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Auth is HTTP Basic credentials for an audio file.
type Auth struct{ Username, Password string }

const (
	maxFile      = 250e6            // bytes of an audio file
	fetchTimeout = 15 * time.Second // without a reply, or without a byte of it

	audioCacheLimit = 64 << 20 // bytes of files that are kept
	audioKeep       = 8 << 20  // bytes of the greatest file that is kept
	audioAhead      = 4 << 20  // bytes of a greater one that are loaded ahead of its playing
)

var (
	errSlow    = fmt.Errorf("nothing came for %v", fetchTimeout)
	errTooBig  = errors.New("the file is larger than 250 MB")
	errScheme  = errors.New("only http and https URLs can be played")
	errStopped = errors.New("it is not played any more")
)

// library fetches audio files and keeps those that their servers allow to be kept.
type library struct {
	log    *zap.Logger
	client *http.Client

	ctx     context.Context // the engine's
	loading sync.WaitGroup

	mu     sync.Mutex
	closed bool
	kept   *lru[fileKey, *file]
}

// fileKey is what a file is kept under: who may not read it must not hear it.
type fileKey struct {
	url  string
	auth Auth
}

// file is an audio file, loaded or being loaded. It does not change, but for its content growing.
type file struct {
	body   *growing[byte]
	kind   fileType
	header http.Header
	until  time.Time // it may be used without asking before that
	cancel func()    // ends the loading
}

func newLibrary(ctx context.Context) *library {
	return &library{log: zap.NewNop(), ctx: ctx, kept: newLRU[fileKey, *file](audioCacheLimit)}
}

// fetch returns the sound of the file at address.
func (l *library) fetch(ctx context.Context, address string, auth *Auth) (Source, error) {
	key := fileKey{url: address}
	if auth != nil {
		key.auth = *auth
	}
	f, err := l.get(ctx, key)
	if err != nil {
		return nil, audioError(ctx, address, err)
	}
	r, _ := f.body.reader() // the beginning is there: nobody has read yet, or it is kept whole
	src := &fileSource{url: address, ctx: ctx, r: r, cancel: f.cancel}
	src.stop = context.AfterFunc(ctx, src.end)
	sound, err := openAudio(f.kind, r)
	if err != nil {
		_ = src.Close() // it has no errors
		return nil, audioError(ctx, address, err)
	}
	src.sound = guarded{frames: sound}
	return src, nil
}

// audioError says what went wrong with a file, without secrets: the errors of net/http hold the URL.
func audioError(ctx context.Context, address string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, ErrClosed) {
		return err
	}
	reason := err
	if outer, ok := errors.AsType[*url.Error](err); ok {
		reason = outer.Err
	}
	return &AudioError{URL: maskURL(address), Reason: reason.Error(), Err: err}
}

// get returns the file from the cache if it is fresh, else from its server.
func (l *library) get(ctx context.Context, key fileKey) (*file, error) {
	l.mu.Lock()
	old, ok := l.kept.get(key)
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	if ok && time.Now().Before(old.until) {
		return old, nil
	}
	return l.ask(ctx, key, old)
}

// ask asks the server for the file; old, if not nil, is what was kept of it.
func (l *library) ask(ctx context.Context, key fileKey, old *file) (*file, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	slow := time.AfterFunc(fetchTimeout, func() { cancel(errSlow) })
	res, err := l.request(ctx, key, old)
	if err != nil {
		slow.Stop()
		if context.Cause(ctx) == errSlow {
			err = errSlow
		}
		cancel(err)
		return nil, err
	}
	if f, err := l.read(ctx, cancel, slow, key, old, res); err == nil {
		return f, nil
	} else {
		slow.Stop()
		cancel(err)
		return nil, errors.Join(err, res.Body.Close())
	}
}

func (l *library) request(ctx context.Context, key fileKey, old *file) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, key.url, nil)
	if err != nil {
		return nil, err
	}
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return nil, errScheme
	}
	if key.auth != (Auth{}) {
		req.SetBasicAuth(key.auth.Username, key.auth.Password)
	}
	req.Header.Set("Accept", "audio/wav, audio/mpeg, */*;q=0.5")
	req.Header.Set("Accept-Encoding", "identity") // sound does not get smaller
	if old != nil {
		// RFC 7232 sections 3.2 and 3.3
		for validator, condition := range map[string]string{"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"} {
			if v := old.header.Get(validator); v != "" {
				req.Header.Set(condition, v)
			}
		}
	}
	return l.client.Do(req)
}

// read makes a file of a reply. If it returns no error, the reply's body, cancel and slow are taken care of.
func (l *library) read(ctx context.Context, cancel context.CancelCauseFunc, slow *time.Timer, key fileKey, old *file, res *http.Response) (*file, error) {
	f := &file{header: res.Header}
	redirected := res.Request != nil && res.Request.Response != nil
	switch {
	case res.StatusCode == http.StatusNotModified && old != nil:
		// RFC 7234 section 4.3.4: the new header fields take the place of the old ones.
		f.header = maps.Clone(old.header)
		maps.Copy(f.header, res.Header)
		f.body, f.kind, f.cancel = old.body, old.kind, func() {}
		l.keep(key, f, redirected)
		slow.Stop()
		cancel(nil)
		return f, res.Body.Close()
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answered %s", res.Status)
	case res.ContentLength > maxFile:
		return nil, errTooBig
	}
	at, err := url.Parse(key.url)
	if err != nil {
		return nil, err
	}
	f.kind = fileTypeOf(res.Header.Get("Content-Type"), at)
	f.body = newGrowing[byte](audioKeep, audioAhead)
	f.body.expect(int(max(0, res.ContentLength)))
	f.cancel = func() { cancel(errStopped) }
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	l.loading.Go(func() {
		defer slow.Stop()
		defer cancel(nil)
		if l.load(ctx, cancel, slow, f, res.Body) {
			l.keep(key, f, redirected)
		}
	})
	return f, nil
}

// load reads the body to its end and reports whether it was all of it.
func (l *library) load(ctx context.Context, cancel context.CancelCauseFunc, slow *time.Timer, f *file, body io.ReadCloser) bool {
	defer body.Close()
	defer context.AfterFunc(ctx, func() { f.body.finish(context.Cause(ctx)) })()
	defer context.AfterFunc(l.ctx, func() { cancel(ErrClosed) })()
	buf := make([]byte, 32<<10)
	for total := 0; ; {
		slow.Reset(fetchTimeout)
		n, err := body.Read(buf)
		slow.Stop() // while the playing is waited for, the server is not to blame
		if total += n; total > maxFile {
			f.body.finish(errTooBig)
			return false
		}
		if failed := f.body.write(buf[:n]); failed != nil {
			return false
		}
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			} else if err != io.EOF {
				err = fmt.Errorf("the file was cut off: %w", err)
			}
			f.body.finish(err)
			return f.body.complete() // whoever had the last of it may have ended the loading since
		}
	}
}

// keep puts a file that is loaded into the cache, if it may be kept. What was reached through a redirection is not: that
// would have to be fresh as well.
func (l *library) keep(key fileKey, f *file, redirected bool) {
	until, ok := freshness(f.header, time.Now())
	f.until = until
	size, whole := f.body.length(), f.body.whole()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok || redirected || !whole || size > audioKeep {
		l.kept.remove(key)
		return
	}
	l.kept.put(key, f, size+chunkLen)
}

// close ends the loading and waits for it.
func (l *library) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.loading.Wait()
}

// fileSource is the sound of a file.
type fileSource struct {
	url    string
	ctx    context.Context // what it was asked for with: a source lasts no longer than that
	r      *growingReader[byte]
	cancel func()
	stop   func() bool
	sound  guarded
}

func (s *fileSource) ReadFrame(dst []int16) (int, error) {
	n, err := s.sound.ReadFrame(dst)
	if err != nil && err != io.EOF {
		err = audioError(s.ctx, s.url, err)
	}
	return n, err
}

// instant implements [instant]: of a file that is all there, if no more is to be done than to copy its samples.
func (s *fileSource) instant() bool {
	_, plain := s.sound.frames.(*wav)
	return plain && s.r.g.complete()
}

// more implements [instant].
func (s *fileSource) more() bool {
	w := s.sound.frames.(*wav)
	return w.more(s.r.waiting())
}

func (s *fileSource) end() {
	if s.r.close() {
		s.cancel()
	}
}

// Close ends the loading if it still goes on.
func (s *fileSource) Close() error {
	s.stop()
	s.end()
	return nil
}
