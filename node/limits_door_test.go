package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/icholy/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallsAboveMaxCallsPerSecondGet503(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.MaxCallsPerSecond = 2 }, func(t *testing.T, b *bubble) {
		b.call(response(`<Pause duration="10"/>`))
		b.call(response(`<Pause duration="10"/>`))
		refused := b.invite(response(`<Pause/>`)).Rejected(503)
		assert.Equal(t, "5", refused.Get("Retry-After"))
		assert.Equal(t, 1.0, b.metrics()[`callengine_calls_refused_total{reason="max_calls_per_second"}`])
		status, body := b.get("/readyz")
		assert.Equal(t, 503, status)
		assert.Contains(t, body, "max_calls_per_second")
		time.Sleep(time.Second)
		b.call(response(`<Pause duration="10"/>`))
		for range 3 {
			b.disconnect("hangup", "")
		}
		assert.Len(t, b.app.EventsOf("initiate"), 3, "nobody was asked about the one refused")
	})
}

func TestCallsOfASlowApplicationGet503(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.Webhook.MaxLatency = time.Second }, func(t *testing.T, b *bubble) {
		slow := scenario.BXML(response(`<Hangup/>`))
		slow.Delay = 4 * time.Second
		b.app.On("initiate", slow)
		for range 3 { // the average is above a second after two, and the third is to see whether it is better
			b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(603)
			b.disconnect("hangup", "")
		}
		asked := len(b.app.EventsOf("initiate"))
		late := b.phone.Invite(scenario.Invite{To: b.uri("desk")}) // so is this one
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		refused := b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(503)
		assert.Zero(t, time.Since(began), "at once")
		assert.Equal(t, "5", refused.Get("Retry-After"))
		late.Rejected(603)
		b.disconnect("hangup", "")
		assert.Len(t, b.app.EventsOf("initiate"), asked+1, "nobody was asked about the one refused")
		assert.Equal(t, 1.0, b.metrics()[`callengine_calls_refused_total{reason="webhook_latency"}`])
	})
}

func TestUsersAreAskedForTheirPassword(t *testing.T) {
	users := func(cfg *node.Config) { cfg.SIP.Users = []node.SIPUser{{Username: "alice", Password: "hidden-word"}} }
	inBubble(t, users, func(t *testing.T, b *bubble) {
		b.app.On("initiate", scenario.BXML(response(`<Pause/>`)))
		invite := func(headers ...scenario.Header) *scenario.ScriptedCall {
			return b.phone.Invite(scenario.Invite{To: b.uri("desk"), Headers: headers})
		}
		signed := func(challenge *scenario.Message, password string) scenario.Header {
			chal, err := digest.ParseChallenge(challenge.Get("WWW-Authenticate"))
			require.NoError(t, err)
			c, err := digest.Digest(chal, digest.Options{Method: "INVITE", URI: b.uri("desk"), Username: "alice", Password: password})
			require.NoError(t, err)
			return scenario.Header{Name: "Authorization", Value: c.String()}
		}
		challenge := invite().Rejected(401)
		assert.Contains(t, challenge.Get("WWW-Authenticate"), `realm="callengine"`)
		invite(signed(challenge, "wrong")).Rejected(403)
		time.Sleep(leftover)
		assert.Empty(t, b.app.Events(), "nobody is asked about strangers")
		m := b.metrics()
		assert.Equal(t, 1.0, m[`callengine_sip_auth_failures_total{reason="wrong"}`])
		assert.Zero(t, m[`callengine_calls_total{direction="inbound"}`])
		line := b.logs.FilterMessage("SIP source turned away").All()
		require.Len(t, line, 1)
		assert.Equal(t, map[string]any{"source": "10.0.1.1", "reason": "authentication"}, line[0].ContextMap())

		right := signed(challenge, "hidden-word")
		invite(right).Expect("BYE")
		e := b.disconnect("hangup", "")
		_, body := b.get("/api/v2/accounts/5555555/calls/" + e.Text("callId") + "/journal")
		assert.Contains(t, body, "Authorization")
		for _, secret := range []string{"hidden-word", strings.Split(right.Value, "response=")[1]} {
			assert.NotContains(t, body, strings.Trim(secret, `"`))
			for _, l := range b.logs.All() {
				assert.NotContains(t, l.Message, secret)
				assert.NotContains(t, fmt.Sprint(l.ContextMap()), secret)
			}
		}
	})
}

func TestStrangersThatFailOftenGetNoAnswer(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.SilenceAfter = 3; cfg.Applications[0].Match = []string{"desk"} }, func(t *testing.T, b *bubble) {
		for range 3 {
			b.phone.Invite(scenario.Invite{To: b.uri("100")}).Rejected(404)
		}
		b.phone.Send("10.0.0.1:5060", outOfDialog(b.phone, "OPTIONS", b.uri("")))
		time.Sleep(50 * time.Second)
		m := b.metrics()
		assert.Equal(t, 1.0, m["callengine_sip_sources_silenced_total"])
		assert.Positive(t, m[`callengine_sip_requests_dropped_total{reason="silenced"}`])
		assert.Empty(t, b.phone.Received("200 OPTIONS"))
		line := b.logs.FilterMessage("SIP source turned away").All()
		require.Len(t, line, 1)
		assert.Equal(t, map[string]any{"source": "10.0.1.1", "reason": "silenced", "for": time.Minute}, line[0].ContextMap())
		time.Sleep(10 * time.Second)
		b.call(response(`<Pause/>`)).Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestASourceOverItsRateIsToldToWait(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.MaxRequestsPerSource = 1 }, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="2"/>`))
		assert.Equal(t, "1", b.invite(response(`<Pause/>`)).Rejected(503).Get("Retry-After"))
		b.invite(response(`<Pause/>`)).Rejected(503)
		assert.Equal(t, 2.0, b.metrics()[`callengine_sip_requests_dropped_total{reason="rate_limit"}`])
		assert.Len(t, b.logs.FilterMessage("SIP source turned away").All(), 1, "one line per burst")
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// What belongs to no call counts, whatever it asks for and however it comes.
func TestEveryRequestOfASourceCounts(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		for method, answer := range map[string]string{"OPTIONS": "200", "REGISTER": "405", "MESSAGE": "405", "BYE": "481"} {
			t.Run(transport+" "+method, func(t *testing.T) {
				inBubble(t, func(cfg *node.Config) { cfg.SIP.MaxRequestsPerSource = 1 }, func(t *testing.T, b *bubble) {
					phone := b.phoneAt("10.0.2.7", transport)
					asked := 0
					ask := func(code string) *scenario.Message {
						asked++
						m := outOfDialog(phone, method, b.uri("desk"))
						phone.Send("10.0.0.1:5060", m.Set("Via", fmt.Sprintf("%s-%d", m.Get("Via"), asked)))
						return phone.Expect(code + " " + method)
					}
					ask(answer)
					assert.Equal(t, "1", ask("503").Get("Retry-After"))
					assert.Equal(t, 1.0, b.metrics()[`callengine_sip_requests_dropped_total{reason="rate_limit"}`])
					time.Sleep(time.Second)
					ask(answer)
				})
			})
		}
	}
}
