package node_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachCallHasOneDetailRecord(t *testing.T) {
	script := scenario.NewScript(t, scenario.System{}, patience)
	app := script.Application(scenario.ApplicationConfig{})
	app.On("initiate", scenario.BXML(response(`<Hangup/>`)))
	phone := script.Phone(scenario.PhoneConfig{})
	cfg := loopbackConfig()
	cfg.State.Dir = filepath.Join(t.TempDir(), "state")
	cfg.Recordings.Dir = t.TempDir()
	cfg.CDR.Dir = filepath.Join(t.TempDir(), "cdr")
	cfg.Applications = []node.Application{application("app", app.URL(""))}
	details := func() (ids []string) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(cfg.CDR.Dir, "cdr-*.jsonl"))
		require.NoError(t, err)
		for _, name := range files {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			for line := range strings.Lines(string(content)) {
				var d struct {
					CallID          string
					DisconnectCause string
					State           string
				}
				require.NoError(t, json.Unmarshal([]byte(line), &d))
				assert.Equal(t, "hangup", d.DisconnectCause)
				assert.Equal(t, state.StateDisconnected, d.State)
				ids = append(ids, d.CallID)
			}
		}
		return ids
	}
	var calls []string
	for range 2 {
		n, err := node.New(cfg)
		require.NoError(t, err)
		require.NoError(t, n.Start(t.Context()))
		phone.Invite(scenario.Invite{To: "sip:x@" + n.SIPAddrs()[0].String()}).Rejected(603)
		calls = append(calls, app.Expect("disconnect").Text("callId"))
		n.Drain(t.Context())
		require.NoError(t, n.Close())
		assert.ElementsMatch(t, calls, details())
	}

	// The process ended between a call's end and its record, also the first one of all.
	file, err := filepath.Glob(filepath.Join(cfg.CDR.Dir, "cdr-*.jsonl"))
	require.NoError(t, err)
	content, err := os.ReadFile(file[len(file)-1])
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(content), "\n")
	for _, left := range []string{first + "\n", ""} {
		require.NoError(t, os.WriteFile(file[len(file)-1], []byte(left), 0o600))
		n, err := node.New(cfg)
		require.NoError(t, err)
		require.NoError(t, n.Start(t.Context()))
		assert.Eventually(t, func() bool {
			content, err := os.ReadFile(file[len(file)-1])
			return err == nil && strings.Count(string(content), "\n") == len(calls)
		}, 10*time.Second, 10*time.Millisecond, "it is written when the node starts again")
		require.NoError(t, n.Close())
		assert.ElementsMatch(t, calls, details())
	}
}
