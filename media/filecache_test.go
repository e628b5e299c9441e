package media

import (
	"bytes"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// origin is a server that counts requests and answers conditions.
type origin struct {
	mu       sync.Mutex
	asked    []http.Header
	header   []string
	modified []string // the header of a 304; nil: none is given
}

func (o *origin) serve(r *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, r.Header)
	if o.modified != nil && (r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "") {
		res := served(http.NoBody, o.modified...)
		res.StatusCode, res.Status = 304, "304 Not Modified"
		return res, nil
	}
	return served(bytes.NewReader(tone(800)), o.header...), nil
}

func TestFetchCachesAsTheServerAllows(t *testing.T) {
	const address = "http://app.example.com/a"
	type step struct {
		after  time.Duration
		auth   *Auth
		asked  int    // in all
		header string // that the last request must have
	}
	for name, tc := range map[string]struct {
		header, modified []string
		steps            []step
	}{
		"nothing said: nothing kept": {header: []string{"ETag", `"1"`}, steps: []step{{asked: 1}, {asked: 2}}},
		"up to max-age": {
			header: []string{"Cache-Control", "max-age=60"},
			steps:  []step{{asked: 1}, {after: 59 * time.Second, asked: 1}, {after: time.Second, asked: 2}, {after: time.Second, asked: 2}},
		},
		"asked again with a validator": {
			header:   []string{"Cache-Control", "max-age=60", "ETag", `"1"`, "Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT"},
			modified: []string{"Cache-Control", "max-age=600"},
			steps: []step{
				{asked: 1},
				{after: time.Minute, asked: 2, header: "If-None-Match"},
				{after: 599 * time.Second, asked: 2},
				{after: time.Second, asked: 3, header: "If-Modified-Since"},
			},
		},
		"modified in between": {
			header: []string{"Cache-Control", "max-age=60", "ETag", `"1"`},
			steps:  []step{{asked: 1}, {after: time.Minute, asked: 2, header: "If-None-Match"}, {asked: 2}},
		},
		"not for other credentials": {
			header: []string{"Cache-Control", "max-age=60"},
			steps:  []step{{asked: 1}, {auth: &Auth{"bob", "secret"}, asked: 2, header: "Authorization"}, {auth: &Auth{"bob", "secret"}, asked: 2}, {auth: &Auth{"bob", "other"}, asked: 3}, {asked: 3}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{header: tc.header, modified: tc.modified}
				e := audioEngine(t, o.serve)
				for i, s := range tc.steps {
					time.Sleep(s.after)
					n, err := listen(t, e, address, s.auth)
					require.NoError(t, err)
					assert.Equal(t, 800, n)
					synctest.Wait()
					require.Len(t, o.asked, s.asked, "step %d", i)
					if s.header != "" {
						assert.NotEmpty(t, o.asked[len(o.asked)-1].Get(s.header))
					}
				}
			})
		})
	}
}

func TestFetchDoesNotCacheHalfAFileNorAHugeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		e := audioEngine(t, func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			size := 100_000
			if r.URL.Path == "/huge" {
				size = 5 << 20
			}
			return served(&trickle{r.Context(), time.Millisecond, tone(size), 32 << 10}, "Cache-Control", "max-age=60"), nil
		})
		src, err := e.Fetch(t.Context(), "http://app.example.com/half", nil)
		require.NoError(t, err)
		require.NoError(t, src.Close())
		synctest.Wait()
		for _, path := range []string{"/huge", "/huge", "/half"} {
			_, err := listen(t, e, "http://app.example.com"+path, nil)
			require.NoError(t, err)
			synctest.Wait()
		}
		assert.Equal(t, int32(4), asked.Load())
	})
}
