package node_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statusApp is an application that takes the events of calls' ends, or not.
type statusApp struct {
	*httptest.Server
	mu     sync.Mutex
	status int // that it answers
	got    []statusEvent
}

type statusEvent struct{ id, body string }

func newStatusApp(t *testing.T, status int) *statusApp {
	a := &statusApp{status: status}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, statusEvent{r.Header.Get("Callengine-Event-Id"), string(body)})
		w.WriteHeader(a.status)
	}))
	t.Cleanup(a.Close)
	return a
}

// answer has the application answer so from now on, and returns what it has got so far.
func (a *statusApp) answer(status int) []statusEvent {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
	got := a.got
	a.got = nil
	return got
}

// requests is how many it has got since it was told how to answer.
func (a *statusApp) requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

// outboxOf is what a node's API tells of its outbox.
func outboxOf(t require.TestingT, n *node.Node) (events []api.OutboxEvent) {
	res, err := http.Get("http://" + n.APIAddr().String() + "/api/v2/accounts/5555555/outbox")
	require.NoError(t, err)
	defer func() { require.NoError(t, res.Body.Close()) }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&events))
	return events
}

func TestEventsOutliveTheNode(t *testing.T) {
	for name, tc := range map[string]struct {
		status int // of the application while the first node runs
		state  string
	}{
		"owed":     {503, api.EventOwed},
		"given up": {404, api.EventDead},
	} {
		t.Run(name, func(t *testing.T) {
			script := scenario.NewScript(t, scenario.System{}, patience)
			app := script.Application(scenario.ApplicationConfig{})
			app.On("initiate", scenario.BXML(response(`<Hangup/>`)))
			phone := script.Phone(scenario.PhoneConfig{})
			status := newStatusApp(t, tc.status)
			cfg := loopbackConfig()
			cfg.State.Dir = filepath.Join(t.TempDir(), "state")
			cfg.Recordings.Dir = t.TempDir()
			cfg.Applications = []node.Application{application("app", app.URL(""))}
			cfg.Applications[0].CallStatusCallbackURL = status.URL
			start := func() *node.Node {
				n, err := node.New(cfg)
				require.NoError(t, err)
				require.NoError(t, n.Start(t.Context()))
				return n
			}

			n := start()
			phone.Invite(scenario.Invite{To: "sip:x@" + n.SIPAddrs()[0].String()}).Rejected(603)
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				events := outboxOf(c, n)
				require.Len(c, events, 1)
				require.Equal(c, tc.state, events[0].State)
				require.Positive(c, events[0].Attempts+len(events[0].LastError))
				require.Positive(c, status.requests(), "an attempt counts from when it is made, and is under way then")
			}, patience, 10*time.Millisecond)
			over, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			n.Drain(over)
			cancel()
			require.NoError(t, n.Close())
			status.CloseClientConnections() // what that node was sending when it ended is heard now, or never
			before := status.answer(204)
			require.NotEmpty(t, before)

			n = start()
			defer func() { require.NoError(t, n.Close()) }()
			if tc.state == api.EventDead {
				events := outboxOf(t, n)
				require.Len(t, events, 1)
				assert.Equal(t, before[0].id, events[0].EventID)
				assert.Contains(t, events[0].LastError, "status 404")
				res, err := http.Post("http://"+n.APIAddr().String()+"/api/v2/accounts/5555555/outbox/"+before[0].id+"/resend", "", nil)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				require.Equal(t, 202, res.StatusCode)
			}
			require.EventuallyWithT(t, func(c *assert.CollectT) { require.Empty(c, outboxOf(c, n)) }, patience, 10*time.Millisecond)
			after := status.answer(204)
			require.Len(t, after, 1)
			assert.Equal(t, before[0], after[0], "the same id and body")
		})
	}
}
