package sipstack

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// accepted is the outcome of a referral whose REFER got a 202.
func accepted(status string, notify int, evidence string) outcome {
	return outcome{Status: status, Refer: 202, Notify: notify, Evidence: evidence, Billable: true}
}

func TestReferGoesOutWithItsHeaders(t *testing.T) {
	inBubble(t, func(x *far) {
		f, err := x.set.start("sip:desk@example.com;x=1?Replaces=a%40b%3Bto-tag%3D1", "sip:node@example.org:5062")
		require.NoError(t, err)
		x.requirePending(f)
		require.Len(t, x.headers, 2)
		assert.Equal(t, "Refer-To: <sip:desk@example.com;x=1?Replaces=a%40b%3Bto-tag%3D1>", x.headers[0].String())
		assert.Equal(t, "Referred-By: <sip:node@example.org:5062>", x.headers[1].String())
		assert.Equal(t, "2", f.Result().ID, "the CSeq of the REFER")
		assert.Equal(t, []string{"0s refer pending"}, x.news(), "told before it goes out")
	}, answers(time.Second, 202))
}

func TestReferRefusesWhatBreaksOutOfItsHeader(t *testing.T) {
	inBubble(t, func(x *far) {
		for _, target := range []string{"", "sip:a@b\r\nX: y", "sip:a@b>", "<sip:a@b>", "sip:a@b c"} {
			_, err := x.set.start(target, "sip:node@example.org")
			require.Error(t, err, target)
		}
		require.False(t, x.set.pending())
	})
}

func TestReferThatIsNotSentIsAnError(t *testing.T) {
	gone := errors.New("the dialog is over")
	inBubble(t, func(x *far) {
		_, err := x.set.start("sip:desk@example.com", "sip:node@example.org")
		require.ErrorIs(t, err, gone)
		assert.Equal(t, []string{"0s release"}, x.news())
		x.requirePending(x.refer()) // and the next one is free to go
	}, func(context.Context, func()) (*sip.Response, error) { return nil, gone }, answers(0, 202))
}

func TestReferOneIsPendingAtATime(t *testing.T) {
	inBubble(t, func(x *far) {
		x.refer()
		_, err := x.set.start("sip:desk@example.com", "sip:node@example.org")
		require.ErrorIs(t, err, errReferPending)
	}, answers(0, 202))
}

func TestReferProvisionalResponseKeepsWaiting(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(31 * time.Second) // 1xx all the time: the request is still out
		x.requirePending(f)
		time.Sleep(time.Second)
		require.Equal(t, 405, f.Result().ReferCode)
	}, answers(31500*time.Millisecond, 405))
}

func TestReferAny2xxIsAcceptanceNotSuccess(t *testing.T) {
	for _, code := range []int{200, 202, 204, 299} {
		inBubble(t, func(x *far) {
			f := x.refer()
			time.Sleep(time.Second)
			x.requirePending(f)
			assert.Equal(t, code, f.Result().ReferCode, "as received")
			assert.True(t, f.Result().Billable(), "from here on")
			assert.Equal(t, []string{"0s refer pending", "500ms refer pending", "500ms refer.notify started 30s"}, x.news())
			require.Equal(t, 200, x.final(486))
			assert.Equal(t, outcome{ReferFailure, code, 486, EvidenceFinalNotify, true, false}, x.outcomeOf(f))
		}, answers(500*time.Millisecond, code))
	}
}

func TestReferRejected(t *testing.T) {
	for _, code := range []int{300, 302, 399, 400, 403, 404, 405, 420, 480, 486, 491, 500, 503, 600, 603, 699} {
		inBubble(t, func(x *far) {
			f := x.refer()
			time.Sleep(time.Second)
			assert.Equal(t, outcome{Status: ReferFailure, Refer: code, Evidence: EvidenceRejected}, x.outcomeOf(f))
			assert.Equal(t, []string{"0s refer pending", "1s refer failure", "1s release"}, x.news(), "no clock runs")
			require.Equal(t, 481, x.final(200), "the subscription never was")
			assert.Equal(t, []string{"1s late NOTIFY"}, x.news())
		}, answers(time.Second, code))
	}
}

func TestRefer408And481LoseTheDialog(t *testing.T) {
	for _, code := range []int{408, 481} {
		inBubble(t, func(x *far) {
			f := x.refer()
			assert.Equal(t, outcome{ReferFailure, code, 0, EvidenceRejected, false, true}, x.outcomeOf(f))
			news := x.news()
			require.Len(t, news, 4)
			assert.Equal(t, []string{"0s refer failure", "0s release"}, []string{news[1], news[3]})
			assert.Contains(t, news[2], "lost", "after the outcome")
		}, answers(0, code))
	}
}

func TestReferAuthFailed(t *testing.T) {
	for name, tc := range map[string]struct {
		plan plan
		code int
	}{
		"no credentials for the realm": {answers(0, 401), 401},
		"no credentials for the proxy": {answers(0, 407), 407},
		"refused again":                {challenged(0, 401), 401},
		"refused by the proxy":         {challenged(0, 407), 407},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				assert.Equal(t, outcome{Status: ReferFailure, Refer: tc.code, Evidence: EvidenceAuthFailed}, x.outcomeOf(f))
			}, tc.plan)
		})
	}
}

func TestReferChallengedIsOneReferral(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(2 * time.Second)
		x.requirePending(f)
		assert.Equal(t, "2", f.Result().ID, "the first CSeq stays the id")
		assert.Equal(t, []string{"0s refer pending", "2s refer pending", "2s refer.notify started 30s"}, x.news())
		require.Equal(t, 200, x.final(200))
		assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
	}, challenged(time.Second, 202))
}

func TestReferNoResponse(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(timerF - 1)
		x.requirePending(f)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, outcome{Status: ReferFailure, Evidence: EvidenceNoResponse}, x.outcomeOf(f), "the dialog isn't lost")
	}, fails(timerF, errNoResponse))
}

func TestReferTransportFails(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		assert.Equal(t, outcome{Status: ReferFailure, Evidence: EvidenceTransportError}, x.outcomeOf(f))
	}, fails(0, errTransport))
}

func TestReferNoResponseButFinalNotifyHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		code   int
		status string
	}{
		"success, timer F":      {errNoResponse, 200, ReferSuccess},
		"failure, timer F":      {errNoResponse, 486, ReferFailure},
		"success, transport":    {errTransport, 200, ReferSuccess},
		"success, stack closed": {ErrClosed, 200, ReferSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				require.Equal(t, 200, x.final(tc.code))
				x.requirePending(f)
				time.Sleep(timerF)
				assert.Equal(t, outcome{tc.status, 0, tc.code, EvidenceFinalNotify, true, false}, x.outcomeOf(f))
				assert.True(t, f.Result().Accepted.IsZero(), "no 2xx came")
			}, fails(timerF, tc.err))
		})
	}
}

func TestReferNoResponseAndTheHeldNotifyDecidesNothing(t *testing.T) {
	for name, send := range map[string]func(x *far) int{
		"progress":                     func(x *far) int { return x.progress(180) },
		"terminated without an answer": func(x *far) int { return x.notify("", sipfrag("refer", "terminated")...) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				require.Equal(t, 200, send(x))
				time.Sleep(timerF)
				assert.Equal(t, outcome{Status: ReferFailure, Evidence: EvidenceNoResponse}, x.outcomeOf(f))
			}, fails(timerF, errNoResponse))
		})
	}
}

func TestReferNotifyTimeoutIsExact(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(5*time.Second + 30*time.Second - 1)
		x.requirePending(f)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceNotifyTimeout), x.outcomeOf(f))
		assert.Equal(t, 30*time.Second, f.Result().Ended.Sub(f.Result().Accepted), "from the acceptance, not from the sending")
		assert.Equal(t, []string{
			"0s refer pending", "5s refer pending", "5s refer.notify started 30s",
			"35s refer.notify fired 30s", "35s refer failure", "35s release",
		}, x.news())
	}, answers(5*time.Second, 202))
}

func TestReferNotifyTimeoutIsConfigured(t *testing.T) {
	inBubble(t, func(x *far) {
		x.set.env.notifyTimeout = 2 * time.Second
		f := x.refer()
		time.Sleep(2*time.Second - 1)
		x.requirePending(f)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, EvidenceNotifyTimeout, x.outcomeOf(f).Evidence)
	}, answers(0, 202))
}

func TestReferNotifyAfterTheTimeoutChangesNothing(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(30 * time.Second)
		want := x.outcomeOf(f)
		x.news()
		require.Equal(t, 481, x.final(200))
		require.Equal(t, 481, x.notify("SIP/2.0 200 OK", sipfrag("refer;id=2", "active")...))
		assert.Equal(t, want, x.outcomeOf(f))
		assert.Equal(t, []string{"30s late NOTIFY", "30s late NOTIFY"}, x.news())
	}, answers(0, 202))
}

func TestReferFinalNotifyAtTheInstantOfTheTimeout(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(30 * time.Second)
		answer := x.final(200) // races with the clock: whichever was first, the answer says the same as the outcome
		if answer == 200 {
			assert.Equal(t, ReferSuccess, x.outcomeOf(f).Status)
		} else {
			assert.Equal(t, 481, answer)
			assert.Equal(t, EvidenceNotifyTimeout, x.outcomeOf(f).Evidence)
		}
		assert.Len(t, x.ended, 1)
	}, answers(0, 202))
}

func TestReferSubFalseLeavesItToTheClock(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(30*time.Second - 1)
		x.requirePending(f)
		time.Sleep(time.Nanosecond)
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceNotifyTimeout), x.outcomeOf(f))
	}, func(_ context.Context, attempt func()) (*sip.Response, error) {
		attempt()
		res := sip.NewResponse(202, "Accepted")
		res.AppendHeader(sip.NewHeader("Refer-Sub", "false")) // RFC 4488, which we didn't ask for
		return res, nil
	})
}

func TestReferInterruptedAfterTheAcceptance(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(time.Second)
		f.Interrupt()
		f.Interrupt()
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceInterrupted), x.outcomeOf(f))
		assert.Equal(t, []string{
			"0s refer pending", "0s refer pending", "0s refer.notify started 30s",
			"1s refer.notify stopped 30s", "1s refer failure", "1s release",
		}, x.news())
		require.Equal(t, 481, x.final(200))
	}, answers(0, 202))
}

func TestReferInterruptedBeforeTheResponse(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		x.set.interrupt()
		assert.Equal(t, outcome{Status: ReferFailure, Evidence: EvidenceInterrupted}, x.outcomeOf(f))
		x.wg.Wait()
		assert.Zero(t, time.Since(x.start), "nothing waits for timer F")
		_, err := x.set.start("sip:desk@example.com", "sip:node@example.org")
		require.ErrorIs(t, err, ErrClosed)
	}, answers(time.Second, 202))
}

func TestReferInterruptedWithTheOutcomeHeld(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.final(200))
		x.set.interrupt()
		assert.Equal(t, outcome{Status: ReferSuccess, Notify: 200, Evidence: EvidenceFinalNotify, Billable: true}, x.outcomeOf(f))
	}, answers(time.Second, 202))
}

func TestReferInterruptedBeforeItIsSent(t *testing.T) {
	inBubble(t, func(x *far) {
		go func() {
			time.Sleep(time.Second)
			x.set.interrupt()
		}()
		_, err := x.set.start("sip:desk@example.com", "sip:node@example.org")
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, x.ended)
		synctest.Wait()
	}, func(ctx context.Context, _ func()) (*sip.Response, error) {
		<-ctx.Done() // a connection that isn't made
		return nil, ctx.Err()
	})
}

func TestReferOfAStackThatIsClosedIsNotSent(t *testing.T) {
	rec := &recorder{}
	set := newReferrals(referEnv{observer: rec, callID: "c-1", spawn: func(func()) bool { return false }})
	_, err := set.start("sip:carol@example.com", "sip:bob@example.com")
	require.ErrorIs(t, err, ErrClosed)
	require.False(t, set.pending())
	require.Empty(t, rec.refers)
}

func TestReferInterruptedAfterItsEndChangesNothing(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(time.Second)
		require.Equal(t, 200, x.final(200))
		f.Interrupt()
		assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
		assert.Len(t, x.ended, 1)
	}, answers(0, 202))
}

func TestAReferralThatPanicsEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := &recorder{}
		var wg sync.WaitGroup
		set := newReferrals(referEnv{
			send: func(_ context.Context, _ sip.RequestMethod, _ []sip.Header, _ []byte, sent func(uint32)) (*sip.Response, error) {
				sent(7)
				panic("the sending is broken")
			},
			observer: rec, callID: "c-1", spawn: goIn(&wg),
		})
		f, err := set.start("sip:carol@example.com", "sip:bob@example.com")
		require.NoError(t, err)
		wg.Wait()
		<-f.Done()
		require.Equal(t, EvidenceInterrupted, f.Result().Evidence)
		require.Equal(t, []any{"the sending is broken"}, rec.panics)
		require.False(t, set.pending())
	})
}
