package webhook

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// No secret of a URL, and no credentials, reach an error, a log, the list of what is pending, or the URL that an observer is told.
func TestNoSecretsAreShown(t *testing.T) {
	for name, setUp := range map[string]func(t *testing.T, n *network){
		"unreachable": func(*testing.T, *network) {},
		"404":         func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(404, "")) },
		"500":         func(t *testing.T, n *network) { n.serve(t, "app.example:80", reply(500, "")) },
		"time-out": func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		},
		"broken reply": func(t *testing.T, n *network) {
			n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) {
				_, _ = io.WriteString(c, "http://hunter2@app.example/?key=hunter2\r\n\r\n")
			})
		},
		"redirected nowhere": func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", redirect(307, "http://user:hunter2@nobody.example/?key=hunter2"))
		},
		"redirected to no URL": func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", redirect(307, "http://user:hunter2@nobody.example:x/?key=hunter2"))
		},
		"redirected to another scheme": func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", redirect(307, "gopher://user:hunter2@nobody.example/?key=hunter2"))
		},
		"redirected in a circle": func(t *testing.T, n *network) {
			n.serve(t, "app.example:80", redirect(307, "http://user:hunter2@app.example/?key=hunter2"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				setUp(t, n)
				var logged bytes.Buffer
				log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(&logged)), zap.DebugLevel))
				w := &watcher{}
				c := newClient(t, n, Config{}, WithLogger(log), WithObserver(w))
				to := Target{URL: "http://user:hunter2@app.example/hook?key=hunter2", Auth: &BasicAuth{"user", "hunter2"}}
				to.Fallback = &Target{URL: "http://hunter2@nobody.example/?hunter2"}

				_, err := c.Ask(t.Context(), to, testEvent)
				require.Error(t, err)
				log.Error("as it may be logged", zap.Error(err))

				l := &strictLedger{failed: map[uint64]string{}}
				o := NewOutbox(c, l, OutboxConfig{MaxAge: time.Minute}, WithOutboxLogger(log))
				require.NoError(t, o.Send(t.Context(), to, testEvent))
				synctest.Wait()
				pending := fmt.Sprintf("%+v", o.Pending())
				time.Sleep(time.Hour)
				o.Close()
				dead := fmt.Sprintf("%+v", l.failed)

				for _, shown := range []string{err.Error(), fmt.Sprintf("%v %+v %q", err, err, err), logged.String(), pending, dead} {
					assert.NotContains(t, shown, "hunter2")
					assert.NotContains(t, shown, "aHVudGVyMg", "nor in base64")
				}
				for _, x := range w.ended() {
					assert.NotContains(t, x.URL, "@")
					if x.Err != nil {
						assert.NotContains(t, x.Err.Error(), "hunter2")
					}
				}
			})
		})
	}
}

func TestErrorTexts(t *testing.T) {
	for want, e := range map[string]*DeliveryError{
		" could not be delivered: status 0":                            {},
		"redirect could not be delivered: https://a.test/: status 599": {EventType: "redirect", URL: "https://a.test/", Status: 599},
		"redirect could not be delivered: https://a.test/: no complete reply in time (2 attempts)": {
			EventType: "redirect", URL: "https://a.test/", Err: ErrTimeout, Attempts: 2,
		},
		"redirect could not be delivered: https://a.test/: status 404 Not Found; fallback https://b.test/: status 200: unexpected EOF": {
			EventType: "redirect", URL: "https://b.test/", Fallback: true, Status: 200, Err: io.ErrUnexpectedEOF,
			Before: &DeliveryError{URL: "https://a.test/", Status: 404},
		},
	} {
		assert.EqualError(t, e, want)
	}
}
