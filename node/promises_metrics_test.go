package node_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// referredCall places a call with a Refer that is accepted and fails with 486, and speaks after that.
func referredCall(b *bubble) {
	b.app.On("initiate", scenario.BXML(response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`)))
	b.app.On("referComplete", scenario.Reply{Delay: 2 * time.Second, Body: response(`<SpeakSentence>Busy</SpeakSentence>`)})
	c := b.phone.Call(b.uri("desk"))
	refer := c.ExpectRefer()
	time.Sleep(time.Second)
	refer.Reply(202)
	time.Sleep(3 * time.Second)
	refer.Notify("SIP/2.0 100 Trying")
	refer.Notify("SIP/2.0 486 Busy Here")
	c.Notify(scenario.Notify{Frag: "SIP/2.0 200 OK"}, 481)
	c.SendTone(400, 200*time.Millisecond)
	c.Expect("BYE")
}

func TestTheMetricsOfACall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		before := b.metrics()
		assert.Contains(t, before, `callengine_calls_active{direction="inbound"}`, "there from the start")
		referredCall(b)
		b.disconnect("hangup", "")
		time.Sleep(leftover)
		m := b.metrics()
		for name, want := range map[string]float64{
			`callengine_calls_active{direction="inbound"}`:                                 0,
			`callengine_calls_total{direction="inbound"}`:                                  1,
			`callengine_calls_ended_total{cause="hangup"}`:                                 1,
			`callengine_sip_messages_total{code="request",direction="in",method="INVITE"}`: 1,
			`callengine_sip_messages_total{code="100",direction="out",method="INVITE"}`:    1,
			`callengine_sip_messages_total{code="200",direction="out",method="INVITE"}`:    1,
			`callengine_sip_messages_total{code="request",direction="in",method="ACK"}`:    1,
			`callengine_sip_messages_total{code="request",direction="in",method="NOTIFY"}`: 3,
			`callengine_sip_messages_total{code="200",direction="out",method="NOTIFY"}`:    2,
			`callengine_sip_messages_total{code="481",direction="out",method="NOTIFY"}`:    1,
			`callengine_sip_messages_total{code="202",direction="in",method="REFER"}`:      1,
			`callengine_sip_messages_total{code="request",direction="out",method="BYE"}`:   1,
			`callengine_sip_messages_total{code="200",direction="in",method="BYE"}`:        1,
			`callengine_refers_total{evidence="final-notify",result="failure"}`:            1,
			`callengine_refers_pending`:                                                    0,
			`callengine_refer_duration_seconds_count{phase="response"}`:                    1,
			`callengine_refer_duration_seconds_sum{phase="response"}`:                      1,
			`callengine_refer_duration_seconds_sum{phase="outcome"}`:                       3,
			`callengine_late_notifies_total`:                                               1,
			`callengine_webhook_duration_seconds_count{event="initiate",outcome="2xx"}`:    1,
			`callengine_webhook_duration_seconds_sum{event="referComplete",outcome="2xx"}`: 2,
			`callengine_webhook_duration_seconds_count{event="disconnect",outcome="2xx"}`:  1,
			`callengine_verbs_total{result="done",verb="Refer"}`:                           1,
			`callengine_verbs_total{result="done",verb="SpeakSentence"}`:                   1,
			`callengine_rtp_ports_in_use`:                                                  0,
			`callengine_rtp_packets_total{direction="in"}`:                                 10,
			`callengine_panics_recovered_total`:                                            0,
		} {
			got, ok := m[name]
			assert.True(t, ok, "%s is missing", name)
			assert.InDelta(t, want, got, 1e-6, name)
		}
		assert.GreaterOrEqual(t, m[`callengine_rtp_packets_total{direction="out"}`], 100.0)
		info := 0
		for name := range m {
			if strings.HasPrefix(name, "callengine_build_info{") {
				info++
			}
		}
		assert.Equal(t, 1, info)
	})
}

func TestMetricsShowACallWhileItIsUp(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Refer><SipUri>sip:desk@pbx.example.com</SipUri></Refer>`))
		c.ExpectRefer().Reply(202)
		m := b.metrics()
		assert.Equal(t, 1.0, m[`callengine_calls_active{direction="inbound"}`])
		assert.Equal(t, 1.0, m["callengine_refers_pending"])
		assert.Equal(t, 1.0, m["callengine_rtp_ports_in_use"])
	})
}

func TestMetricsOfFailures(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.answers(scenario.Reply{Status: 500}).Rejected(500)
		b.answers(scenario.Reply{Hang: true}).Rejected(500)
		b.invite(response(`<Bridge>c-1</Bridge>`)).Rejected(500)
		b.speech.panics = true
		b.call(response(`<SpeakSentence>Hello</SpeakSentence>`)).Expect("BYE")
		time.Sleep(leftover)
		m := b.metrics()
		for name, want := range map[string]float64{
			`callengine_calls_active{direction="inbound"}`:                                 0,
			`callengine_panics_recovered_total`:                                            1,
			`callengine_calls_ended_total{cause="callback-error"}`:                         2,
			`callengine_calls_ended_total{cause="application-error"}`:                      2,
			`callengine_webhook_duration_seconds_count{event="initiate",outcome="5xx"}`:    1,
			`callengine_webhook_duration_seconds_count{event="initiate",outcome="failed"}`: 1,
			`callengine_webhook_duration_seconds_sum{event="initiate",outcome="failed"}`:   15,
			`callengine_verbs_total{result="failed",verb="Bridge"}`:                        1,
			`callengine_verbs_total{result="failed",verb="SpeakSentence"}`:                 1,
		} {
			got, ok := m[name]
			assert.True(t, ok, "%s is missing", name)
			assert.InDelta(t, want, got, 1e-6, name)
		}
	})
}

func TestNoLabelOfAMetricHoldsAURIANumberOrForeignText(t *testing.T) {
	inBubble(t, func(cfg *node.Config) { cfg.SIP.MaxCalls = 1 }, func(t *testing.T, b *bubble) {
		referredCall(b)
		b.disconnect("hangup", "")
		synctest.Wait()
		b.phone.Send("10.0.0.1:5060", outOfDialog(b.phone, "HACK", b.uri("desk")))
		b.call(response(`<Pause duration="3"/>`))
		b.invite(response(`<Pause/>`)).Rejected(503)
		b.app.On("initiate", scenario.BXML(`<Response><Evil/></Response>`))
		time.Sleep(leftover)
		b.phone.Invite(scenario.Invite{To: b.uri("desk"), From: "sip:+15551230001@caller.example.com"}).Rejected(500)
		time.Sleep(leftover)
		_, text := b.get("/metrics")
		foreign := regexp.MustCompile(`sips?:|https?:|@|\+?\d{7,}|c-[0-9a-f]{8}|HACK|Evil|example|10\.0\.`)
		labels := regexp.MustCompile(`\{[^}]*\}`)
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "callengine_") {
				require.NotRegexp(t, foreign, labels.FindString(line), line)
			}
		}
		assert.Contains(t, text, `method="other"`)
	})
}
