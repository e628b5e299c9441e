package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/webhook"
)

const (
	referTarget = "sip:desk@pbx.example?Replaces=4711%4010.0.0.1"
	withURL     = `<Response><Refer referCompleteUrl="/done" referCompleteMethod="get" tag="t"><SipUri>` + referTarget + `</SipUri></Refer></Response>`
	withoutURL  = `<Response><Refer><SipUri>` + referTarget + `</SipUri></Refer></Response>`
)

// only returns the one verb of a document.
func only(t testing.TB, body string) Verb {
	t.Helper()
	d, err := NewParser(Config{}).Parse([]byte(body), "")
	require.NoError(t, err)
	require.Len(t, d.Verbs, 1)
	return d.Verbs[0]
}

var (
	success    = ReferResult{Success: true, ReferCode: 202, NotifyCode: 200}
	rejected   = ReferResult{ReferCode: 405}
	unanswered = ReferResult{}
	lost       = ReferResult{ReferCode: 481, DialogLost: true}
	interrupt  = ReferResult{ReferCode: 202}
	errUnheard = errors.New("the application does not answer")
)

const (
	didSetTag = `tag "t"`
	didRefer  = "refer " + referTarget
	didAsk    = "ask referComplete GET /done"
)

// TestReferAfterIt is the table "After it" of the specification's page, and what may come between.
func TestReferAfterIt(t *testing.T) {
	t.Parallel()
	ask := []string{didSetTag, "answer", didRefer, didAsk}
	for name, tc := range map[string]struct {
		body    string
		result  ReferResult
		replies error // of Ask
		endWith error // ends the call while referComplete is delivered
		did     []string
		end     Cause
		replace bool
		err     error
	}{
		"success with URL":                      {body: withURL, result: success, did: []string{didSetTag, "answer", didRefer, "hangup", didAsk}, end: CauseHangup},
		"success with URL that does not answer": {body: withURL, result: success, replies: errUnheard, did: []string{didSetTag, "answer", didRefer, "hangup", didAsk}, end: CauseHangup},
		"success without URL":                   {body: withoutURL, result: success, did: []string{"answer", didRefer, "hangup"}, end: CauseHangup},
		"success, then the end while referComplete is delivered": {body: withURL, result: success, endWith: ErrRemoteHangup,
			did: []string{didSetTag, "answer", didRefer, "hangup", didAsk}, end: CauseHangup},
		"failure with URL":                      {body: withURL, result: rejected, did: ask, replace: true},
		"failure with URL that does not answer": {body: withURL, result: rejected, replies: errUnheard, did: ask, err: errUnheard},
		"failure without URL":                   {body: withoutURL, result: rejected, did: []string{"answer", didRefer}},
		"failure without any answer":            {body: withURL, result: unanswered, did: ask, replace: true},
		"failure, BYE while referComplete is delivered": {body: withURL, result: rejected, endWith: ErrRemoteHangup,
			did: ask, err: ErrRemoteHangup},
		"failure, BYE while referComplete fails": {body: withURL, result: rejected, endWith: ErrRemoteHangup, replies: errUnheard,
			did: ask, err: ErrRemoteHangup},
		"failure, drained while referComplete is delivered": {body: withURL, result: rejected, endWith: ErrDrained,
			did: append(slices.Clone(ask), "hangup"), err: ErrDrained},
		"failure, ended through the API while referComplete is delivered": {body: withURL, result: rejected, endWith: ErrCompleted,
			did: append(slices.Clone(ask), "hangup"), err: ErrCompleted},
		"failure, replaced through the API while referComplete is delivered": {body: withURL, result: rejected, endWith: ErrReplaced,
			did: ask, err: ErrReplaced},
		"dialog lost with URL":                      {body: withURL, result: lost, did: ask, err: ErrDialogLost},
		"dialog lost with URL that does not answer": {body: withURL, result: lost, replies: errUnheard, did: ask, err: ErrDialogLost},
		"dialog lost without URL":                   {body: withoutURL, result: lost, did: []string{"answer", didRefer}, err: ErrDialogLost},
		"empty URL":                                 {body: `<Response><Refer referCompleteUrl=""><SipUri>` + referTarget + `</SipUri></Refer></Response>`, result: rejected, did: []string{"answer", didRefer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				call := &fakeCall{}
				referral := call.refer()
				call.replies = func(asking context.Context, _ int) (webhook.Reply, error) {
					if tc.endWith != nil {
						end(tc.endWith)
					}
					assert.NoError(t, asking.Err(), "the end of the call does not stop the delivery")
					return webhook.Reply{Status: 200, URL: "https://app.example/done", Body: []byte("<Response/>")}, tc.replies
				}
				time.AfterFunc(29*time.Second, func() { referral.end(tc.result) })

				out, err := only(t, tc.body).Execute(ctx, call)
				if tc.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tc.err)
				}
				assert.Equal(t, tc.end, out.End)
				assert.Equal(t, tc.replace, out.Replace != nil)
				assert.Nil(t, out.After)
				assert.Equal(t, tc.did, call.done())
			})
		})
	}
}

// TestReferOutlivesTheCall ends the call while the REFER is pending.
func TestReferOutlivesTheCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body   string
		cause  error
		result ReferResult
		asked  bool
		status string
	}{
		"caller gone, then success":     {withURL, ErrRemoteHangup, success, true, "success"},
		"caller gone, then failure":     {withURL, ErrRemoteHangup, rejected, true, "failure"},
		"caller gone, no URL":           {withoutURL, ErrRemoteHangup, rejected, false, ""},
		"dialog lost, then the outcome": {withURL, ErrDialogLost, interrupt, true, "failure"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{replies: func(context.Context, int) (webhook.Reply, error) { return webhook.Reply{}, errUnheard }}
				referral := call.refer()
				time.AfterFunc(time.Second, func() { end(tc.cause) })
				start := time.Now()
				out, err := only(t, tc.body).Execute(ctx, call)
				assert.Equal(t, time.Second, time.Since(start), "the call ends at once")
				require.NotNil(t, out.After)
				if errors.Is(tc.cause, ErrRemoteHangup) {
					require.NoError(t, err)
					assert.Equal(t, CauseHangup, out.End)
				} else {
					require.ErrorIs(t, err, tc.cause)
				}
				assert.Empty(t, call.asked, "nothing is known yet")

				time.AfterFunc(10*time.Second, func() { referral.end(tc.result) })
				out.After(t.Context())
				assert.Equal(t, 11*time.Second, time.Since(start))
				assert.NotContains(t, call.done(), "interrupt")
				assert.NotContains(t, call.done(), "hangup")
				if !tc.asked {
					assert.Empty(t, call.asked)
					return
				}
				require.Len(t, call.asked, 1, "exactly one referComplete")
				assert.Contains(t, string(call.asked[0].Body), `"referCallStatus":"`+tc.status+`"`)
			})
		})
	}
}

// TestReferIsInterruptedWhenTheNodeCannotWait ends the time that the node gives to what a call still owes.
func TestReferIsInterruptedWhenTheNodeCannotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancelCause(t.Context())
		call := &fakeCall{}
		call.refer().known = interrupt
		end(ErrRemoteHangup)
		call.info.AnswerTime = time.Now()
		verb := only(t, withURL).(*Refer)
		out := Outcome{After: verb.outlive(call, call.referral)}

		owed, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		call.replies = func(ctx context.Context, _ int) (webhook.Reply, error) {
			assert.NoError(t, ctx.Err(), "referComplete is still delivered")
			return webhook.Reply{}, nil
		}
		out.After(owed)
		assert.Equal(t, []string{"interrupt", didAsk}, call.done())
		assert.Error(t, ctx.Err())
	})
}

// TestReferEndedByUs ends the call from our side while the REFER is pending: the drain, or a request of the API.
func TestReferEndedByUs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body  string
		known ReferResult
		did   []string
		cause error
		end   Cause
		err   error
	}{
		"with URL": {withURL, interrupt, []string{didSetTag, "answer", didRefer, "interrupt", "hangup", didAsk},
			ErrDrained, "", ErrDrained},
		"through the API": {withURL, interrupt, []string{didSetTag, "answer", didRefer, "interrupt", "hangup", didAsk},
			ErrCompleted, "", ErrCompleted},
		"without URL": {withoutURL, interrupt, []string{"answer", didRefer, "interrupt", "hangup"}, ErrDrained, "", ErrDrained},
		"success after all": {withURL, success, []string{didSetTag, "answer", didRefer, "interrupt", "hangup", didAsk},
			ErrDrained, CauseHangup, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				call := &fakeCall{}
				call.refer().known = tc.known
				time.AfterFunc(time.Second, func() { end(tc.cause) })
				out, err := only(t, tc.body).Execute(ctx, call)
				require.ErrorIs(t, err, tc.err)
				assert.Equal(t, tc.end, out.End)
				assert.Nil(t, out.After)
				assert.Equal(t, tc.did, call.done())
			})
		})
	}
}

// TestReferResultBeforeTheEnd has the outcome and the end of the call ready at the same moment, many times because
// select picks at random.
func TestReferResultBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for range 50 {
		ctx, end := context.WithCancelCause(t.Context())
		call := &fakeCall{}
		call.refer().end(success)
		verb := only(t, withURL).(*Refer)
		end(ErrRemoteHangup)
		require.True(t, waitFor(ctx, call.referral))
		out, err := verb.finish(ctx, call, success)
		require.NoError(t, err)
		require.Equal(t, CauseHangup, out.End)
		require.True(t, call.hangupLive, "the end of the call does not stop the BYE")
		require.Len(t, call.asked, 1)
	}
}

// TestReferEndBeforeTheResult has both ready as well, but the call had ended first: its end is told without waiting for
// referComplete.
func TestReferEndBeforeTheResult(t *testing.T) {
	t.Parallel()
	for range 50 {
		ctx, end := context.WithCancelCause(t.Context())
		call := &fakeCall{}
		late := rejected
		late.CallGone = true
		call.refer().end(late)
		call.info.AnswerTime = time.Now()
		go end(ErrRemoteHangup)
		out, err := only(t, withURL).Execute(ctx, call)
		if errors.Is(err, ErrRemoteHangup) {
			continue // before the REFER was sent
		}
		require.NoError(t, err)
		require.Equal(t, CauseHangup, out.End)
		require.NotNil(t, out.After)
		require.Empty(t, call.asked)
		out.After(t.Context())
		require.Len(t, call.asked, 1)
	}
}

// TestReferIsNotSent covers what comes before the REFER: no request, no referComplete.
func TestReferIsNotSent(t *testing.T) {
	t.Parallel()
	reason := errors.New("only an inbound SIP call can be referred")
	broken := errors.New("the transport is gone")
	t.Run("on a call that cannot be referred", func(t *testing.T) {
		t.Parallel()
		call := &fakeCall{cannot: reason}
		_, err := only(t, withURL).Execute(t.Context(), call)
		var action *ActionError
		require.ErrorAs(t, err, &action)
		assert.EqualError(t, err, "Refer: only an inbound SIP call can be referred")
		assert.ErrorIs(t, err, reason)
		assert.Equal(t, []string{didSetTag}, call.done(), "the tag is set, nothing is sent")
	})
	t.Run("without the ability", func(t *testing.T) {
		t.Parallel()
		call := &fakeCall{}
		_, err := only(t, withURL).Execute(t.Context(), struct{ Call }{call})
		var action *ActionError
		require.ErrorAs(t, err, &action)
		assert.Equal(t, []string{didSetTag}, call.done())
	})
	t.Run("when the answer fails", func(t *testing.T) {
		t.Parallel()
		call := &fakeCall{answerErr: ErrNoAck}
		_, err := only(t, withURL).Execute(t.Context(), call)
		require.ErrorIs(t, err, ErrNoAck)
		assert.Equal(t, []string{didSetTag, "answer"}, call.done())
	})
	t.Run("when the call has ended", func(t *testing.T) {
		t.Parallel()
		ctx, end := context.WithCancelCause(t.Context())
		end(ErrCanceled)
		call := &fakeCall{}
		_, err := only(t, withURL).Execute(ctx, call)
		require.ErrorIs(t, err, ErrCanceled)
	})
	t.Run("when it cannot be sent", func(t *testing.T) {
		t.Parallel()
		call := &fakeCall{referErr: broken}
		_, err := only(t, withURL).Execute(t.Context(), call)
		require.ErrorIs(t, err, broken)
		assert.Empty(t, call.asked)
	})
}

// TestReferCompleteSaysHowItEnded looks at the event itself.
func TestReferCompleteSaysHowItEnded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		result ReferResult
		want   map[string]any
	}{
		"success":         {success, map[string]any{"referCallStatus": "success", "referSipResponseCode": 202.0, "notifySipResponseCode": 200.0}},
		"rejected":        {rejected, map[string]any{"referCallStatus": "failure", "referSipResponseCode": 405.0}},
		"no final NOTIFY": {interrupt, map[string]any{"referCallStatus": "failure", "referSipResponseCode": 202.0}},
		"no answer":       {unanswered, map[string]any{"referCallStatus": "failure"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := &fakeCall{}
			call.refer().end(tc.result)
			_, err := only(t, withURL).Execute(t.Context(), call)
			require.NoError(t, err)
			var body map[string]any
			require.NoError(t, json.Unmarshal(call.asked[0].Body, &body))
			for _, name := range []string{"referCallStatus", "referSipResponseCode", "notifySipResponseCode"} {
				assert.Equal(t, tc.want[name], body[name], name)
			}
			assert.Equal(t, "t", body["tag"], "the tag of the verb")
			assert.Contains(t, body, "answerTime")
			assert.Equal(t, "GET", call.askedOf[0].Method)
		})
	}
}
