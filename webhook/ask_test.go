package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testEvent = Event{ID: "e-1", Type: "initiate", CallID: "c-1", Body: []byte(`{"eventType":"initiate","tag":"a b","sipHeaders":{"x-id":"7"}}`)}

const bxml = `<Response><Hangup/></Response>`

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestPostCarriesTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.Equal(t, "POST", r.Method)
			assert.Equal(t, "/hook?step=2", r.RequestURI)
			assert.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
			assert.Equal(t, "callengine/1.2", r.Header.Get("User-Agent"))
			assert.Equal(t, "e-1", r.Header.Get("Callengine-Event-Id"))
			assert.Empty(t, r.Header.Get("Authorization"))
			assert.JSONEq(t, string(testEvent.Body), string(body))
			assert.Equal(t, int64(len(testEvent.Body)), r.ContentLength)
			_, _ = io.WriteString(w, bxml)
		})
		c := newClient(t, n, Config{UserAgent: "callengine/1.2"})
		got, err := c.Ask(t.Context(), Target{URL: "http://app.example/hook?step=2"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, Reply{URL: "http://app.example/hook?step=2", Status: 200, Body: []byte(bxml)}, got)
	})
}

func TestGetCarriesThePropertiesAsParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "GET", r.Method)
			assert.Equal(t, url.Values{
				"step": {"2"}, "eventType": {"initiate"}, "tag": {"a b"}, "sipHeaders.x-id": {"7"},
			}, r.URL.Query())
			assert.Empty(t, r.Header.Get("Content-Type"))
			assert.Zero(t, r.ContentLength)
			assert.Equal(t, "e-1", r.Header.Get("Callengine-Event-Id"))
		})
		w := &watcher{}
		c := newClient(t, n, Config{}, WithObserver(w))
		got, err := c.Ask(t.Context(), Target{URL: "http://app.example/hook?step=2", Method: "get"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, "http://app.example/hook?step=2", got.URL, "the base of relative URLs has no properties in it")
		require.Len(t, w.requests, 1)
		assert.Equal(t, Exchange{Event: testEvent, Method: "GET", URL: "http://app.example/hook?step=2", Attempt: 1}, w.requests[0])
	})
}

func TestCredentials(t *testing.T) {
	for name, tc := range map[string]struct {
		url        string
		auth       *BasicAuth
		user, pass string
		sent       bool
	}{
		"none":                          {"http://app.example/", nil, "", "", false},
		"of the target":                 {"http://app.example/", &BasicAuth{"u", "p"}, "u", "p", true},
		"in the URL":                    {"http://u%40x:p%3A@app.example/", nil, "u@x", "p:", true},
		"in the URL, no password":       {"http://u@app.example/", nil, "u", "", true},
		"the target's before the URL's": {"http://a:b@app.example/", &BasicAuth{"u", "p"}, "u", "p", true},
		"password without user name":    {"http://app.example/", &BasicAuth{"", "p"}, "", "p", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) {
					user, pass, sent := r.BasicAuth()
					assert.Equal(t, []any{tc.user, tc.pass, tc.sent}, []any{user, pass, sent})
				})
				got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: tc.url, Auth: tc.auth}, testEvent)
				require.NoError(t, err)
				assert.Equal(t, "http://app.example/", got.URL)
			})
		})
	}
}

func TestSuccessIsAStatusFrom200To299(t *testing.T) {
	for status, ok := range map[int]bool{
		200: true, 201: true, 204: true, 299: true,
		300: false, 304: false, 400: false, 404: false, 408: false, 429: false, 500: false, 503: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var asked atomic.Int32
				n.serve(t, "app.example:80", func(w http.ResponseWriter, _ *http.Request) {
					asked.Add(1)
					w.WriteHeader(status)
				})
				got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				assert.Equal(t, int32(1), asked.Load(), "a reply is never a reason to ask again")
				if ok {
					require.NoError(t, err)
					assert.Equal(t, Reply{URL: "http://app.example/", Status: status, Body: []byte{}}, got)
					return
				}
				var failed *DeliveryError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, &DeliveryError{EventType: "initiate", URL: "http://app.example/", Status: status, Attempts: 1}, failed)
			})
		})
	}
}

// The time-out runs from the start of connecting to the last byte of the reply (docs/webhooks.md).
func TestTimeoutCoversTheWholeAttempt(t *testing.T) {
	never := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		cfg    time.Duration
		target time.Duration
		setUp  func(t *testing.T, n *network)
		want   time.Duration
	}{
		"while connecting": {0, 2 * time.Second, func(_ *testing.T, n *network) { n.add("app.example:80", "192.0.2.1:80") }, 2 * time.Second},
		"in the TLS handshake": {0, 2 * time.Second, func(t *testing.T, n *network) {
			n.silent(t, "app.example:443")
		}, 2 * time.Second},
		"no reply":     {0, 1500 * time.Millisecond, func(t *testing.T, n *network) { n.serve(t, "app.example:80", never) }, 1500 * time.Millisecond},
		"the client's": {3 * time.Second, 0, func(t *testing.T, n *network) { n.serve(t, "app.example:80", never) }, 3 * time.Second},
		"the default":  {0, 0, func(t *testing.T, n *network) { n.serve(t, "app.example:80", never) }, 15 * time.Second},
		"slow body": {0, 5 * time.Second, func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
					select {
					case <-time.After(time.Second):
					case <-r.Context().Done():
					}
				}
			})
		}, 5 * time.Second},
		"over redirects": {0, 5 * time.Second, func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(2 * time.Second):
				case <-r.Context().Done():
				}
				http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
			})
		}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				tc.setUp(t, n)
				c := newClient(t, n, Config{Timeout: tc.cfg})
				begun := time.Now()
				url := "http://app.example/"
				if n.hosts["app.example:80"] == nil {
					url = "https://app.example/"
				}
				_, err := c.Ask(t.Context(), Target{URL: url, Timeout: tc.target}, testEvent)
				assert.Equal(t, tc.want, time.Since(begun))
				require.ErrorIs(t, err, ErrTimeout)
				assert.Contains(t, err.Error(), "no complete reply in time ("+tc.want.String()+")")
			})
		})
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errHangup := errors.New("the caller hung up")
		n := newNetwork()
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		n.serve(t, "other.example:80", reply(200, bxml))
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errHangup) })
		begun := time.Now()
		to := Target{URL: "http://app.example/", Fallback: &Target{URL: "http://other.example/"}}
		_, err := newClient(t, n, Config{}).Ask(ctx, to, testEvent)
		require.ErrorIs(t, err, errHangup)
		var failed *DeliveryError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, time.Second, time.Since(begun))
		assert.Equal(t, []string{"app.example:80"}, n.dials(), "nobody waits for the fallback any more")
	})
}

// TestAnEmptyPortIsNone holds RFC 3986 section 3.2.3.
func TestAnEmptyPortIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { assert.Equal(t, "app.example", r.Host) })
		got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "http://app.example:/hook"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, "http://app.example/hook", got.URL)
	})
}
