package webhook

import (
	"fmt"
	"io"
	"net"
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

// What is retried and what is final: docs/webhooks.md.
func TestStatusesThatAreRetried(t *testing.T) {
	for status, retried := range map[int]bool{
		408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true, 599: true,
		302: false, 304: false, 400: false, 401: false, 403: false, 404: false, 410: false, 422: false, 600: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var seen arrivals
				n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					assert.NoError(t, err)
					assert.JSONEq(t, `{"eventType":"disconnect"}`, string(body))
					if seen.note(r) == 1 {
						w.WriteHeader(status)
					}
				})
				l := &strictLedger{failed: map[uint64]string{}}
				o := newOutbox(t, n, l, OutboxConfig{})
				require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
				time.Sleep(time.Minute)
				assert.Empty(t, o.Pending())
				if retried {
					assert.Equal(t, []string{"e-1", "e-1"}, seen.all())
					assert.Equal(t, []uint64{1}, l.delivered)
					assert.Empty(t, l.failed)
					return
				}
				assert.Len(t, seen.all(), 1)
				assert.Empty(t, l.delivered)
				assert.Contains(t, l.failed[1], fmt.Sprintf("http://app.example/: status %d", status))
			})
		})
	}
}

func TestFailuresThatAreRetried(t *testing.T) {
	for name, tc := range map[string]struct {
		url   string
		setUp func(t *testing.T, n *network, fails int)
		after time.Duration // an attempt takes
	}{
		"no connection": {"http://app.example/", func(t *testing.T, n *network, fails int) {
			n.serve(t, "app.example:80", reply(204, "")).fail = failFirst(fails)
		}, 0},
		"time-out": {"http://app.example/", func(t *testing.T, n *network, fails int) {
			var seen arrivals
			n.serve(t, "app.example:80", func(_ http.ResponseWriter, r *http.Request) {
				if seen.note(r) <= fails {
					<-r.Context().Done()
				}
			})
		}, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				tc.setUp(t, n, 3)
				l := &ledger{}
				o := newOutbox(t, n, l, OutboxConfig{MinBackoff: time.Second})
				begun := time.Now()
				require.NoError(t, o.Send(t.Context(), Target{URL: tc.url}, event("e-1", "c-1")))
				assert.Zero(t, settled(o))
				pauses := time.Since(begun) - 3*tc.after
				assert.GreaterOrEqual(t, pauses, (500+1000+2000)*time.Millisecond)
				assert.LessOrEqual(t, pauses, (1000+2000+4000)*time.Millisecond)
				assert.Equal(t, []uint64{1}, l.delivered)
			})
		})
	}
}

// settled waits until nothing is owed, without the hurry of a drain, and returns how much still is after two days.
func settled(o *Outbox) int {
	o.mu.Lock()
	idle := o.idle
	o.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(48 * time.Hour):
	}
	return len(o.Pending())
}

func TestPausesGrowUpToTheirLimit(t *testing.T) {
	o := NewOutbox(nil, nil, OutboxConfig{MinBackoff: time.Second, MaxBackoff: time.Minute})
	for round, full := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 8: time.Minute, 10000: time.Minute,
	} {
		for range 100 {
			pause := o.pause(round, &DeliveryError{})
			require.GreaterOrEqual(t, pause, full/2)
			require.LessOrEqual(t, pause, full)
		}
	}
	assert.Equal(t, time.Hour, o.pause(1, &DeliveryError{retryAfter: 1000 * time.Hour}), "Retry-After has a limit")
	assert.Equal(t, 2*time.Minute, o.pause(1, &DeliveryError{retryAfter: 2 * time.Minute}))
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, value := range map[string]string{
		"seconds": "120",
		"date":    time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC).Format(http.TimeFormat), // a bubble's clock starts at midnight
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var seen arrivals
				n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
					if seen.note(r) == 1 {
						w.Header().Set("Retry-After", value)
						w.WriteHeader(http.StatusTooManyRequests)
					}
				})
				o := newOutbox(t, n, &ledger{}, OutboxConfig{})
				require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
				assert.Zero(t, settled(o))
				assert.Equal(t, []time.Duration{0, 2 * time.Minute}, seen.times)
			})
		})
	}
}

func TestRetryAfterValues(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0,
		"99999999999999999999": 0, "Sat, 01 Jan 2000 00:00:00 GMT": 0,
	} {
		assert.Equal(t, want, retryAfter(value), value)
	}
}

func TestEventsAreGivenUpAtTheirAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		core, logs := observer.New(zap.WarnLevel)
		l := &ledger{}
		o := newOutbox(t, n, l, OutboxConfig{MaxAge: time.Hour}, WithOutboxLogger(zap.New(core)))
		begun := time.Now()
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://nobody.example/a?key=x"}, event("e-1", "c-1")))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://nobody.example/"}, event("e-2", "c-1")))
		assert.Zero(t, settled(o))
		assert.Equal(t, time.Hour, time.Since(begun), "the last attempts are made when the time is over")
		assert.Equal(t, []uint64{1, 2}, l.delivered, "a ledger that knows no better is told that no more attempts are needed")

		errors := logs.FilterLevelExact(zap.ErrorLevel).All()
		require.Len(t, errors, 2)
		assert.Equal(t, "c-1", errors[0].ContextMap()["call_id"])
		assert.Equal(t, "e-1", errors[0].ContextMap()["event_id"])
		assert.Equal(t, begun.Add(time.Hour), errors[0].Time)
		assert.Contains(t, errors[0].ContextMap()["error"], "too old: disconnect could not be delivered: http://nobody.example/a?…: dial tcp: connection refused")
		assert.Equal(t, "e-2", errors[1].ContextMap()["event_id"])
		assert.EqualValues(t, 1, errors[1].ContextMap()["attempts"], "an event that had to wait for another gets its attempt all the same")
		assert.Len(t, logs.FilterLevelExact(zap.WarnLevel).All(), 1, "the first failure alone is worth a warning")
	})
}

func TestRefusedEventsAreDeadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newNetwork(), Config{AllowHosts: []string{"app.example"}})
		l := &strictLedger{failed: map[uint64]string{}}
		o := NewOutbox(c, l, OutboxConfig{})
		t.Cleanup(o.Close)
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://evil.test/"}, event("e-1", "c-1")))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/", Method: "PUT"}, event("e-2", "c-1")))
		synctest.Wait()
		assert.Len(t, l.failed, 2)
	})
}

func TestAsynchronousFallback(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second int // statuses; after the first round both are 204
		dead          bool
		want          []string
	}{
		"takes what the first does not":      {404, 204, false, []string{"first", "second"}},
		"both later":                         {500, 500, false, []string{"first", "second", "first"}},
		"the first may come back":            {500, 404, false, []string{"first", "second", "first"}},
		"the fallback may come back":         {404, 500, false, []string{"first", "second", "first"}},
		"neither":                            {404, 410, true, []string{"first", "second"}},
		"is not asked when the first has it": {200, 204, false, []string{"first"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var mu sync.Mutex
				var got []string
				serve := func(name string, status int) {
					n.serve(t, name+".example:80", func(w http.ResponseWriter, _ *http.Request) {
						mu.Lock()
						defer mu.Unlock()
						got = append(got, name)
						w.WriteHeader(status)
						status = http.StatusNoContent
					})
				}
				serve("first", tc.first)
				serve("second", tc.second)
				l := &strictLedger{failed: map[uint64]string{}}
				o := newOutbox(t, n, l, OutboxConfig{})
				to := Target{URL: "http://first.example/", Fallback: &Target{URL: "http://second.example/"}}
				require.NoError(t, o.Send(t.Context(), to, event("e-1", "c-1")))
				assert.Zero(t, settled(o))
				assert.Equal(t, tc.want, got)
				assert.Equal(t, tc.dead, len(l.failed) == 1)
			})
		})
	}
}

// An asynchronous event is delivered with the status: what follows it is nobody's concern.
func TestBodyOfAnAsynchronousReplyIsIgnored(t *testing.T) {
	for name, body := range map[string]string{
		"endless": "HTTP/1.1 200 OK\r\n\r\n", "broken": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) {
					_, _ = io.WriteString(c, body)
					if name == "endless" {
						forever(c, "0123456789abcdef")
					}
				})
				l := &ledger{}
				o := newOutbox(t, n, l, OutboxConfig{})
				require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
				synctest.Wait()
				assert.Equal(t, []uint64{1}, l.delivered)
			})
		})
	}
}

func TestLedgerThatFailsIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		l := &ledger{}
		n.serve(t, "app.example:80", func(http.ResponseWriter, *http.Request) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.err = errLedger
		})
		core, logs := observer.New(zap.ErrorLevel)
		o := newOutbox(t, n, l, OutboxConfig{}, WithOutboxLogger(zap.New(core)))
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		synctest.Wait()
		assert.Empty(t, o.Pending())
		assert.Equal(t, 1, logs.FilterField(zap.String("event_id", "e-1")).Len())
	})
}

// panicking fails at the first request that it is told of.
type panicking struct {
	nobody
	once sync.Once
}

func (p *panicking) Request(Exchange) { p.once.Do(func() { panic("broken") }) }

func TestAPanicCostsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", reply(204, ""))
		l := &ledger{}
		core, logs := observer.New(zap.ErrorLevel)
		o := NewOutbox(newClient(t, n, Config{}, WithObserver(&panicking{})), l, OutboxConfig{}, WithOutboxLogger(zap.New(core)))
		t.Cleanup(o.Close)
		require.NoError(t, o.Send(t.Context(), Target{URL: "http://app.example/"}, event("e-1", "c-1")))
		assert.Zero(t, settled(o))
		assert.Equal(t, []uint64{1}, l.delivered)
		assert.Equal(t, 1, logs.FilterField(zap.Any("panic", "broken")).Len())
	})
}
