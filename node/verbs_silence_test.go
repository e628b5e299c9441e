package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPauseAnswersAndLastsAsLongAsItSays(t *testing.T) {
	for verbs, want := range map[string]time.Duration{
		`<Pause/>`:                                   time.Second,
		`<Pause duration="0.1"/>`:                    100 * time.Millisecond,
		`<Pause duration="2.5"/>`:                    2500 * time.Millisecond,
		`<Pause duration="3"/><Pause duration="4"/>`: 7 * time.Second,
	} {
		t.Run(verbs, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				began := time.Now()
				c := b.invite(response(verbs))
				assert.Zero(t, since(began, c.Answered().Time))
				assert.Equal(t, want, since(began, c.Expect("BYE").Time))
				assert.Zero(t, heard(c).Loud(), "silence")
				b.disconnect("hangup", "").Check(map[string]any{"answerTime": began.UTC().Format("2006-01-02T15:04:05.000Z")})
			})
		})
	}
}

func TestRingWithoutAnAnswerSays180AndWaits(t *testing.T) {
	for verbs, want := range map[string]time.Duration{
		`<Ring answerCall="false"/>`:                                                     5 * time.Second,
		`<Ring answerCall="FALSE" duration="0.5"/>`:                                      500 * time.Millisecond,
		`<Ring answerCall="false" duration="3"/><Ring answerCall="false" duration="4"/>`: 7 * time.Second,
	} {
		t.Run(verbs, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				began := time.Now()
				c := b.invite(response(verbs))
				assert.Zero(t, since(began, c.Expect("180").Time))
				assert.Equal(t, want, since(began, c.Rejected(603).Time))
				assert.Len(t, c.Received("180"), 1)
				assert.Empty(t, c.Packets())
				b.disconnect("hangup", "").Check(map[string]any{"answerTime": scenario.Absent})
			})
		})
	}
}

func TestRingWithoutAnAnswerIsFollowedByOne(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		c := b.invite(response(`<Ring answerCall="false"/><SpeakSentence>Hello</SpeakSentence>`))
		assert.Equal(t, 5*time.Second, since(began, c.Answered().Time))
		sounds(t, 7*time.Second, since(began, c.Expect("BYE").Time))
		assert.Equal(t, 2*time.Second, heard(c).Loud())
	})
}

func TestRingAnswersAndIsHeard(t *testing.T) {
	for name, tc := range map[string]struct {
		verbs  string
		length time.Duration
		tone   time.Duration // two seconds of each six
	}{
		"the default":           {`<Ring/>`, 5 * time.Second, 2 * time.Second},
		"its duration":          {`<Ring duration="7.5"/>`, 7500 * time.Millisecond, 3500 * time.Millisecond},
		"an answered call":      {`<Pause duration="0.1"/><Ring answerCall="false" duration="1"/>`, 1100 * time.Millisecond, time.Second},
		"in spite of the words": {`<Ring answerCall="true" duration="1"/>`, time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				began := time.Now()
				c := b.invite(response(tc.verbs))
				assert.Zero(t, since(began, c.Answered().Time))
				assert.Equal(t, tc.length, since(began, c.Expect("BYE").Time))
				c.Never("180")
				sound := heard(c)
				assert.InDelta(t, tc.tone.Seconds(), sound.Loud().Seconds(), 0.021)
				assert.InDelta(t, 1, sound.Tone(440)+sound.Tone(480), 0.1)
				b.disconnect("hangup", "")
			})
		})
	}
}

func TestHangupUnansweredRejectsWithTheConfiguredCode(t *testing.T) {
	for _, code := range []int{603, 486, 404} {
		inBubble(t, func(cfg *node.Config) { cfg.SIP.RejectCode = code }, func(t *testing.T, b *bubble) {
			for _, document := range []string{response(`<Hangup/><Pause/>`), response(``), `<Bxml/>`, response(`<Tag>x</Tag>`)} {
				b.invite(document).Rejected(code)
				b.disconnect("hangup", "").Check(map[string]any{"answerTime": scenario.Absent})
			}
		})
	}
}

func TestAnUnansweredCallThatFailsGets500(t *testing.T) {
	for cause, reply := range map[string]scenario.Reply{
		"callback-error":    {Status: 503},
		"invalid-bxml":      {Body: `<Response>`},
		"application-error": {Body: response(`<Forward to="+15551230002"/>`)},
	} {
		t.Run(cause, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				res := b.answers(reply).Rejected(500)
				assert.Empty(t, res.Get("Retry-After"))
				assert.Equal(t, cause, b.app.Expect("disconnect").Text("cause"))
			})
		})
	}
}

func TestARedirectChainEndsAfterAHundredDocuments(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.BXML(response(`<Tag>again</Tag><Redirect redirectUrl="/r"/>`)))
		b.invite(response(`<Redirect redirectUrl="/r"/>`)).Rejected(500)
		e := b.disconnect("application-error", "Redirect")
		assert.Len(t, b.app.EventsOf("redirect"), 100)
		documents := 0
		for _, entry := range b.journal(e) {
			if entry.Document != nil {
				documents++
			}
		}
		assert.Equal(t, 100, documents, "the reply to the hundredth is not run")
	})
}

func TestARedirectChainThatDoesSomethingHasNoEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		var replies []scenario.Reply
		for n := range 150 {
			replies = append(replies, scenario.BXML(response(fmt.Sprintf(`<Pause duration="0.1"/><Tag>%d</Tag><Redirect redirectUrl="/r"/>`, n))))
		}
		b.app.On("redirect", append(replies, scenario.BXML(response(`<Hangup/>`)))...)
		b.invite(response(`<Redirect redirectUrl="/r"/>`)).Answered()
		time.Sleep(time.Minute)
		b.disconnect("hangup", "").Check(map[string]any{"tag": "149"})
	})
}

func TestTheTagOfACall(t *testing.T) {
	long := strings.Repeat("ü", 256)
	for name, tc := range map[string]struct {
		application string
		verbs       string
		redirect    any // the tag in the redirect event
		disconnect  any
	}{
		"none":                        {"", `<Redirect redirectUrl="/r"/>`, scenario.Absent, scenario.Absent},
		"the application's":           {"app", `<Redirect redirectUrl="/r"/>`, "app", "app"},
		"the verb Tag":                {"app", `<Tag> one </Tag><Tag>two</Tag><Redirect redirectUrl="/r"/>`, "two", "two"},
		"an empty Tag":                {"app", `<Tag/><Redirect redirectUrl="/r"/>`, scenario.Absent, scenario.Absent},
		"a verb's attribute":          {"app", `<Redirect redirectUrl="/r" tag="now"/>`, "now", "now"},
		"a verb's empty attribute":    {"app", `<Redirect redirectUrl="/r" tag=""/>`, scenario.Absent, scenario.Absent},
		"256 characters":              {"", `<Tag>` + long + `</Tag><Redirect redirectUrl="/r"/>`, long, long},
		"a Refer's, when it starts":   {"app", `<Refer tag="refer"><SipUri>sip:a@b.example</SipUri></Refer><Redirect redirectUrl="/r"/>`, "refer", "refer"},
		"a verb's that is never run":  {"app", `<Redirect redirectUrl="/r"/><Tag>never</Tag>`, "app", "app"},
		"kept across documents":       {"", `<Tag>kept</Tag><Redirect redirectUrl="/kept"/>`, "kept", "kept"},
		"not of what is invalid BXML": {"app", `<Tag>never</Tag><Foo/>`, nil, "app"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(cfg *node.Config) { cfg.Applications[0].Tag = tc.application }, func(t *testing.T, b *bubble) {
				b.phone.Answer("REFER", 603)
				b.app.On("/kept", scenario.BXML(response(`<Pause/>`)))
				b.invite(response(tc.verbs))
				b.app.Expect("initiate").Check(map[string]any{"tag": scenario.Absent})
				if tc.redirect != nil {
					b.app.Expect("redirect").Check(map[string]any{"tag": tc.redirect})
				}
				e := b.app.Expect("disconnect").Check(map[string]any{"tag": tc.disconnect})
				if tag, ok := tc.disconnect.(string); ok {
					assert.Equal(t, tag, b.record(e).Tag)
				} else {
					assert.Empty(t, b.record(e).Tag)
				}
			})
		})
	}
}

func TestAVerbOfALaterVersionEndsTheCallAndIsNamed(t *testing.T) {
	for name, verb := range map[string]string{
		"Transfer":   `<Transfer><PhoneNumber>+15551230002</PhoneNumber></Transfer>`,
		"Bridge":     `<Bridge>c-1</Bridge>`,
		"Conference": `<Conference>room</Conference>`,
		"Connect":    `<Connect><Endpoint>e-1</Endpoint></Connect>`,
		"Forward":    `<Forward to="+15551230002"/>`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				b.invite(response(`<Tag>reached</Tag>` + verb + `<Tag>never</Tag>`)).Rejected(500)
				b.disconnect("application-error", name).Check(map[string]any{"tag": "reached"})
			})
		})
	}
}

func TestADocumentIsCheckedWholeBeforeItsFirstVerbRuns(t *testing.T) {
	for name, tc := range map[string]struct{ document, message string }{
		"an unknown verb at its end": {"<Response>\n<Pause/>\n  <Reffer/>\n</Response>", "line 3, column 3"},
		"a value out of range":       {"<Response>\n<Pause/>\n<Ring duration=\"86401\"/></Response>", "line 3, column 7"},
		"what is not closed":         {"<Response><Pause/>", "line 1"},
		"a Refer without its SipUri": {"<Response><Pause/><Refer/></Response>", "SipUri"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				c := b.invite(tc.document)
				c.Rejected(500)
				e := b.disconnect("invalid-bxml", tc.message).Check(map[string]any{"answerTime": scenario.Absent})
				for _, entry := range b.journal(e) {
					require.Nil(t, entry.Verb, "nothing of it runs")
				}
			})
			inBubble(t, nil, func(t *testing.T, b *bubble) { // on an answered call, too
				b.app.On("redirect", scenario.BXML(tc.document))
				c := b.call(response(`<Pause duration="2"/><Redirect redirectUrl="/next"/>`))
				began := time.Now()
				assert.Equal(t, 2*time.Second, since(began, c.Expect("BYE").Time))
				b.disconnect("invalid-bxml", tc.message)
			})
		})
	}
}

func TestAnInvalidDocumentDoesNotLeadToTheFallback(t *testing.T) {
	change := func(cfg *node.Config) { cfg.Applications[0].CallInitiatedFallbackURL = "http://app.example/fallback" }
	inBubble(t, change, func(t *testing.T, b *bubble) {
		b.invite(`<Response>`).Rejected(500)
		b.disconnect("invalid-bxml", "line 1")
		require.Len(t, b.app.EventsOf("initiate"), 1)
	})
}
