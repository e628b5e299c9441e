package sipstack

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReferNotifyBeforeAcceptedIsHeldAndCounts(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.progress(100))
		require.Equal(t, 200, x.final(200))
		x.requirePending(f)
		assert.Zero(t, f.Result().NotifyCode)
		time.Sleep(5 * time.Second)
		assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
		assert.Equal(t, []string{"0s refer pending", "5s refer pending", "5s refer success", "5s release"}, x.news(), "no clock runs")
	}, answers(5*time.Second, 202))
}

func TestReferHeldProgressIsNoOutcome(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.progress(180))
		time.Sleep(5 * time.Second)
		x.requirePending(f)
		assert.Equal(t, 180, f.Result().Progress)
		time.Sleep(30 * time.Second)
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceNotifyTimeout), x.outcomeOf(f))
	}, answers(5*time.Second, 202))
}

func TestReferFirstHeldOutcomeStands(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.final(486))
		require.Equal(t, 200, x.final(200), "the referral is still pending")
		require.Equal(t, 200, x.progress(100))
		time.Sleep(time.Second)
		assert.Equal(t, accepted(ReferFailure, 486, EvidenceFinalNotify), x.outcomeOf(f))
	}, answers(time.Second, 202))
}

func TestReferHeldNotifyOfARejectedReferIsDropped(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.final(200))
		time.Sleep(time.Second)
		assert.Equal(t, outcome{Status: ReferFailure, Refer: 603, Evidence: EvidenceRejected}, x.outcomeOf(f))
	}, answers(time.Second, 603))
}

func TestReferHeldEndOfTheSubscription(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		require.Equal(t, 200, x.notify("", sipfrag("refer", "terminated;reason=giveup")...))
		x.requirePending(f)
		time.Sleep(time.Second)
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceSubscriptionEnded), x.outcomeOf(f))
	}, answers(time.Second, 202))
}

func TestReferProgressDoesNotRestartTheClock(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		for range 29 {
			time.Sleep(time.Second)
			require.Equal(t, 200, x.progress(180))
			x.requirePending(f)
		}
		assert.Equal(t, "29s refer pending", x.news()[31], "each is told")
		time.Sleep(time.Second)
		assert.Equal(t, accepted(ReferFailure, 0, EvidenceNotifyTimeout), x.outcomeOf(f))
	}, answers(0, 202))
}

func TestReferFinalCodeDecides(t *testing.T) {
	for code := 100; code < 700; code++ {
		status := ReferFailure
		switch code / 100 {
		case 1:
			continue
		case 2:
			status = ReferSuccess
		}
		inBubble(t, func(x *far) {
			f := x.refer()
			synctest.Wait()
			// Many phones send the result in a subscription that they call active still.
			require.Equal(t, 200, x.notify(fmt.Sprintf("SIP/2.0 %d", code), sipfrag("refer", "active;expires=60")...))
			assert.Equal(t, accepted(status, code, EvidenceFinalNotify), x.outcomeOf(f))
		}, answers(0, 202))
	}
}

func TestReferOutcomeStopsTheClock(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		time.Sleep(time.Second)
		require.Equal(t, 200, x.progress(100))
		time.Sleep(time.Second)
		require.Equal(t, 200, x.final(200))
		assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
		time.Sleep(time.Minute)
		assert.Equal(t, []string{
			"0s refer pending", "0s refer pending", "0s refer.notify started 30s", "1s refer pending",
			"2s refer.notify stopped 30s", "2s refer success", "2s release",
		}, x.news())
	}, answers(0, 202))
}

func TestReferTerminatedWithoutAFinalCode(t *testing.T) {
	for name, send := range map[string]func(x *far) int{
		"empty":          func(x *far) int { return x.notify("", "Event: refer", "Subscription-State: terminated;reason=timeout") },
		"progress":       func(x *far) int { return x.notify("SIP/2.0 100 Trying", sipfrag("refer", "terminated")...) },
		"letter case":    func(x *far) int { return x.notify("", "event: refer", "SUBSCRIPTION-STATE: TERMINATED ; reason=x") },
		"only a newline": func(x *far) int { return x.notify("\r\n", sipfrag("refer", "terminated")...) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				time.Sleep(3 * time.Second)
				require.Equal(t, 200, send(x))
				assert.Equal(t, accepted(ReferFailure, 0, EvidenceSubscriptionEnded), x.outcomeOf(f))
				assert.Equal(t, 3*time.Second, f.Result().Ended.Sub(f.Result().Sent), "at once")
			}, answers(0, 202))
		})
	}
}

func TestReferNotifyWithoutABodyIsProgress(t *testing.T) {
	for _, state := range []string{"Subscription-State: active", "Subscription-State: pending;expires=60", "Subscription-State: odd", ""} {
		inBubble(t, func(x *far) {
			f := x.refer()
			synctest.Wait()
			require.Equal(t, 200, x.notify("", "Event: refer", state))
			x.requirePending(f)
		}, answers(0, 202))
	}
}

func TestReferNotifyThatCannotBeReadIsAnsweredAndIgnored(t *testing.T) {
	const fragType, state = "Content-Type: message/sipfrag", "Subscription-State: terminated"
	for name, tc := range map[string]struct {
		body   string
		lines  []string
		want   int
		header string // that the answer has
	}{
		"no Event":              {"SIP/2.0 200 OK", []string{state, fragType}, 489, "Allow-Events: refer"},
		"empty Event":           {"SIP/2.0 200 OK", []string{"Event: ", state, fragType}, 489, "Allow-Events: refer"},
		"another package":       {"SIP/2.0 200 OK", []string{"Event: presence", state, fragType}, 489, "Allow-Events: refer"},
		"a name that begins so": {"SIP/2.0 200 OK", []string{"Event: refer.x", state, fragType}, 489, "Allow-Events: refer"},
		"plain text":            {"SIP/2.0 200 OK", []string{"Event: refer", state, "Content-Type: text/plain"}, 415, "Accept: message/sipfrag"},
		"another message":       {"SIP/2.0 200 OK", []string{"Event: refer", state, "Content-Type: message/sip"}, 415, "Accept: message/sipfrag"},
		"compact type":          {"v=0", []string{"Event: refer", state, "c: application/sdp"}, 415, "Accept: message/sipfrag"},
		"something untyped":     {"hello", []string{"Event: refer", state}, 415, "Accept: message/sipfrag"},
		"no status line":        {"Contact: <sip:a@b>\r\n", []string{"Event: refer", state, fragType}, 400, ""},
		"status line too late":  {"To: x\r\nSIP/2.0 200 OK\r\n", []string{"Event: refer", state, fragType}, 400, ""},
		"a request line":        {"INVITE sip:a@b SIP/2.0\r\n", []string{"Event: refer", state, fragType}, 400, ""},
		"a code out of range":   {"SIP/2.0 700 No\r\n", []string{"Event: refer", state, fragType}, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				synctest.Wait()
				x.news()
				x.set.notify(parseNotify(t, tc.body, tc.lines...), func(code int, reason string, hdrs ...sip.Header) {
					assert.Equal(t, tc.want, code)
					assert.NotEmpty(t, reason)
					if tc.header != "" {
						require.Len(t, hdrs, 1)
						assert.Equal(t, tc.header, hdrs[0].String())
					}
				})
				x.requirePending(f)
				assert.Empty(t, x.news())
				require.Equal(t, 200, x.final(200), "the next one counts")
				assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
			}, answers(0, 202))
		})
	}
}

func TestReferNotifyInEveryForm(t *testing.T) {
	for name, tc := range map[string]struct {
		body  string
		lines []string
	}{
		"compact names":      {"SIP/2.0 200 OK\r\n", []string{"o: refer", "Subscription-State: active", "c: message/sipfrag"}},
		"letter case":        {"sip/2.0 200 ok", []string{"EVENT: Refer", "subscription-state: Active", "CONTENT-TYPE: Message/SIPFrag;Version=2.0"}},
		"no version":         {"SIP/2.0 200 OK\r\n", []string{"Event: refer", "Content-Type: message/sipfrag"}},
		"spaced parameters":  {"SIP/2.0 200 OK\r\n", []string{"Event: refer ; id = 2", `Content-Type: message/sipfrag ; version="2.0"`}},
		"no state":           {"SIP/2.0 200 OK\r\n", []string{"Event: refer", "Content-Type: message/sipfrag"}},
		"no type":            {"SIP/2.0 200 OK\r\n", []string{"Event: refer"}},
		"headers after it":   {"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP x\r\nf: <sip:a@b>\r\nContent-Length: 0\r\n\r\n", []string{"Event: refer", "c: message/sipfrag"}},
		"LF only, no reason": {"\nSIP/2.0 200\nContact: x\n", []string{"Event: refer", "c: message/sipfrag"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				synctest.Wait()
				require.Equal(t, 200, x.notify(tc.body, tc.lines...))
				assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
			}, answers(0, 202))
		})
	}
}

func TestReferNotifyWithAnId(t *testing.T) {
	for name, tc := range map[string]struct {
		id   string
		want int
	}{
		"of the REFER":           {"2", 200},
		"of the retry":           {"3", 200},
		"with zeros before":      {"002", 200},
		"of no REFER":            {"4", 481},
		"of the INVITE":          {"1", 481},
		"not a number":           {"x", 481},
		"more than a CSeq holds": {"4294967298", 481},
		"negative":               {"-2", 481},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				synctest.Wait()
				require.Equal(t, tc.want, x.notify("SIP/2.0 200 OK", sipfrag("refer;id="+tc.id, "terminated")...))
				if tc.want == 200 {
					assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
					return
				}
				x.requirePending(f)
				assert.NotContains(t, x.news(), "0s late NOTIFY")
			}, challenged(0, 202))
		})
	}
}

func TestReferNotifyWithoutAReferIs481(t *testing.T) {
	inBubble(t, func(x *far) {
		require.Equal(t, 481, x.final(200))
		require.Equal(t, 481, x.notify("SIP/2.0 200 OK", sipfrag("refer;id=2", "terminated")...))
		require.Equal(t, 489, x.notify("", "Event: presence"))
		assert.Empty(t, x.news(), "it isn't late: there was no REFER")
	})
}

func TestReferNotifyAgainIsCountedOnce(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		synctest.Wait()
		require.Equal(t, 200, x.final(486))
		require.Equal(t, 481, x.final(200))
		assert.Equal(t, accepted(ReferFailure, 486, EvidenceFinalNotify), x.outcomeOf(f))
		assert.Len(t, x.ended, 1)
	}, answers(0, 202))
}

func TestReferTwoOnACallKeepApart(t *testing.T) {
	inBubble(t, func(x *far) {
		first := x.refer()
		time.Sleep(30 * time.Second)
		assert.Equal(t, EvidenceNotifyTimeout, x.outcomeOf(first).Evidence)

		second := x.refer()
		synctest.Wait()
		require.Equal(t, "4", second.Result().ID)
		x.news()
		// The late results of the first, under both of its CSeqs, and one of the first again while the second waits.
		for _, id := range []string{"2", "3"} {
			require.Equal(t, 481, x.notify("SIP/2.0 200 OK", sipfrag("refer;id="+id, "terminated")...))
		}
		assert.Equal(t, []string{"30s late NOTIFY", "30s late NOTIFY"}, x.news())
		x.requirePending(second)

		require.Equal(t, 200, x.notify("SIP/2.0 404 Not Found", sipfrag("refer;id=4", "terminated")...))
		assert.Equal(t, accepted(ReferFailure, 404, EvidenceFinalNotify), x.outcomeOf(second))
		assert.Equal(t, EvidenceNotifyTimeout, x.outcomeOf(first).Evidence, "and the first is as it was")
	}, challenged(0, 202), answers(0, 202))
}

func TestReferIsAnsweredBeforeItsOutcomeIsTold(t *testing.T) {
	for name, code := range map[string]int{"after the acceptance": 202, "before it": 0} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(x *far) {
				f := x.refer()
				if code != 0 {
					time.Sleep(time.Second)
				}
				x.set.notify(parseNotify(t, "SIP/2.0 200 OK", sipfrag("refer", "terminated")...), func(int, string, ...sip.Header) {
					time.Sleep(2 * time.Second) // a slow connection, on which the REFER's answer may come in the meantime
					x.requireNotTold(f)
				})
				assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
			}, answers(time.Second, 202))
		})
	}
}

// requireNotTold requires that nobody has heard of an outcome.
func (x *far) requireNotTold(f *Referral) {
	x.t.Helper()
	select {
	case <-f.Done():
		x.t.Error("Done before the NOTIFY is answered")
	default:
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	require.Empty(x.t, x.ended)
}

func TestReferAnswerThatPanicsLeavesNothingLocked(t *testing.T) {
	inBubble(t, func(x *far) {
		f := x.refer()
		synctest.Wait()
		assert.Panics(t, func() {
			x.set.notify(parseNotify(t, "SIP/2.0 200 OK", sipfrag("refer", "terminated")...), func(int, string, ...sip.Header) { panic("wire") })
		})
		assert.Equal(t, accepted(ReferSuccess, 200, EvidenceFinalNotify), x.outcomeOf(f))
	}, answers(0, 202))
}

func TestReferEndsOnceWhateverHappensTogether(t *testing.T) {
	for range 50 {
		inBubble(t, func(x *far) {
			f := x.refer()
			time.Sleep(time.Second)
			var all sync.WaitGroup
			for _, event := range []func(){
				func() { x.final(200) }, func() { x.final(486) }, func() { x.progress(100) },
				func() { x.notify("", sipfrag("refer", "terminated")...) },
				f.Interrupt, f.expire, x.set.interrupt, func() { f.answered(500, nil) },
			} {
				all.Go(event)
			}
			all.Wait()
			x.outcomeOf(f)
			news := x.news()
			assert.Len(t, x.ended, 1)
			assert.Equal(t, f.Result(), x.ended[0])
			assert.Contains(t, news, "1s release")
		}, answers(0, 202))
	}
}
