package interpreter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func properties(t testing.TB, ev webhook.Event) map[string]any {
	t.Helper()
	var p map[string]any
	require.NoError(t, json.Unmarshal(ev.Body, &p))
	return p
}

func response(verbs ...string) string { return "<Response>" + strings.Join(verbs, "") + "</Response>" }

func TestEveryEndOfACallHasOneDisconnectEventWithItsCause(t *testing.T) {
	for name, tc := range map[string]struct {
		reply   any
		leg     func(*fakeLeg)
		cause   string
		message string // part of it; empty: there is none
		did     []string
		status  int
	}{
		"Hangup on an unanswered call rejects it": {
			reply: response("<Hangup/>"), cause: "hangup", did: []string{"reject"}, status: 603,
		},
		"an empty document is a Hangup": {
			reply: "", cause: "hangup", did: []string{"reject"}, status: 603,
		},
		"a document that runs out hangs up": {
			reply: response(`<Pause duration="0.1"/>`), cause: "hangup", did: []string{"answer", "bye"},
		},
		"invalid BXML on an unanswered call": {
			reply: response("<Reffer/>"), cause: "invalid-bxml", message: "Reffer", did: []string{"reject"}, status: 500,
		},
		"nothing of an invalid document runs": {
			reply: response(`<Pause/><Pause duration="-1"/>`), cause: "invalid-bxml", message: "duration",
			did: []string{"reject"}, status: 500,
		},
		"a verb of a later version": {
			reply: response(`<Bridge>c-1</Bridge>`), cause: "application-error", message: "Bridge",
			did: []string{"reject"}, status: 500,
		},
		"the application cannot be reached": {
			reply: &webhook.DeliveryError{}, cause: "callback-error", did: []string{"reject"}, status: 500,
			message: " ",
		},
		"no ACK": {
			reply: response("<Pause/>"), leg: func(l *fakeLeg) { l.answer = verbs.ErrNoAck },
			cause: "error", message: "no ACK", did: []string{"answer"},
		},
		"the call gave up while being answered": {
			reply: response("<Pause/>"), leg: func(l *fakeLeg) { l.answer = verbs.ErrCanceled },
			cause: "cancel", did: []string{"answer"},
		},
		"an error without a name of its own": {
			reply: response("<Pause/>"), leg: func(l *fakeLeg) { l.answer = errors.New("the moon fell") },
			cause: "error", message: "the moon fell", did: []string{"answer", "bye"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, map[string][]any{"initiate": {tc.reply}})
				if tc.leg != nil {
					tc.leg(b.leg)
				}
				b.run()
				p := b.disconnect()
				assert.Equal(t, tc.cause, p["cause"])
				assert.Equal(t, tc.did, b.leg.did)
				assert.Equal(t, tc.status, b.leg.status)
				if tc.message == "" {
					assert.NotContains(t, p, "errorMessage")
					assert.NotContains(t, p, "errorId")
				} else {
					assert.Contains(t, p["errorMessage"], tc.message)
					assert.NotEmpty(t, p["errorId"])
				}
				record, err := b.store.Record(t.Context(), "c-1")
				require.NoError(t, err)
				assert.Equal(t, tc.cause, *record.DisconnectCause, "the record says the same")
			})
		})
	}
}

func TestTheEndOfTheCallInterruptsWhateverRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		replies map[string][]any
		leg     func(*fakeLeg)
		end     error
		cause   string
	}{
		"hangup while the first document is awaited": {
			replies: map[string][]any{"initiate": {hangsUntilTheEnd}}, end: verbs.ErrRemoteHangup, cause: "hangup",
		},
		"CANCEL while the first document is awaited": {
			replies: map[string][]any{"initiate": {hangsUntilTheEnd}}, end: verbs.ErrCanceled, cause: "cancel",
		},
		"hangup during a Pause": {
			replies: map[string][]any{"initiate": {response(`<Pause duration="3600"/>`)}},
			end:     verbs.ErrRemoteHangup, cause: "hangup",
		},
		"hangup during a Ring": {
			replies: map[string][]any{"initiate": {response(`<Ring duration="3600"/>`)}},
			end:     verbs.ErrRemoteHangup, cause: "hangup",
		},
		"the dialog is lost during speech": {
			replies: map[string][]any{"initiate": {response(`<SpeakSentence>Hello</SpeakSentence>`)}},
			leg: func(l *fakeLeg) {
				l.speaking = func(ctx context.Context, _ verbs.Speech) error { <-ctx.Done(); return context.Cause(ctx) }
			},
			end: verbs.ErrDialogLost, cause: "error",
		},
		"the drain's time is over": {
			replies: map[string][]any{"initiate": {response(`<Pause duration="3600"/>`)}},
			end:     verbs.ErrDrained, cause: "error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tc.replies)
				if tc.leg != nil {
					tc.leg(b.leg)
				}
				begin := time.Now()
				time.AfterFunc(4*time.Second, func() { b.end(tc.end) })
				b.run()
				assert.Equal(t, tc.cause, b.disconnect()["cause"])
				assert.Equal(t, 4*time.Second, time.Since(begin), "at once")
			})
		})
	}
}

func TestAPanicEndsItsCallAlone(t *testing.T) {
	b := newBench(t, map[string][]any{"initiate": {response("<SpeakSentence>Hi</SpeakSentence>")}})
	b.leg.speaking = func(context.Context, verbs.Speech) error { panic("out of cheese") }
	b.run()
	p := b.disconnect()
	assert.Equal(t, "error", p["cause"])
	assert.Contains(t, p["errorMessage"], "internal error")
	assert.Contains(t, b.leg.did, "bye", "the caller is not left behind")
	assert.Equal(t, 1, b.panics)
}

func TestRedirectReplacesTheRestOfTheDocument(t *testing.T) {
	b := newBench(t, map[string][]any{
		"initiate": {response(`<Tag>one</Tag><Redirect redirectUrl="next" tag="two"/><Pause/>`)},
		"redirect": {response("<Hangup/>")},
	})
	b.run()
	require.Equal(t, []string{"initiate", "redirect"}, types(b.app.asked))
	assert.Equal(t, "https://app.example/calls/next", b.app.asked[1].to.URL, "relative to the document's own URL")
	assert.Equal(t, 7*time.Second, b.app.asked[1].to.Timeout)
	p := properties(t, b.app.asked[1].ev)
	assert.Equal(t, "two", p["tag"], "the tag is set when the verb starts")
	assert.NotContains(t, p, "answerTime", "Redirect does not answer")
	assert.Equal(t, []string{"reject"}, b.leg.did)
	assert.Equal(t, "two", b.disconnect()["tag"], "the tag stays until it is replaced")
}

func TestHundredDocumentsInARowThatOnlyRedirectEndTheCall(t *testing.T) {
	b := newBench(t, map[string][]any{
		"initiate": {response(`<Tag>x</Tag><Redirect redirectUrl="/again"/>`)},
		"redirect": {response(`<Redirect redirectUrl="/again"/>`)},
	})
	b.run()
	p := b.disconnect()
	assert.Equal(t, "application-error", p["cause"])
	assert.Contains(t, p["errorMessage"], "100")
	assert.Len(t, b.app.asked, 101, "the reply to the 100th is not run")
}

func TestADocumentThatDoesSomethingStartsTheCountOfRedirectsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := newBench(t, map[string][]any{
			"initiate": {response(`<Redirect redirectUrl="/again"/>`)},
			"redirect": {func(context.Context) (string, error) {
				switch n++; {
				case n == 150:
					return response("<Hangup/>"), nil
				case n%50 == 0:
					return response(`<Ring answerCall="false" duration="0.1"/><Redirect redirectUrl="/again"/>`), nil
				}
				return response(`<Redirect redirectUrl="/again"/>`), nil
			}},
		})
		b.run()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
	})
}

func TestTheTagOfTheApplicationIsTheFirst(t *testing.T) {
	b := newBench(t, map[string][]any{
		"initiate": {response(`<Redirect redirectUrl="/a"/>`)},
		"redirect": {response(`<Tag/><Hangup/>`)},
	})
	b.callTag = "vip"
	b.run()
	assert.NotContains(t, properties(t, b.app.asked[0].ev), "tag")
	assert.Equal(t, "vip", properties(t, b.app.asked[1].ev)["tag"])
	assert.NotContains(t, b.disconnect(), "tag", `<Tag/> clears it`)
}

func TestACallerWhoHangsUpWhileAReferIsPendingIsToldOfAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{
			"initiate":      {response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@example.com</SipUri></Refer>`)},
			"referComplete": {response("<SpeakSentence>Never heard</SpeakSentence>")},
		})
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		b.leg.ended = time.Now()
		b.end(verbs.ErrRemoteHangup)
		synctest.Wait()
		assert.Equal(t, "hangup", b.disconnect()["cause"], "disconnect does not wait for the referral")
		assert.Equal(t, []string{"initiate"}, types(b.app.asked))

		b.leg.referral.end(verbs.ReferResult{Success: true, ReferCode: 202, NotifyCode: 200})
		<-done
		require.Equal(t, []string{"initiate", "referComplete"}, types(b.app.asked))
		assert.Equal(t, "success", properties(t, b.app.asked[1].ev)["referCallStatus"])
		b.disconnect()
		assert.NotContains(t, b.leg.did, "speak Never heard")
	})
}

func TestTheEndOfTheDrainEndsAReferralThatOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{
			"initiate":      {response(`<Refer referCompleteUrl="/done"><SipUri>sip:desk@example.com</SipUri></Refer>`)},
			"referComplete": {hangsUntilTheEnd},
		})
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		b.end(verbs.ErrRemoteHangup)
		synctest.Wait()
		b.drain(verbs.ErrDrained)
		synctest.Wait()
		require.Equal(t, []string{"initiate", "referComplete"}, types(b.app.asked), "referComplete goes out all the same")
		b.close(errors.New("closed"))
		<-done
		b.disconnect()
	})
}

func TestAnAfterThatPanicsLeavesTheCallEnded(t *testing.T) {
	b := newBench(t, nil)
	b.runner = New(Config{}, Application{}, verbs.NewParser(verbs.Config{}), b.app, b.app, b.store,
		WithPanicHandler(func(any) { b.panics++ }))
	c := &call{Runner: b.runner, leg: b.leg, limits: b.limits, info: webhook.Call{CallID: "c-1"}}
	b.runner.finish(b.ctx, c, &ending{after: func(context.Context) { panic("late") }})
	assert.Equal(t, 1, b.panics)
}

func TestCauseOfEveryError(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		cause verbs.Cause
	}{
		"nothing":            {nil, verbs.CauseHangup},
		"hangup":             {verbs.ErrRemoteHangup, verbs.CauseHangup},
		"cancel":             {verbs.ErrCanceled, verbs.CauseCancel},
		"no ACK":             {verbs.ErrNoAck, verbs.CauseError},
		"no PRACK":           {verbs.ErrNoPrack, verbs.CauseError},
		"no media":           {verbs.ErrNoMedia, verbs.CauseError},
		"dialog lost":        {verbs.ErrDialogLost, verbs.CauseError},
		"drained":            {verbs.ErrDrained, verbs.CauseError},
		"through the API":    {verbs.ErrCompleted, verbs.CauseHangup},
		"syntax":             {verbs.SyntaxErrors{{Reason: "x"}}, verbs.CauseInvalidBXML},
		"action":             {&verbs.ActionError{Verb: "Refer"}, verbs.CauseApplicationError},
		"delivery":           {&webhook.DeliveryError{}, verbs.CauseCallbackError},
		"anything else":      {errors.New("x"), verbs.CauseError},
		"a wrapped one, too": {fmt.Errorf("reading: %w", verbs.ErrRemoteHangup), verbs.CauseHangup},
	} {
		t.Run(name, func(t *testing.T) {
			cause, message := causeOf(tc.err)
			assert.Equal(t, tc.cause, cause)
			if cause == verbs.CauseHangup || cause == verbs.CauseCancel {
				assert.Empty(t, message)
			} else {
				assert.Equal(t, tc.err.Error(), message)
			}
		})
	}
}

func TestTheJournalTellsTheCallInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(`<Tag>a</Tag><SpeakSentence>Hello</SpeakSentence>`)}})
		b.run()
		entries, err := b.store.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		var got []string
		for _, e := range entries {
			switch e.Type {
			case state.TypeCall:
				got = append(got, "call "+e.Call.Event)
			case state.TypeVerb:
				got = append(got, "verb "+e.Verb.Name+" "+e.Verb.Event+" "+e.Verb.Next)
			case state.TypeDocument:
				got = append(got, "document "+strings.Join(e.Document.Verbs, " "))
			case state.TypeMedia:
				got = append(got, "media "+e.Media.Event)
			}
		}
		assert.Equal(t, []string{
			"call initiated",
			"document Tag SpeakSentence",
			"verb Tag started ", "call tagged", "verb Tag ended next verb",
			"verb SpeakSentence started ", "call answered", "media playing", "media played", "verb SpeakSentence ended next verb",
			"call ended",
		}, got)
	})
}
