package webhook

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// redirect answers with a status and a Location.
func redirect(status int, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, bxml) // nobody may take it for the document
	}
}

func TestRedirectsThatAreFollowed(t *testing.T) {
	for name, tc := range map[string]struct {
		method string
		status int
		ok     bool
	}{
		"POST 301": {"POST", 301, false},
		"POST 302": {"POST", 302, false},
		"POST 303": {"POST", 303, false},
		"POST 307": {"POST", 307, true},
		"POST 308": {"POST", 308, true},
		"GET 301":  {"GET", 301, true},
		"GET 302":  {"GET", 302, true},
		"GET 303":  {"GET", 303, true},
		"GET 307":  {"GET", 307, true},
		"GET 308":  {"GET", 308, true},
		"POST 300": {"POST", 300, false},
		"GET 300":  {"GET", 300, false},
		"POST 305": {"POST", 305, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.serve(t, "app.example:80", redirect(tc.status, "http://new.example/a/b?c=d"))
				n.serve(t, "new.example:80", func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					assert.NoError(t, err)
					assert.Equal(t, tc.method, r.Method)
					assert.Equal(t, "e-1", r.Header.Get("Callengine-Event-Id"))
					assert.Empty(t, r.Header.Get("Referer"))
					if tc.method == "POST" {
						assert.JSONEq(t, string(testEvent.Body), string(body))
						assert.Equal(t, "application/json; charset=utf-8", r.Header.Get("Content-Type"))
					}
					_, _ = io.WriteString(w, "new")
				})
				w := &watcher{}
				got, err := newClient(t, n, Config{}, WithObserver(w)).
					Ask(t.Context(), Target{URL: "http://app.example/", Method: tc.method}, testEvent)
				if !tc.ok {
					var failed *DeliveryError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, tc.status, failed.Status)
					assert.Equal(t, []string{"app.example:80"}, n.dials())
					return
				}
				require.NoError(t, err)
				assert.Equal(t, Reply{URL: "http://new.example/a/b?c=d", Status: 200, Body: []byte("new")}, got)
				require.Len(t, w.ended(), 2)
				assert.Equal(t, []any{"http://app.example/", tc.status, 1, "http://new.example/a/b?c=d", 200, 1}, []any{
					w.ended()[0].URL, w.ended()[0].Status, w.ended()[0].Attempt,
					w.ended()[1].URL, w.ended()[1].Status, w.ended()[1].Attempt,
				})
			})
		})
	}
}

func TestAtMostThreeRedirects(t *testing.T) {
	for name, tc := range map[string]struct {
		hops int
		ok   bool
	}{"three": {3, true}, "four": {4, false}, "endless": {1 << 30, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				asked := 0
				n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
					if asked++; asked <= tc.hops {
						w.Header().Set("Location", "/")
						w.WriteHeader(http.StatusTemporaryRedirect)
					}
				})
				_, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				assert.Equal(t, 4, asked)
				if tc.ok {
					require.NoError(t, err)
				} else {
					assert.EqualError(t, err, "initiate could not be delivered: http://app.example/: status 307: more than 3 redirects")
				}
			})
		})
	}
}

func TestRedirectsLeadWhereTheFirstURLMay(t *testing.T) {
	for name, tc := range map[string]struct {
		location string
		want     string
	}{
		"host that is not allowed":   {"http://evil.test/", "refused: host evil.test is not in webhook.allow_hosts"},
		"address that is denied":     {"http://meta.example/", "refused: address 169.254.169.254 is in webhook.deny_cidrs"},
		"denied address by number":   {"http://169.254.169.254/", "refused: host 169.254.169.254"},
		"another scheme":             {"file:///etc/passwd", "refused: the URL is neither http nor https"},
		"not a URL":                  {"http://u:secret@new.example:port/?token=secret", "status 307 Temporary Redirect"},
		"nowhere":                    {"", "status 307 Temporary Redirect"},
		"host that does not connect": {"http://nobody.example/", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.serve(t, "app.example:80", redirect(307, tc.location))
				n.serve(t, "evil.test:80", reply(200, bxml))
				n.serve(t, "meta.example:80", reply(200, bxml)).ip = addrPort("169.254.169.254:80")
				n.serve(t, "169.254.169.254:80", reply(200, bxml))
				c := newClient(t, n, Config{AllowHosts: []string{"*.example"}, DenyCIDRs: prefixes("169.254.0.0/16")})
				_, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				require.ErrorContains(t, err, tc.want)
				assert.NotContains(t, err.Error(), "secret")
			})
		})
	}
}

func TestCredentialsStayWithTheirServer(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to string
		want     string // user name that arrives; "": no credentials
	}{
		"same server":                    {"http://app.example/", "/b", "u"},
		"same server, absolute":          {"http://app.example/", "http://app.example:80/b", "u"},
		"another host":                   {"http://app.example/", "http://new.example/b", ""},
		"a subdomain":                    {"http://app.example/", "http://sub.app.example/b", ""},
		"another port":                   {"http://app.example/", "http://app.example:8080/b", ""},
		"credentials of the new address": {"http://app.example/", "http://x:y@new.example/b", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				final := func(w http.ResponseWriter, r *http.Request) {
					user, _, _ := r.BasicAuth()
					_, _ = io.WriteString(w, user)
				}
				for _, address := range []string{"app.example:80", "app.example:8080", "new.example:80", "sub.app.example:80"} {
					n.serve(t, address, func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/b" {
							final(w, r)
							return
						}
						redirect(308, tc.to)(w, r)
					})
				}
				got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: tc.from, Auth: &BasicAuth{"u", "p"}}, testEvent)
				require.NoError(t, err)
				assert.Equal(t, tc.want, string(got.Body))
				assert.NotContains(t, got.URL, "@")
			})
		})
	}
}

func TestSameServer(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b string
		want bool
	}{
		"step up to TLS":              {"http://a.example/", "https://a.example/", true},
		"step up to TLS, ports given": {"http://a.example:80/", "https://a.example:443/", true},
		"TLS on another port":         {"http://a.example/", "https://a.example:8443/", false},
		"step down from TLS":          {"https://a.example/", "http://a.example/", false},
		"default port":                {"https://a.example/", "https://a.example:443/", true},
		"IPv6":                        {"http://[::1]/", "http://[::1]:80/", true},
		"another host":                {"https://a.example/", "https://b.example/", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := url.Parse(tc.a)
			require.NoError(t, err)
			b, err := url.Parse(tc.b)
			require.NoError(t, err)
			assert.Equal(t, tc.want, sameServer(a, b))
		})
	}
}

func TestHTTPClientHasTheSameRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", redirect(302, "http://evil.test/a.wav"))
		n.serve(t, "loop.example:80", redirect(302, "/"))
		n.serve(t, "cookie.example:80", func(w http.ResponseWriter, r *http.Request) {
			assert.Empty(t, r.Cookies())
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		})
		client := newClient(t, n, Config{AllowHosts: []string{"*.example"}}).HTTPClient()
		get := func(url string) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			require.NoError(t, err)
			res, err := client.Do(req)
			if err == nil {
				err = res.Body.Close()
			}
			return err
		}
		require.ErrorIs(t, get("http://app.example/"), ErrRefused)
		require.ErrorIs(t, get("http://loop.example/"), errTooManyHops)
		require.NoError(t, get("http://cookie.example/"))
		require.NoError(t, get("http://cookie.example/"))
	})
}
