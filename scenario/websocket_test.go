package scenario

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnApplicationTakesWebSockets(t *testing.T) {
	app, err := NewApplication(t.Context(), System{}, ApplicationConfig{})
	require.NoError(t, err)
	address := "ws" + strings.TrimPrefix(app.URL("/in"), "http")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}
	c, _, err := websocket.Dial(t.Context(), address, client)
	require.NoError(t, err)
	require.NoError(t, c.Write(t.Context(), websocket.MessageText, []byte("hello")))
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))

	app.On("/in", Reply{Status: 404})
	_, res, err := websocket.Dial(t.Context(), address, client)
	require.Error(t, err)
	assert.Equal(t, 404, res.StatusCode)
	assert.Empty(t, app.Events(), "they are no webhooks")

	app.On("/in")
	_, _, err = websocket.Dial(t.Context(), address, client)
	require.NoError(t, err)
	require.NoError(t, app.Close(), "it ends those that are open")
}
