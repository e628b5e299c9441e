package node_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sdkAnswer is what the SDK tells of an operation.
type sdkAnswer struct {
	Status int
	Data   json.RawMessage
	Link   string
}

// sdk has the public API's own SDK for Node.js, which make deps installs, do an operation on the node.
func (l *live) sdk(operation string, args ...any) (a sdkAnswer) {
	l.t.Helper()
	list, err := json.Marshal(append([]any{node.DefaultConfig().AccountID}, args...))
	require.NoError(l.t, err)
	base := "http://" + l.node.APIAddr().String() + "/api/v2"
	p := run(l.t, "nodejs", "node", testdata(l.t, "sdk/operation.js"), base, "ada", "lovelace", operation, string(list))
	p.succeeds(l.t)
	require.NoError(l.t, json.Unmarshal([]byte(p.all()), &a), p.all())
	return a
}

// description is that of an error.
func (a sdkAnswer) description(t *testing.T) string {
	t.Helper()
	var body struct{ Description string }
	require.NoError(t, json.Unmarshal(a.Data, &body), string(a.Data))
	return body.Description
}

func (a sdkAnswer) calls(t *testing.T) (ids []string) {
	t.Helper()
	require.Equal(t, 200, a.Status)
	var list []struct{ CallID string }
	require.NoError(t, json.Unmarshal(a.Data, &list), string(a.Data))
	for _, c := range list {
		ids = append(ids, c.CallID)
	}
	return ids
}

func TestThePublishedSDKDoesEveryOperation(t *testing.T) {
	l := onLoopback(t, func(cfg *node.Config) { cfg.API.Username, cfg.API.Password = "ada", "lovelace" })
	l.app.On("initiate", scenario.BXML(response(hour)))
	l.app.On("redirect", scenario.BXML(response(hour)))
	var ids []string
	var calls []*scenario.ScriptedCall
	for range 2 {
		c := l.phones["udp"].Invite(scenario.Invite{To: "sip:desk@" + l.address("udp")})
		c.Answered()
		calls = append(calls, c)
		ids = append(ids, l.app.Expect("initiate").Text("callId"))
	}

	list := l.sdk("listCalls")
	assert.Equal(t, ids, list.calls(t))
	assert.Empty(t, list.Link)
	// to, from, minStartTime, maxStartTime, disconnectCause, pageSize, pageToken
	first := l.sdk("listCalls", nil, nil, "2020-01-01T00:00:00Z", time.Now().Add(time.Hour).Format(time.RFC3339), nil, 1)
	assert.Equal(t, ids[:1], first.calls(t))
	address, rel, _ := strings.Cut(strings.TrimPrefix(first.Link, "<"), ">")
	assert.Equal(t, `; rel="next"`, rel)
	next, err := url.Parse(address)
	require.NoError(t, err)
	second := l.sdk("listCalls", nil, nil, nil, nil, nil, 1, next.Query().Get("pageToken"))
	assert.Equal(t, ids[1:], second.calls(t))
	assert.Empty(t, l.sdk("listCalls", nil, nil, nil, nil, "hangup").calls(t))
	assert.Equal(t, "pageSize must be within the range [1, 10000], but was 0", l.sdk("listCalls", nil, nil, nil, nil, nil, 0).description(t))

	got := l.sdk("getCallState", ids[0])
	require.Equal(t, 200, got.Status)
	var state struct{ CallID, State, Direction, To string }
	require.NoError(t, json.Unmarshal(got.Data, &state))
	assert.Equal(t, ids[0], state.CallID)
	assert.Equal(t, "answered inbound", state.State+" "+state.Direction)
	assert.Equal(t, "Call [c-0] not found", l.sdk("getCallState", "c-0").description(t))

	assert.Equal(t, 200, l.sdk("updateCall", ids[0], map[string]any{
		"state": "active", "redirectUrl": l.app.URL("/sdk"), "redirectMethod": "GET", "tag": "by the SDK", "username": nil,
	}).Status)
	redirected := l.app.Expect("redirect").Check(map[string]any{"callId": ids[0], "tag": "by the SDK"})
	assert.Equal(t, "GET /sdk", redirected.Method+" "+redirected.Path)
	assert.Equal(t, "Invalid redirectUrl: only http and https are allowed",
		l.sdk("updateCall", ids[0], map[string]any{"redirectUrl": "/goodbye"}).description(t))
	assert.Equal(t, 200, l.sdk("updateCall", ids[0], map[string]any{"state": "completed"}).Status)
	calls[0].Expect("BYE")
	conflict := l.sdk("updateCall", ids[0], map[string]any{"state": "completed"})
	assert.Equal(t, 409, conflict.Status)
	assert.Equal(t, "Call ["+ids[0]+"] cannot be modified in its current state", conflict.description(t))

	invalid := l.sdk("updateCallBxml", ids[1], response(`<Reffer/>`))
	assert.Equal(t, 400, invalid.Status)
	assert.Contains(t, invalid.description(t), "Reffer")
	assert.Equal(t, 204, l.sdk("updateCallBxml", ids[1], `<?xml version="1.0" encoding="UTF-8"?><Bxml><Hangup/></Bxml>`).Status)
	calls[1].Expect("BYE")
	for range 2 {
		l.disconnect("hangup")
	}

	assert.Equal(t, 501, l.sdk("createCall", map[string]any{
		"to": "+15551230001", "from": "+15551230002", "applicationId": "app", "answerUrl": l.app.URL("/answer"),
	}).Status)
}
