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
	replies, serve := a.replies[r.URL.Path], a.webSockets
	a.mu.Unlock()
	if len(replies) > 0 {
		replies[0].write(w)
		return
	}
	a.serving.Add(1) // the server does not wait for what is no HTTP any more
	defer a.serving.Done()
	if serve != nil {
		serve(w, r)
		return
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // it has been told why
	}
	defer c.CloseNow() // without effect once it is closed
	for err == nil {
		_, _, err = c.Read(r.Context())
	}
}

// takeWebSockets has serve take every WebSocket, until it returns.
func (a *Application) takeWebSockets(serve func(http.ResponseWriter, *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.webSockets = serve
}

// asWebSocket returns the URL of a WebSocket of an application.
func asWebSocket(httpURL string) string { return "ws" + strings.TrimPrefix(httpURL, "http") }
