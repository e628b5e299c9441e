package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ledger keeps what it is told.
type ledger struct {
	mu        sync.Mutex
	owed      []json.RawMessage // by seq-1
	delivered []uint64
	err       error // of every call
}

var errLedger = errors.New("the disk is full")

func (l *ledger) Owe(_ context.Context, _ Target, _ Event, packed []byte) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.err
	}
	l.owed = append(l.owed, packed)
	return uint64(len(l.owed)), nil
}

func (l *ledger) Delivered(ctx context.Context, _ string, seq uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered = append(l.delivered, seq)
	return errors.Join(l.err, ctx.Err())
}

// strictLedger is told of what was given up, too.
type strictLedger struct {
	ledger
	failed map[uint64]string
}

func (l *strictLedger) Failed(_ context.Context, _ string, seq uint64, reason string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[seq] = reason
	return nil
}

func event(id, call string) Event {
	return Event{ID: id, Type: "disconnect", CallID: call, Body: []byte(`{"eventType":"disconnect"}`)}
}

// newOutbox makes an outbox of a network, closed when the test ends.
func newOutbox(t *testing.T, n *network, l Ledger, cfg OutboxConfig, opts ...OutboxOption) *Outbox {
	t.Helper()
	o := NewOutbox(newClient(t, n, Config{}), l, cfg, opts...)
	t.Cleanup(o.Close)
	return o
}

// arrivals remembers the ids of events in the order in which they came, with the time since the first.
type arrivals struct {
	mu    sync.Mutex
	begun time.Time
	ids   []string
	times []time.Duration
}

func (a *arrivals) note(r *http.Request) (nth int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.begun.IsZero() {
		a.begun = time.Now()
	}
	a.ids = append(a.ids, r.Header.Get(eventID))
	a.times = append(a.times, time.Since(a.begun))
	return len(a.ids)
}

func (a *arrivals) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.ids...)
}

func TestSendOwesTheEventBeforeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(204, ""))
		l := &ledger{}
		o := newOutbox(t, n, l, OutboxConfig{})
		to := Target{URL: "http://app.example/status", Auth: &BasicAuth{"u", "p"}, Timeout: time.Second}
		require.NoError(t, o.Send(t.Context(), to, event("e-1", "c-1")))
		require.Len(t, l.owed, 1)
		assert.JSONEq(t, `{
			"id": "e-1", "type": "disconnect", "callId": "c-1", "body": {"eventType": "disconnect"},
			"target": {"url": "http://app.example/status", "method": "", "auth": {"username": "u", "password": "p"}, "timeout": 1000000000}
		}`, string(l.owed[0]))
		synctest.Wait()
		assert.Equal(t, []uint64{1}, l.delivered)
		assert.Empty(t, o.Pending())
		assert.Empty(t, o.queues)
	})
}

func TestSendFailsWhenNothingCanBeOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		o := newOutbox(t, n, &ledger{err: errLedger}, OutboxConfig{})
		require.ErrorIs(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")), errLedger)
		assert.Empty(t, o.Pending())
		assert.Empty(t, n.dials())
	})
}

func TestEventsOfACallKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
			if seen.note(r) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		for i := range 20 {
			require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event(fmt.Sprintf("e-%02d", i), "c-1")))
		}
		assert.Len(t, o.Pending(), 20)
		assert.Zero(t, settled(o))
		want := []string{"e-00"}
		for i := range 20 {
			want = append(want, fmt.Sprintf("e-%02d", i))
		}
		assert.Equal(t, want, seen.all())
	})
}

// Two goroutines of a call may come to the queue in another order than the ledger's.
func TestQueueHasTheOrderOfTheLedger(t *testing.T) {
	o := NewOutbox(nil, nil, OutboxConfig{})
	o.closed = true // nobody delivers
	for _, seq := range []uint64{3, 9, 7, 5, 8} {
		o.queue(&debt{seq: seq, event: event("e", "c-1")})
	}
	var got []uint64
	for _, d := range o.queues["c-1"].debts {
		got = append(got, d.seq)
	}
	assert.Equal(t, []uint64{3, 5, 7, 8, 9}, got)
}

func TestASlowApplicationDelaysItsOwnCallsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		var seen arrivals
		n.serve(t, "slow.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) { seen.note(r) })
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		for i := range 50 {
			require.NoError(t, o.Send(t.Context(), Target{URL: "http://slow.example/"}, event("e-0", fmt.Sprintf("c-slow-%d", i))))
		}
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		synctest.Wait()
		assert.Equal(t, []string{"e-1"}, seen.all())
		assert.Len(t, o.Pending(), 50)
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		up := n.serve(t, "app.example:80", reply(204, ""))
		up.fail = failFirst(8)
		l := &ledger{}
		core, logs := observer.New(zap.WarnLevel)
		o := newOutbox(t, n, l, OutboxConfig{}, WithOutboxLogger(zap.New(core)))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://nobody.example/"}, event("e-2", "c-2")))
		time.Sleep(20 * time.Second)
		require.Len(t, o.Pending(), 2, "the pauses are long by now")

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		assert.Equal(t, 1, o.Drain(ctx))
		assert.Equal(t, 5*time.Second, time.Since(begun))
		assert.Equal(t, []uint64{1}, l.delivered, "a drain cuts the pauses short")
		assert.Equal(t, 1, logs.FilterMessage("event not delivered").FilterField(zap.String("event_id", "e-2")).Len())
		assert.Less(t, len(n.dials()), 30, "but does not hammer")
	})
}

func TestDrainOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(204, ""))
		o := newOutbox(t, n, &ledger{}, OutboxConfig{})
		assert.Zero(t, o.Drain(t.Context()))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		assert.Zero(t, o.Drain(t.Context()))
	})
}

func TestCloseLeavesWhatIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "slow.example:80", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		l := &ledger{}
		o := newOutbox(t, n, l, OutboxConfig{})
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://slow.example/"}, event("e-1", "c-1")))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://nobody.example/"}, event("e-2", "c-2")))
		synctest.Wait()
		begun := time.Now()
		o.Close()
		o.Close()
		assert.Zero(t, time.Since(begun))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://slow.example/"}, event("e-3", "c-3")))
		assert.Len(t, l.owed, 3)
		assert.Empty(t, l.delivered)
		assert.Len(t, o.Pending(), 3)
		assert.Equal(t, 3, o.Drain(t.Context()), "nobody is left to wait for")
	})
}
