package node_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAStreamToAnotherImplementationOverTLS sends what the caller says to a server of Debian's python3-websockets, which
// says it again. Its certificate is signed by webhook.tls_ca_file.
func TestAStreamToAnotherImplementationOverTLS(t *testing.T) {
	authority, err := scenario.NewAuthority()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, authority.Close()) })
	certificate, key, err := authority.Issue("streams")
	require.NoError(t, err)
	server := run(t, "python3-websockets", "/usr/bin/python3", testdata(t, "websocket/echo.py"), certificate, key)
	server.await(t, "\n")
	address := "wss://127.0.0.1:" + strings.TrimSpace(strings.TrimPrefix(server.all(), "port "))

	l := onLoopback(t, func(cfg *node.Config) { cfg.Webhook.TLSCAFile = authority.CAFile() })
	c, _ := l.answered(response(`<StartStream destination="` + address + `/in?a=b" destinationUsername="ada" destinationPassword="lovelace" ` +
		`name="echo" mode="bidirectional" streamEventUrl="/stream"><StreamParam name="k" value="v"/></StartStream>` +
		`<StopStream name="echo" wait="true"/>`))
	l.app.Expect("mediaStreamStarted")
	c.SendTone(440, 2*time.Second)
	c.Listen(func(s scenario.Sound) bool { return s.Loud() > 1500*time.Millisecond })
	assert.Greater(t, c.Heard().Tone(440), 0.1)
	c.Bye()
	l.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed"})
	l.disconnect("hangup")
	server.await(t, "}\n")
	var told struct {
		Path, Authorization string
		Frames, Loud, Code  int
		Start               struct {
			Metadata struct {
				StreamName string
				Tracks     []struct{ Name string }
			}
			StreamParams map[string]string
		}
		Stop *struct{ Metadata struct{ StreamName string } }
	}
	_, line, _ := strings.Cut(server.all(), "\n")
	require.NoError(t, json.Unmarshal([]byte(line), &told), line)
	assert.Equal(t, "/in?a=b", told.Path)
	username, password := basicAuth(told.Authorization)
	assert.Equal(t, "ada lovelace", username+" "+password)
	assert.Equal(t, "echo", told.Start.Metadata.StreamName)
	assert.Equal(t, map[string]string{"k": "v"}, told.Start.StreamParams)
	// That all of it is passed on, and no more, is held exactly where time is fake (TestStartStreamSendsTheSoundOfTheCall). Here the phone
	// may get its processor late: each gap is made up for by up to 60 ms of sound, three frames, and by a tenth less of what follows
	// until there is no more delay. Five such gaps are let pass.
	assert.InDelta(t, 100, told.Loud, 15, "two seconds of %d frames", told.Frames)
	require.NotNil(t, told.Stop)
	assert.Equal(t, 1000, told.Code)
}
