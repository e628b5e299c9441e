package webhook

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failFirst makes the first k dials of a host fail.
func failFirst(k int) func(int) error {
	return func(nth int) error {
		if nth <= k {
			return errUnreachable
		}
		return nil
	}
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// One immediate retry, after a connection failure alone, and only when there is no fallback (docs/webhooks.md).
func TestRetryOnlyAfterAConnectionFailure(t *testing.T) {
	const url = "http://app.example/"
	refusing := func(k int) func(t *testing.T, n *network) {
		return func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(200, bxml)).fail = failFirst(k) }
	}
	for name, tc := range map[string]struct {
		url    string
		setUp  func(t *testing.T, n *network)
		dials  int
		status int // of the outcome; 0: none
	}{
		"refused once":  {url, refusing(1), 2, 200},
		"refused twice": {url, refusing(2), 2, 0},
		"unknown host":  {"http://nobody.example/", func(*testing.T, *network) {}, 2, 0},
		"TLS failure": {"https://app.example/", func(t *testing.T, n *network) {
			n.hostile(t, "app.example:443", func(int, *http.Request, net.Conn) {})
		}, 2, 0},
		"a fresh connection closed without a reply": {url, func(t *testing.T, n *network) {
			n.hostile(t, "app.example:80", func(int, *http.Request, net.Conn) {})
		}, 1, 0},
		"closed in the middle of the header": {url, func(t *testing.T, n *network) {
			n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) { _, _ = io.WriteString(c, okReply[:20]) })
		}, 1, 0},
		"closed in the middle of the body": {url, func(t *testing.T, n *network) {
			n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n<Response>")
			})
		}, 1, 0},
		"no HTTP at all": {url, func(t *testing.T, n *network) {
			n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) { _, _ = io.WriteString(c, "SIP/2.0 200 OK\r\n\r\n") })
		}, 1, 0},
		"503": {url, func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(503, "")) }, 1, 503},
		"a time-out": {url, func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				tc.setUp(t, n)
				w := &watcher{}
				begun := time.Now()
				got, err := newClient(t, n, Config{}, WithObserver(w)).Ask(t.Context(), Target{URL: tc.url}, testEvent)
				assert.Len(t, n.dials(), tc.dials)
				assert.Len(t, w.ended(), tc.dials)
				if name != "a time-out" {
					assert.Zero(t, time.Since(begun), "the retry is immediate")
				}
				if tc.status == 200 {
					require.NoError(t, err)
					assert.Equal(t, bxml, string(got.Body))
					return
				}
				var failed *DeliveryError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, tc.dials, failed.Attempts)
				if tc.status == 0 {
					assert.Error(t, failed.Err)
				}
			})
		})
	}
}

// A connection that was kept alive and is gone when it is needed is not the application's failure.
func TestReusedConnectionClosedBeforeTheReply(t *testing.T) {
	for _, method := range []string{"POST", "GET"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var asked atomic.Int32
				n.hostile(t, "app.example:80", func(nth int, _ *http.Request, c net.Conn) {
					asked.Add(1)
					_, _ = io.WriteString(c, okReply)
					if nth == 1 { // takes one more request and hangs up
						_, _ = c.Read(make([]byte, 4096))
						asked.Add(1)
					}
				})
				c := newClient(t, n, Config{})
				for range 2 {
					_, err := c.Ask(t.Context(), Target{URL: "http://app.example/", Method: method}, testEvent)
					require.NoError(t, err)
				}
				assert.Len(t, n.dials(), 2)
				assert.Equal(t, int32(3), asked.Load(), "the second event was sent twice")
			})
		})
	}
}

// A server that was restarted has dropped all of its connections: the one retry must not go to another dead one.
func TestRetryMakesAConnectionOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const kept = 3
		n := newNetwork()
		n.hostile(t, "app.example:80", func(nth int, _ *http.Request, c net.Conn) {
			time.Sleep(time.Second) // so that the first ones need a connection each
			_, _ = io.WriteString(c, okReply)
			if nth <= kept {
				_, _ = c.Read(make([]byte, 4096)) // takes one more request and hangs up
			}
		})
		c := newClient(t, n, Config{})
		var first sync.WaitGroup
		for range kept {
			first.Go(func() {
				_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				assert.NoError(t, err)
			})
		}
		first.Wait()
		require.Len(t, n.dials(), kept)
		_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.NoError(t, err)
		assert.Len(t, n.dials(), kept+1)
	})
}

func TestReusedConnectionClosedGoesToTheFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) {
			_, _ = io.WriteString(c, okReply)
			_, _ = c.Read(make([]byte, 4096))
		})
		n.serve(t, "other.example:80", reply(200, bxml))
		c := newClient(t, n, Config{})
		to := Target{URL: "http://app.example/", Fallback: &Target{URL: "http://other.example/"}}
		_, err := c.Ask(t.Context(), to, testEvent)
		require.NoError(t, err)
		got, err := c.Ask(t.Context(), to, testEvent)
		require.NoError(t, err)
		assert.Equal(t, "http://other.example/", got.URL)
		assert.Equal(t, []string{"app.example:80", "other.example:80"}, n.dials())
	})
}

func TestFallback(t *testing.T) {
	down := func(*testing.T, *network) {}
	for name, tc := range map[string]struct {
		primary func(t *testing.T, n *network)
		asked   int // requests to the fallback
	}{
		"no connection": {down, 1},
		"404":           {func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(404, "")) }, 1},
		"500":           {func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(500, "no")) }, 1},
		"time-out": {func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, 1},
		"success": {func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(200, bxml)) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				tc.primary(t, n)
				asked := 0
				n.serve(t, "other.example:80", func(w http.ResponseWriter, r *http.Request) {
					asked++
					user, pass, _ := r.BasicAuth()
					assert.Equal(t, "fu:fp", user+":"+pass)
					assert.Equal(t, "GET", r.Method)
					assert.Equal(t, "e-1", r.Header.Get("Callengine-Event-Id"), "it is the same event")
					_, _ = io.WriteString(w, bxml)
				})
				got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{
					URL: "http://app.example/", Auth: &BasicAuth{"u", "p"},
					Fallback: &Target{URL: "http://other.example/x", Method: "GET", Auth: &BasicAuth{"fu", "fp"}},
				}, testEvent)
				require.NoError(t, err)
				assert.Equal(t, tc.asked, asked)
				assert.Equal(t, bxml, string(got.Body))
				if tc.asked > 0 {
					assert.Equal(t, "http://other.example/x", got.URL, "the fallback is the base of the document")
				}
			})
		})
	}
}

func TestFallbackIsTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(500, ""))
		w := &watcher{}
		_, err := newClient(t, n, Config{}, WithObserver(w)).Ask(t.Context(), Target{
			URL: "http://app.example/", Timeout: time.Second,
			Fallback: &Target{URL: "http://nobody.example/", Fallback: &Target{URL: "http://app.example/again"}},
		}, testEvent)
		var failed *DeliveryError
		require.ErrorAs(t, err, &failed)
		assert.True(t, failed.Fallback)
		assert.Equal(t, 500, failed.Before.Status)
		assert.EqualError(t, err, "initiate could not be delivered: http://app.example/: status 500 Internal Server Error; "+
			"fallback http://nobody.example/: dial tcp: connection refused")
		require.Len(t, w.ended(), 2)
		assert.Equal(t, []int{1, 2}, []int{w.ended()[0].Attempt, w.ended()[1].Attempt})
		assert.Equal(t, []bool{false, true}, []bool{w.ended()[0].Fallback, w.ended()[1].Fallback})
	})
}

func TestFallbackHasTheTimeoutOfTheTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "other.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		begun := time.Now()
		_, err := newClient(t, n, Config{}).Ask(t.Context(), Target{
			URL: "http://nobody.example/", Timeout: 3 * time.Second, Fallback: &Target{URL: "http://other.example/"},
		}, testEvent)
		require.ErrorIs(t, err, ErrTimeout)
		assert.Equal(t, 3*time.Second, time.Since(begun))
	})
}

func TestRefusedTargets(t *testing.T) {
	for name, tc := range map[string]struct {
		to   Target
		want string
	}{
		"not a URL":     {Target{URL: "http://u:secret@app.example:port/"}, "refused: the URL cannot be read"},
		"no scheme":     {Target{URL: "/hook"}, "/hook: refused: the URL is neither http nor https"},
		"another one":   {Target{URL: "ftp://app.example/"}, "ftp://app.example/: refused: the URL is neither http nor https"},
		"no host":       {Target{URL: "http:///hook"}, "refused"},
		"empty":         {Target{}, "refused"},
		"method PUT":    {Target{URL: "http://app.example/", Method: "PUT"}, "refused: the method is neither POST nor GET"},
		"control bytes": {Target{URL: "http://app.example/\r\nX: secret"}, "refused: the URL cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork()
			_, err := newClient(t, n, Config{}).Ask(t.Context(), tc.to, testEvent)
			require.ErrorIs(t, err, ErrRefused)
			assert.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "secret")
			assert.Empty(t, n.dials())
		})
	}
}

func TestConnectionsAreReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(200, bxml))
		n.serve(t, "bad.example:80", reply(500, ""))
		c := newClient(t, n, Config{})
		for range 5 {
			_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
			require.NoError(t, err)
			_, err = c.Ask(t.Context(), Target{URL: "http://bad.example/"}, testEvent)
			require.Error(t, err)
			_, err = c.Ask(t.Context(), Target{URL: "http://nobody.example/"}, testEvent)
			require.Error(t, err)
		}
		dials := strings.Join(n.dials(), " ")
		assert.Equal(t, 1, strings.Count(dials, "app.example"), "one application's failures do not cost another its connections")
		assert.Equal(t, 1, strings.Count(dials, "bad.example"))
	})
}

func TestTLSCAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		cert, file := selfSigned(t, "app.example")
		h := n.add("app.example:443", "192.0.2.1:443")
		serveHTTP(t, tls.NewListener(newListener(h), &tls.Config{Certificates: []tls.Certificate{cert}}), reply(200, bxml))

		_, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "https://app.example/"}, testEvent)
		require.ErrorContains(t, err, "certificate")
		got, err := newClient(t, n, Config{CAFile: file}).Ask(t.Context(), Target{URL: "https://app.example/"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, bxml, string(got.Body))
	})
}
