package scenario

import (
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// isUpgrade reports whether a request asks for a WebSocket (RFC 6455 section 4.1).
func isUpgrade(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

// takeWebSocket takes a WebSocket, unless the application was told a reply for its path, and passes over what comes until
// the other side closes it, or the application. It is no webhook, and not among the events.
func (a *Application) takeWebSocket(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	replies := a.replies[r.URL.Path]
	a.mu.Unlock()
	if len(replies) > 0 {
		replies[0].write(w)
		return
	}
	a.serving.Add(1) // the server does not wait for what is no HTTP any more
	defer a.serving.Done()
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it has been told why
	}
	defer c.CloseNow() // without effect once it is closed
	for err == nil {
		_, _, err = c.Read(r.Context())
	}
}

// asWebSocket returns the URL of a WebSocket of an application.
func asWebSocket(httpURL string) string { return "ws" + strings.TrimPrefix(httpURL, "http") }
