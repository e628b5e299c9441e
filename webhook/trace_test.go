package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbers is a tracer that numbers requests in a header, and notes what it is told.
type numbers struct {
	mu    sync.Mutex
	n     int
	lines []string
}

type senderKey struct{}

func (tr *numbers) Begin(ctx context.Context, x Exchange, h http.Header) func(Exchange) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.n++
	n := strconv.Itoa(tr.n)
	h.Set("Traceparent", n)
	sender, _ := ctx.Value(senderKey{}).(string)
	tr.lines = append(tr.lines, fmt.Sprintf("%s: %s %s for %s", n, x.Method, x.URL, sender))
	return func(x Exchange) {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.lines = append(tr.lines, fmt.Sprintf("%s: %d %t", n, x.Status, x.Err == nil))
	}
}

// A retry, a redirect and a fallback are requests of their own; what the outbox sends belongs to whoever handed it over.
func TestEachRequestIsTracedForItself(t *testing.T) {
	for name, tc := range map[string]struct {
		target Target
		send   bool
		want   []string
		heard  []string
	}{
		"asked": {
			Target{URL: "http://app.example/"}, false,
			[]string{"1: POST http://app.example/ for me", "1: 200 true"}, []string{"1"},
		},
		"sent": {
			Target{URL: "http://app.example/"}, true,
			[]string{"1: POST http://app.example/ for me", "1: 200 true"}, []string{"1"},
		},
		"redirected": {
			Target{URL: "http://app.example/moved"}, false,
			[]string{
				"1: POST http://app.example/moved for me", "1: 307 true", "2: POST http://app.example/ for me", "2: 200 true",
			}, []string{"1", "2"},
		},
		"sent again": {
			Target{URL: "http://flaky.example/"}, false,
			[]string{
				"1: POST http://flaky.example/ for me", "1: 0 false", "2: POST http://flaky.example/ for me", "2: 200 true",
			}, []string{"2"},
		},
		"sent to the fallback": {
			Target{URL: "http://app.example/failing", Fallback: &Target{URL: "http://app.example/"}}, true,
			[]string{
				"1: POST http://app.example/failing for me", "1: 500 true", "2: POST http://app.example/ for me", "2: 200 true",
			}, []string{"1", "2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var mu sync.Mutex
				var heard []string
				handler := func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					heard = append(heard, r.Header.Get("Traceparent"))
					mu.Unlock()
					switch r.URL.Path {
					case "/moved":
						http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
					case "/failing":
						w.WriteHeader(http.StatusInternalServerError)
					}
				}
				n.serve(t, "app.example:80", handler)
				n.serve(t, "flaky.example:80", handler).fail = failFirst(1)
				tr := &numbers{}
				c := newClient(t, n, Config{}, WithTracer(tr))
				ctx := context.WithValue(t.Context(), senderKey{}, "me")
				if tc.send {
					o := NewOutbox(c, &ledger{}, OutboxConfig{})
					t.Cleanup(o.Close)
					require.NoError(t, o.Send(ctx, tc.target, testEvent))
				} else {
					_, err := c.Ask(ctx, tc.target, testEvent)
					require.NoError(t, err)
				}
				synctest.Wait()
				assert.Equal(t, tc.want, tr.lines)
				assert.Equal(t, tc.heard, heard)
			})
		})
	}
}
