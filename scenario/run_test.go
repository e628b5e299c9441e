package scenario

import (
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheFirstDifferenceIsTold runs scenarios that expect what does not happen.
func TestTheFirstDifferenceIsTold(t *testing.T) {
	t.Parallel()
	const speaks = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\n"
	const pauses = "application: {bxml: <Response><Pause duration='1'/></Response>}\n"
	const refers = "application: {bxml: <Response><Refer><SipUri>sip:desk@pbx</SipUri></Refer></Response>}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"a message that never came":     {speaks + "expect: {order: [{sip: REFER}]}", "s.yaml:2: REFER did not come"},
		"one in another order":          {speaks + "expect: {order: [{webhook: disconnect}, {sip: INVITE}]}", "s.yaml:2: INVITE did not come after webhook disconnect"},
		"from the other side":           {speaks + "expect: {order: [{sip: BYE, from: phone}]}", "s.yaml:2: BYE from the phone did not come"},
		"another header":                {speaks + "expect: {order: [{sip: BYE, headers: {Max-Forwards: 7}}]}", "s.yaml:2: BYE came, but its Max-Forwards is \"70\", and must be 7"},
		"another body":                  {speaks + "expect: {order: [{sip: BYE, body: {matches: ^v=0}}]}", "s.yaml:2: BYE came, but its body is absent, and must be like /^v=0/"},
		"another property":              {speaks + "expect: {anywhere: [{webhook: disconnect, with: {cause: error}}]}", "s.yaml:2: webhook disconnect came, but cause is \"hangup\", and must be \"error\""},
		"a text for a number":           {refers + "phone: [refer: 405]\nexpect: {record: {refers: [{referSipResponseCode: '405'}]}}", "s.yaml:3: the record's refers [0] referSipResponseCode is 405, and must be \"405\""},
		"a property that must not be":   {speaks + "expect: {order: [{webhook: initiate, without: [direction]}]}", "s.yaml:2: webhook initiate came, but direction is \"inbound\", and must be absent"},
		"another reply":                 {speaks + "expect: {order: [{webhook: initiate, reply: 204}]}", "s.yaml:2: webhook initiate came, but the status of its reply is 200, and must be 204"},
		"another method":                {speaks + "expect: {order: [{webhook: initiate, method: GET}]}", "s.yaml:2: webhook initiate came, but its method is POST, and must be GET"},
		"what must never come":          {speaks + "expect: {never: [{verb: SpeakSentence}]}", "s.yaml:2: verb SpeakSentence must never come"},
		"too often":                     {speaks + "expect: {order: [{webhook: initiate, times: 2}]}", "s.yaml:2: webhook initiate came once, and must come twice"},
		"too late":                      {pauses + "expect: {order: [{sip: BYE, within: 900ms}]}", "s.yaml:2: BYE came after 1s, and must come within 900ms"},
		"too early":                     {pauses + "expect: {order: [{sip: BYE, after: 1100ms}]}", "s.yaml:2: BYE came after 1s, and must not come before 1.1s"},
		"other verbs":                   {speaks + "expect: {verbs: [SpeakSentence, Hangup]}", "s.yaml:2: verbs: there were SpeakSentence, and must be SpeakSentence, Hangup"},
		"other webhooks":                {speaks + "expect: {webhooks: []}", "s.yaml:2: webhooks: there were initiate, disconnect, and must be none"},
		"another record":                {speaks + "expect: {record: {disconnectCause: {not: hangup}}}", "s.yaml:2: the record's disconnectCause is \"hangup\", and must not be"},
		"no Refers":                     {speaks + "expect: {record: {refers: [], tag: nothing}}", "s.yaml:2: the record's tag is absent, and must be \"nothing\""},
		"another number of Refers":      {speaks + "expect: {record: {refers: [{}]}}", "s.yaml:2: the record's refers is absent, and must be a list of 1"},
		"silence":                       {speaks + "expect: {heard: {silence: true}}", "s.yaml:2: the phone heard 200ms of sound, and must hear nothing"},
		"too little sound":              {speaks + "expect: {heard: {at_least: 1s}}", "s.yaml:2: the phone heard 200ms of sound, and must hear 1s at least"},
		"another tone":                  {speaks + "expect: {heard: {tone: 1000}}", "s.yaml:2: what the phone heard is no tone of 1000 Hz"},
		"another answer":                {refers + "phone: [{refer: 202}, {notify: {sipfrag: 486, expect: 481}}]", "s.yaml:2: NOTIFY (2) SIP/2.0 486 Busy Here got 200 OK, and must get 481"},
		"the cause before the effect":   {"application: {replies: {initiate: 503}}\nphone: [refer: 202]\nexpect: {order: [{webhook: initiate, reply: 200}]}", "s.yaml:3: webhook initiate came, but the status of its reply is 503, and must be 200"},
		"sound at the port of before":   {"speech: {Hello: 1s}\napplication: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\nphone: [{wait: {verb: SpeakSentence}}, {reinvite: {move: true, expect: 488, sdp: \"v=0\\no=- 1 2 IN IP4 127.0.0.1\\ns=-\\nc=IN IP4 127.0.0.1\\nt=0 0\\nm=audio 9 RTP/AVP 3\\n\"}, delay: 300ms}]\nexpect: {heard: {at_least: 500ms}}", "s.yaml:4: the phone heard 300ms of sound, and must hear 500ms at least"},
		"a REFER that does not come":    {speaks + "phone: [refer: 202]", "s.yaml:2: REFER did not come: the call was over"},
		"a webhook that does not come":  {speaks + "phone: [wait: {webhook: gather}]\ntimeout: 2s", "s.yaml:2: webhook gather did not come: the 2s of the scenario are over"},
		"an answer that does not come":  {"application: {bxml: <Response><Hangup/></Response>}\nphone: [bye]", "s.yaml:2: INVITE got 603 Decline (1 INVITE)"},
		"an answer without a question":  {speaks + "phone: [answer: 202]", "s.yaml:2: there is no REFER that was to be answered later"},
		"nothing to repeat":             {speaks + "phone: [repeat]", "s.yaml:2: the phone has sent no request that could be repeated"},
		"a call without end":            {"application: {bxml: <Response><Pause duration='60'/></Response>}\ntimeout: 3s", "the call is not over: the 3s of the scenario are over"},
		"a destination nobody can call": {refers + "phone: [transfer]\nexpect: {record: {refers: [{notifySipResponseCode: 200}]}}", "s.yaml:3: the record's refers [0] notifySipResponseCode is 404, and must be 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse("s.yaml", []byte(tc.text))
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) {
				r := f.Run(t.Context(), RunOptions{Network: NewMemory()})
				assert.Equal(t, tc.want, r.First())
				var ladder console
				require.NoError(t, r.WriteLadder(&ladder, state.Ladder{}))
				assert.Contains(t, ladder.text, "✗ ")
			})
		})
	}
}

// console keeps what is written.
type console struct{ text string }

func (c *console) Write(p []byte) (int, error) {
	c.text += string(p)
	return len(p), nil
}

// TestImpairments lets a call go wrong on its way, each in one way.
func TestImpairments(t *testing.T) {
	t.Parallel()
	const call = "application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}\nexpect: "
	for name, text := range map[string]string{
		"the first INVITE is lost":     call + "{anywhere: [{sip: INVITE, times: 1}, {webhook: initiate, times: 1}]}\nimpairments: [{lose: INVITE, from: phone}]",
		"a BYE comes twice":            call + "{anywhere: [{webhook: disconnect, times: 1}]}\nimpairments: [{duplicate: BYE}]",
		"the node's 200 comes late":    call + "{order: [{sip: ACK, after: 400ms}]}\nimpairments: [{delay: 200 INVITE, by: 400ms, from: node}]",
		"sound is lost on the way":     call + "{heard: {at_most: 180ms}}\nimpairments: [{lose: rtp, percent: 50}]",
		"sound comes out of order":     call + "{heard: {at_least: 180ms}}\nimpairments: [{reorder: rtp, count: 1, skip: 2}]",
		"the phone is gone for a BYE":  call + "{order: [{webhook: disconnect}]}\nphone: [{wait: 200 INVITE}, disappear]\ntimeout: 60s",
		"two answers, the first lost":  call + "{anywhere: [{sip: BYE, times: 1}]}\nimpairments: [{lose: 200 BYE, from: phone}]",
		"all of the sound is lost":     call + "{heard: {silence: true}}\nimpairments: [{lose: rtp}]",
		"an ACK that is lost, repeats": call + "{anywhere: [{sip: 200 INVITE, times: 1}]}\nimpairments: [{lose: ACK}]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Parse("s.yaml", []byte(text))
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) { went(t, f.Run(t.Context(), RunOptions{Network: NewMemory()})) })
		})
	}
}
