package node_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// ofTheNode are the lines of a log that belong to no call.
var ofTheNode = map[string]bool{
	"taking calls": true, "draining": true, "drained": true, "events were not delivered before the node ended": true,
	"HTTP request": true,
}

func TestEveryLogLineOfACallHasItsCallID(t *testing.T) {
	for name, tc := range endings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				tc.happens(b)
				time.Sleep(15 * time.Minute)
				lines := 0
				for _, l := range b.logs.All() {
					if ofTheNode[l.Message] || strings.HasPrefix(l.LoggerName, "sipgo") {
						continue
					}
					id, _ := l.ContextMap()["call_id"].(string)
					assert.True(t, strings.HasPrefix(id, "c-"), "%s %s %v", l.Level, l.Message, l.ContextMap())
					lines++
				}
				assert.GreaterOrEqual(t, lines, 2)
			})
		})
	}
}

func TestTheLevelsOfTheLog(t *testing.T) {
	for name, tc := range map[string]struct {
		reply  scenario.Reply
		breaks bool
		info   []string
		warn   []string
		says   string
	}{
		"an ordinary call": {
			scenario.BXML(response(`<SpeakSentence>Hello</SpeakSentence>`)), false,
			[]string{"call started", "call ended"}, nil, "",
		},
		"the application's fault": {
			scenario.Reply{Status: 500}, false, []string{"call started"}, []string{"call ended"}, "500",
		},
		"a wrong document": {
			scenario.BXML(`<Response><Foo/></Response>`), false, []string{"call started"}, []string{"call ended"}, `unknown verb Foo`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.answers(tc.reply)
				b.ended()
				assert.Equal(t, tc.info, linesAt(b.logs, zapcore.InfoLevel))
				assert.Equal(t, tc.warn, linesAt(b.logs, zapcore.WarnLevel))
				for _, l := range b.logs.FilterLevelExact(zapcore.WarnLevel).FilterMessage("call ended").All() {
					assert.Contains(t, l.ContextMap()["error"], tc.says)
				}
				assert.Empty(t, linesAt(b.logs, zapcore.ErrorLevel), "nobody must act")
			})
		})
	}
}

func linesAt(logs *observer.ObservedLogs, level zapcore.Level) (messages []string) {
	for _, l := range logs.FilterLevelExact(level).All() {
		if !ofTheNode[l.Message] {
			messages = append(messages, l.Message)
		}
	}
	return messages
}

// secrets are in the configuration, in documents and in SIP messages of the test below, and may be nowhere else.
var secrets = []string{
	"pw-application", "pw-fallback", "pw-api", "pw-sip", "pw-verb", "pw-url", "pw-audio", "pw-refer", "pw-invite",
	base64.StdEncoding.EncodeToString([]byte("u:pw-application")), base64.StdEncoding.EncodeToString([]byte("w:pw-verb")),
}

func TestSecretsReachNeitherTheLogNorAnythingReadFromTheJournal(t *testing.T) {
	var cfg node.Config
	change := func(c *node.Config) {
		app := &c.Applications[0]
		app.CallInitiatedCallbackURL = "http://user:pw-url@app.example/initiate?key=1"
		app.Username, app.Password, app.FallbackPassword = "u", "pw-application", "pw-fallback"
		app.CallInitiatedFallbackURL = "http://app.example:81/"
		c.API.Username, c.API.Password = "op", "pw-api"
		c.SIP.Credentials = []node.SIPCredential{{Realm: "pbx", Username: "node", Password: "pw-sip"}}
		cfg = *c
	}
	inBubble(t, change, func(t *testing.T, b *bubble) {
		b.app.On("/initiate", scenario.BXML(response(
			`<PlayAudio username="v" password="pw-audio">http://x:pw-audio@app.example/a.wav</PlayAudio>`+
				`<Refer><SipUri>sip:a:pw-refer@b.example?Authorization=Digest%20response%3Dpw-refer</SipUri></Refer>`+
				`<Redirect redirectUrl="https://w:pw-url@nowhere.example/" username="w" password="pw-verb" fallbackPassword="pw-verb"/>`)))
		b.app.On("/a.wav", audio(wav(100*time.Millisecond)))
		b.app.On("disconnect", scenario.Reply{Drop: true}, scenario.Reply{})
		c := b.phone.Invite(scenario.Invite{To: b.uri("desk"), Headers: []scenario.Header{
			{Name: "Authorization", Value: `Digest username="a", response="pw-invite"`},
			{Name: "Proxy-Authorization", Value: `Digest username="a", response="pw-invite"`},
		}})
		refer := c.ExpectRefer()
		refer.Challenge(scenario.Challenge{Realm: "pbx"})
		again := c.ExpectRefer()
		credentials := again.Request.Get("Authorization")
		require.Contains(t, credentials, "response=")
		again.Reply(603)
		time.Sleep(leftover)
		e := b.app.Expect("disconnect")

		hidden := append([]string{credentials}, secrets...)
		for _, l := range b.logs.All() {
			line, err := json.Marshal(l.ContextMap())
			require.NoError(t, err)
			without(t, "log", l.Message+string(line), hidden)
		}
		journal := "/api/v2/accounts/5555555/calls/" + e.Text("callId") + "/journal"
		for _, path := range []string{journal, "/api/v2/accounts/5555555/calls", strings.TrimSuffix(journal, "/journal"), "/metrics"} {
			status, body := b.getAs("op", "pw-api", path)
			require.Equal(t, 200, status, path)
			without(t, path, body, hidden)
		}
		var ladder bytes.Buffer
		masked := b.journal(e)
		for i := range masked {
			masked[i] = masked[i].Masked(verbs.Mask)
		}
		require.NoError(t, (state.Ladder{}).Write(&ladder, masked))
		without(t, "ladder", ladder.String(), hidden)
		exported, err := json.Marshal(masked)
		require.NoError(t, err)
		without(t, "export", string(exported), hidden)
		var printed bytes.Buffer
		require.NoError(t, cfg.WriteYAML(&printed))
		without(t, "config", printed.String(), secrets)
		assert.Contains(t, e.Text("errorMessage"), "redirect could not be delivered")
		without(t, "errorMessage", e.Text("errorMessage"), hidden)
		without(t, "record", fmt.Sprintf("%+v", b.record(e)), []string{"pw-url", "pw-verb"})
	})
}

func without(t *testing.T, where, text string, hidden []string) {
	t.Helper()
	for _, secret := range hidden {
		assert.NotContains(t, text, secret, "in %s", where)
	}
}
