package webhook

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequestsToOneHostAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var now, most atomic.Int32
		n.serve(t, "slow.example:80", func(_ http.ResponseWriter, r *http.Request) {
			if at := now.Add(1); at > most.Load() {
				most.Store(at)
			}
			time.Sleep(time.Second)
			now.Add(-1)
		})
		var seen arrivals
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { seen.note(r) })
		o := newOutbox(t, n, &ledger{}, OutboxConfig{PerHost: 4})
		for i := range 100 {
			require.NoError(t, o.Send(t.Context(), Target{URL: fmt.Sprintf("http://slow.example/%d", i)}, event("e-0", fmt.Sprintf("c-slow-%d", i))))
		}
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		synctest.Wait()
		assert.Equal(t, []string{"e-1"}, seen.all(), "others do not wait for them")
		assert.Equal(t, 100, o.Waiting())
		begun := time.Now()
		assert.Zero(t, settled(o))
		assert.Equal(t, int32(4), most.Load())
		assert.Equal(t, 25*time.Second, time.Since(begun))
		assert.Empty(t, o.hosts)
	})
}

// The application is down for five minutes under load: then everything arrives, in order per call, and soon.
func TestWhatWaitedForAHostThatIsBackWaitsNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		app := n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { seen.note(r) })
		begun := time.Now()
		app.fail = func(int) error {
			if time.Since(begun) < 5*time.Minute {
				return errUnreachable
			}
			return nil
		}
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		for call := range 300 {
			for i := range 2 {
				id := fmt.Sprintf("c-%d", call)
				require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event(fmt.Sprintf("%s-e-%d", id, i), id)))
			}
			time.Sleep(time.Second)
		}
		require.Equal(t, 600, o.Waiting())
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("last", "c-last")))
		time.Sleep(time.Second)
		assert.Zero(t, o.Waiting())
		at := map[string]int{}
		for i, id := range seen.all() {
			at[id] = i
		}
		require.Len(t, at, 601)
		for call := range 300 {
			assert.Less(t, at[fmt.Sprintf("c-%d-e-0", call)], at[fmt.Sprintf("c-%d-e-1", call)])
		}
	})
}

func TestAHostThatFailsNowAndThenIsNotBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var requests atomic.Int64
		n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1); r.URL.Path == "/broken" {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/broken"}, event("e", "c-broken")))
		for i := range 600 {
			require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e", fmt.Sprintf("c-%d", i))))
			time.Sleep(time.Second)
		}
		assert.Less(t, requests.Load(), int64(620), "its pauses grow as if nobody else were served")
	})
}

func TestResumeDeliversWhatWasOwedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			assert.JSONEq(t, `{"eventType":"disconnect"}`, string(body))
			user, password, _ := r.BasicAuth()
			assert.Equal(t, "u:p", user+":"+password)
			seen.note(r)
		})
		before := &ledger{}
		first := newOutbox(t, n, before, OutboxConfig{})
		first.Close()
		to := Target{URL: "http://app.example/", Auth: &BasicAuth{"u", "p"}}
		for i := range 3 {
			require.NoError(t, first.Send(t.Context(), to, event(fmt.Sprintf("e-%d", i), "c-1")))
		}

		l := &ledger{}
		o := newOutbox(t, n, l, OutboxConfig{})
		for i, owed := range before.owed {
			require.NoError(t, o.Resume(Owed{CallID: "c-1", Seq: uint64(i + 1), Since: time.Now(), Event: owed}))
		}
		synctest.Wait()
		assert.Equal(t, []string{"e-0", "e-1", "e-2"}, seen.all())
		assert.Equal(t, []uint64{1, 2, 3}, l.delivered)
		assert.Empty(t, l.owed, "they were owed already")
		assert.Error(t, o.Resume(Owed{CallID: "c-1", Seq: 9, Event: []byte("nothing")}))
	})
}

func TestWhatIsResumedIsAsOldAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &strictLedger{failed: map[uint64]string{}}
		o := newOutbox(t, newNetwork(), l, OutboxConfig{MaxAge: time.Hour})
		owed := []byte(`{"id":"e-1","type":"disconnect","target":{"url":"http://nobody.example/"},"body":{}}`)
		require.NoError(t, o.Resume(Owed{CallID: "c-1", Seq: 1, Since: time.Now().Add(-2 * time.Hour), Event: owed}))
		synctest.Wait()
		assert.Contains(t, l.failed[1], "too old", "after one attempt")
		assert.Zero(t, o.Waiting())
	})
}

func TestResendOwesAnEventAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { seen.note(r) })
		l := &ledger{}
		o := newOutbox(t, n, l, OutboxConfig{MaxAge: time.Hour})
		owed := []byte(`{"id":"e-1","type":"disconnect","target":{"url":"http://app.example/"},"body":{"a":1}}`)
		require.NoError(t, o.Resend(t.Context(), Owed{CallID: "c-1", Seq: 7, Since: time.Now().Add(-2 * time.Hour), Event: owed}))
		require.Len(t, l.owed, 1)
		assert.JSONEq(t, string(owed), string(l.owed[0]), "credentials, id and body as they were")
		synctest.Wait()
		assert.Equal(t, []string{"e-1"}, seen.all())
		assert.Equal(t, []uint64{1}, l.delivered, "under its new number")

		l.err = errLedger
		require.ErrorIs(t, o.Resend(t.Context(), Owed{CallID: "c-1", Event: owed}), errLedger)
		assert.Zero(t, o.Waiting())
	})
}

func TestHurryEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { seen.note(r) }).fail = failFirst(6)
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		for len(n.dials()) < 6 {
			time.Sleep(time.Second)
		}
		begun := time.Now()
		require.Empty(t, seen.all())
		require.True(t, o.Hurry("e-1"))
		synctest.Wait()
		assert.Equal(t, []string{"e-1"}, seen.all())
		assert.Zero(t, time.Since(begun))
		assert.False(t, o.Hurry("e-1"), "it is delivered")
	})
}
