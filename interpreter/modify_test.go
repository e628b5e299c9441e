package interpreter

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const long = `<Pause duration="3600"/>`

// modified runs a call in a bubble and has f modify it once nothing moves any more; it returns when the call has ended.
func modified(t *testing.T, replies map[string][]any, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, replies)
		b.assemble()
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		f(t, b)
		<-done
		assert.ErrorIs(t, b.runner.Redirect(toNext), ErrNotModifiable, "the call is over")
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable, "the call is over")
		assert.ErrorIs(t, b.runner.Complete(), ErrNotModifiable, "the call is over")
		b.disconnect()
	})
}

var toNext = Redirection{URL: "https://other.example/next"}

func (b *bench) events() []string { return types(b.app.asked) }

// changesTold are the modifications that the journal tells of.
func (b *bench) changesTold() (told []string) {
	b.t.Helper()
	entries, err := b.store.Journal(b.t.Context(), "c-1")
	require.NoError(b.t, err)
	for _, e := range entries {
		if e.Call != nil && e.Call.Event == state.CallModified {
			told = append(told, e.Call.Change+e.Call.URL)
		}
	}
	return told
}

func TestARedirectStopsTheVerbAndDropsTheRest(t *testing.T) {
	begin := time.Now()
	modified(t, map[string][]any{
		"initiate": {response(`<Tag>first</Tag>`, long, `<SpeakSentence>never</SpeakSentence>`)},
		"redirect": {response(`<SpeakSentence>next</SpeakSentence>`)},
	}, func(t *testing.T, b *bench) {
		tag := "second"
		begin = time.Now()
		require.NoError(t, b.runner.Redirect(Redirection{
			URL: "https://other.example/next", Method: "GET", Username: "ada", Password: "lovelace",
			FallbackURL: "https://spare.example/next", FallbackMethod: "POST", FallbackPassword: "x", Tag: &tag,
		}))
		synctest.Wait()
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, []string{"answer", "speak next", "bye"}, b.leg.did)
		asked := b.app.asked[1]
		assert.Equal(t, webhook.Target{
			URL: "https://other.example/next", Method: "GET", Auth: &webhook.BasicAuth{Username: "ada", Password: "lovelace"},
			Timeout: 7 * time.Second,
			Fallback: &webhook.Target{
				URL: "https://spare.example/next", Method: "POST", Auth: &webhook.BasicAuth{Password: "x"}, Timeout: 7 * time.Second,
			},
		}, asked.to)
		assert.Equal(t, "redirect", asked.ev.Type)
		p := properties(t, asked.ev)
		assert.Equal(t, "second", p["tag"])
		assert.NotEmpty(t, p["answerTime"])
		assert.Equal(t, []string{"redirecthttps://other.example/next"}, b.changesTold())
	})
}

func TestTheTagOfARedirectStaysOrIsCleared(t *testing.T) {
	empty := ""
	for name, tc := range map[string]struct {
		tag  *string
		want any
	}{"stays": {nil, "first"}, "cleared": {&empty, nil}} {
		t.Run(name, func(t *testing.T) {
			modified(t, map[string][]any{"initiate": {response(`<Tag>first</Tag>`, long)}, "redirect": {response()}}, func(t *testing.T, b *bench) {
				require.NoError(t, b.runner.Redirect(Redirection{URL: toNext.URL, Tag: tc.tag}))
				synctest.Wait()
				assert.Equal(t, tc.want, properties(t, b.app.asked[1].ev)["tag"])
				assert.Equal(t, tc.want, b.disconnect()["tag"])
			})
		})
	}
}

func TestAGivenDocumentReplacesTheOneThatRuns(t *testing.T) {
	modified(t, map[string][]any{
		"initiate": {response(long)},
		"redirect": {response(`<SpeakSentence>redirected</SpeakSentence>`)},
	}, func(t *testing.T, b *bench) {
		require.NoError(t, b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence><Redirect redirectUrl="more"/>`))))
		synctest.Wait()
		assert.Equal(t, []string{"initiate", "redirect"}, b.events(), "no event of its own")
		assert.Equal(t, "https://app.example/calls/more", b.app.asked[1].to.URL, "the base is the URL of the last document fetched")
		assert.Equal(t, []string{"answer", "speak given", "speak redirected", "bye"}, b.leg.did)
		assert.Equal(t, []string{"document"}, b.changesTold())
	})
}

func TestAGivenDocumentWithoutVerbsHangsUp(t *testing.T) {
	modified(t, map[string][]any{"initiate": {response(long)}}, func(t *testing.T, b *bench) {
		require.NoError(t, b.runner.Replace([]byte("<Bxml/>")))
		synctest.Wait()
		assert.Equal(t, []string{"answer", "bye"}, b.leg.did)
		assert.Equal(t, "hangup", b.disconnect()["cause"])
	})
}

func TestAnInvalidDocumentChangesNothing(t *testing.T) {
	modified(t, map[string][]any{"initiate": {response(long)}}, func(t *testing.T, b *bench) {
		var invalid *DocumentError
		err := b.runner.Replace([]byte(response(`<Reffer/>`)))
		require.ErrorAs(t, err, &invalid)
		assert.Contains(t, err.Error(), "Reffer")
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"answer"}, b.leg.did)
		assert.Empty(t, b.changesTold())
	})
}

func TestOnlyTheEndIsPossibleBeforeTheFirstDocument(t *testing.T) {
	modified(t, map[string][]any{"initiate": {hangsUntilTheEnd}}, func(t *testing.T, b *bench) {
		assert.ErrorIs(t, b.runner.Redirect(toNext), ErrNotModifiable)
		assert.ErrorIs(t, b.runner.Replace([]byte(response())), ErrNotModifiable)
		require.NoError(t, b.runner.Complete())
		synctest.Wait()
		assert.Equal(t, []string{"reject"}, b.leg.did)
		assert.Equal(t, 603, b.leg.status)
		assert.Equal(t, "hangup", b.disconnect()["cause"])
		assert.NotContains(t, b.disconnect(), "errorMessage")
		assert.Equal(t, []string{"completed"}, b.changesTold())
	})
}

func TestACallThatIsCompletedBeforeItBeginsEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {hangsUntilTheEnd}})
		b.assemble()
		assert.ErrorIs(t, b.runner.Redirect(toNext), ErrNotModifiable)
		require.NoError(t, b.runner.Complete())
		assert.ErrorIs(t, b.runner.Complete(), ErrNotModifiable)
		b.run()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
	})
}

func TestTheLastOfTwoModificationsWins(t *testing.T) {
	modified(t, map[string][]any{
		"initiate": {response(long)},
		"redirect": {hangsUntilTheEnd, response(`<SpeakSentence>second</SpeakSentence>`)},
	}, func(t *testing.T, b *bench) {
		tag := "of the first"
		require.NoError(t, b.runner.Redirect(Redirection{URL: "https://other.example/1", Tag: &tag}))
		synctest.Wait()
		require.NoError(t, b.runner.Redirect(Redirection{URL: "https://other.example/2"}))
		synctest.Wait()
		assert.Equal(t, []string{"initiate", "redirect", "redirect"}, b.events())
		assert.Equal(t, tag, properties(t, b.app.asked[2].ev)["tag"], "the tag of the first stays")
		assert.Equal(t, []string{"answer", "speak second", "bye"}, b.leg.did)
		assert.Equal(t, []string{"redirecthttps://other.example/1", "redirecthttps://other.example/2"}, b.changesTold())
	})
}

func TestAModificationThatIsOvertakenBeforeItIsTakenSendsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(`<Pause/>`)}, "redirect": {response()}})
		b.leg.answering = takesASecond
		b.assemble()
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		tag := "of the first"
		require.NoError(t, b.runner.Redirect(Redirection{URL: "https://other.example/1", Tag: &tag}))
		require.NoError(t, b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence>`))))
		<-done
		assert.Equal(t, []string{"answer", "speak given", "bye"}, b.leg.did)
		assert.Equal(t, []string{"initiate"}, b.events())
		assert.Equal(t, tag, b.disconnect()["tag"])
		assert.Equal(t, []string{"redirecthttps://other.example/1", "document"}, b.changesTold())
	})
}

// takesASecond is an answer whose ACK takes a second.
func takesASecond(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestAModificationWinsOverTheReplyThatIsAwaited(t *testing.T) {
	for name, late := range map[string]any{
		"that never comes": hangsUntilTheEnd,
		"that comes all the same": func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return response(`<SpeakSentence>late</SpeakSentence>`), nil
		},
		"that is invalid":  func(ctx context.Context) (string, error) { <-ctx.Done(); return response(`<Reffer/>`), nil },
		"that is an error": func(ctx context.Context) (string, error) { <-ctx.Done(); return "", &webhook.DeliveryError{} },
	} {
		t.Run(name, func(t *testing.T) {
			modified(t, map[string][]any{
				"initiate": {response(`<Ring duration="1"/>`, `<Redirect redirectUrl="/slow"/>`)}, "redirect": {late},
			}, func(t *testing.T, b *bench) {
				time.Sleep(2 * time.Second)
				synctest.Wait()
				require.Equal(t, []string{"initiate", "redirect"}, b.events())
				require.NoError(t, b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence>`))))
				synctest.Wait()
				assert.Equal(t, []string{"answer", "ringing", "speak given", "bye"}, b.leg.did)
				assert.Equal(t, "hangup", b.disconnect()["cause"])
			})
		})
	}
}

// TestAModificationAtTheEndOfTheDocument has the end of the document and a modification come at once, in both orders:
// either the modification is refused, or it is done.
func TestAModificationAtTheEndOfTheDocument(t *testing.T) {
	accepted := 0
	for n := range 200 {
		b := newBench(t, map[string][]any{"initiate": {response(`<SpeakSentence>first</SpeakSentence>`)}})
		b.assemble()
		speaking := make(chan struct{})
		b.leg.speaking = func(_ context.Context, s verbs.Speech) error {
			if s.Text == "first" {
				close(speaking)
				for range n % 10 * 10 {
					runtime.Gosched()
				}
			}
			return nil
		}
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		<-speaking
		err := b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence>`)))
		<-done
		if err == nil {
			accepted++
			require.Contains(t, b.leg.did, "speak given")
		} else {
			require.ErrorIs(t, err, ErrNotModifiable)
			require.NotContains(t, b.leg.did, "speak given")
		}
		require.Equal(t, "bye", b.leg.did[len(b.leg.did)-1])
		b.disconnect()
	}
	t.Logf("accepted %d of 200", accepted)
}

func TestACallThatIsBeingAnsweredIsAnsweredFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(`<Pause/>`)}, "redirect": {response(`<Hangup/>`)}})
		b.leg.answering = takesASecond
		b.assemble()
		done := make(chan struct{})
		begin := time.Now()
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		require.NoError(t, b.runner.Redirect(toNext))
		<-done
		assert.Equal(t, time.Second, time.Since(begin), "and nothing else of the old document runs")
		assert.NotEmpty(t, properties(t, b.app.asked[1].ev)["answerTime"])
		assert.Equal(t, []string{"answer", "bye"}, b.leg.did)
	})
}

func TestTheEndOfACallThatIsBeingAnsweredDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, map[string][]any{"initiate": {response(`<Pause/>`)}})
		b.leg.answering = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		b.assemble()
		done := make(chan struct{})
		go func() { defer close(done); b.run() }()
		synctest.Wait()
		require.NoError(t, b.runner.Complete())
		<-done
		assert.Equal(t, []string{"answer", "bye"}, b.leg.did, "the 200 may be on its way")
		assert.Equal(t, "hangup", b.disconnect()["cause"])
	})
}

func TestACallerWhoHangsUpWinsOverAModification(t *testing.T) {
	modified(t, map[string][]any{"initiate": {response(long)}, "redirect": {hangsUntilTheEnd}}, func(t *testing.T, b *bench) {
		require.NoError(t, b.runner.Redirect(toNext))
		synctest.Wait()
		b.end(verbs.ErrRemoteHangup)
		assert.ErrorIs(t, b.runner.Redirect(toNext), ErrNotModifiable)
		assert.ErrorIs(t, b.runner.Complete(), ErrNotModifiable)
		synctest.Wait()
		assert.Equal(t, "hangup", b.disconnect()["cause"])
		assert.Equal(t, []string{"answer"}, b.leg.did)
	})
}

func TestAnInterruptedVerbLeadsToANewDocument(t *testing.T) {
	modified(t, map[string][]any{"initiate": {response(long)}}, func(t *testing.T, b *bench) {
		require.NoError(t, b.runner.Replace([]byte(response())))
		synctest.Wait()
		entries, err := b.store.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		var told []string
		for _, e := range entries {
			switch {
			case e.Verb != nil && e.Verb.Event == state.VerbEnded:
				told = append(told, e.Verb.Name+" "+e.Verb.Next+e.Verb.Error)
			case e.Call != nil && e.Call.Event == state.CallModified:
				told = append(told, e.Call.Change)
			}
		}
		assert.Equal(t, []string{"document", "Pause new document"}, told, "first the modification, then what it led to")
	})
}

func TestACallThatEndsUponAModificationEndsWithItsOwnCause(t *testing.T) {
	for name, tc := range map[string]struct {
		reply     string
		speaking  func(b *bench, ctx context.Context) error
		answering error
	}{
		"the dialog is lost meanwhile": {reply: `<SpeakSentence>x</SpeakSentence>`, speaking: func(b *bench, ctx context.Context) error {
			<-ctx.Done()
			b.end(verbs.ErrDialogLost)
			return context.Cause(ctx)
		}},
		"no ACK comes": {reply: `<Pause/>`, answering: verbs.ErrNoAck},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, map[string][]any{"initiate": {response(tc.reply)}})
				b.assemble()
				if tc.answering != nil {
					b.leg.answering = func(context.Context) error {
						time.Sleep(time.Second)
						b.leg.answering = nil // what would come after it may not come
						return tc.answering
					}
				}
				if tc.speaking != nil {
					b.leg.speaking = func(ctx context.Context, _ verbs.Speech) error { return tc.speaking(b, ctx) }
				}
				done := make(chan struct{})
				go func() { defer close(done); b.run() }()
				synctest.Wait()
				require.NoError(t, b.runner.Replace([]byte(response(`<SpeakSentence>given</SpeakSentence>`))))
				<-done
				assert.Equal(t, "error", b.disconnect()["cause"])
				assert.NotContains(t, b.leg.did, "speak given")
			})
		})
	}
}
