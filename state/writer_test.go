package state

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// fakeLink stands for JetStream: it answers every message when it has taken its time.
type fakeLink struct {
	d     *Durable
	takes time.Duration

	mu     sync.Mutex
	times  []time.Time // of the messages of journals
	values []value
	seq    uint64
	error  string // that it answers with
}

// value is one that was written, of a call or the checkpoint.
type value struct {
	key  string
	at   time.Time
	data []byte
}

func (f *fakeLink) PublishRequest(subject, reply string, message []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if subject == f.d.names.group {
		f.times = append(f.times, time.Now())
	}
	if key, ok := strings.CutPrefix(subject, f.d.names.record); ok {
		f.values = append(f.values, value{key, time.Now(), bytes.Clone(message)})
	}
	f.seq++
	data := fmt.Appendf(nil, `{"seq":%d}`, f.seq)
	if f.error != "" {
		data = fmt.Appendf(nil, `{"error":{"code":500,"description":%q}}`, f.error)
	}
	go func() {
		time.Sleep(f.takes)
		f.d.answered(f.d.replies, &nats.Msg{Subject: reply, Data: data})
	}()
	return nil
}

// written takes what values were written since it was called last.
func (f *fakeLink) written() (values []value) {
	f.mu.Lock()
	defer f.mu.Unlock()
	values, f.values = f.values, nil
	return values
}

// gaps are the times between the messages so far.
func (f *fakeLink) gaps() (gaps []time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 1; i < len(f.times); i++ {
		gaps = append(gaps, f.times[i].Sub(f.times[i-1]))
	}
	return gaps
}

// withFakeLink runs f in a bubble, with a store whose disk takes so long.
func withFakeLink(t *testing.T, takes time.Duration, f func(t *testing.T, d *Durable, l *fakeLink), complaints ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		d, err := NewDurable(DurableConfig{NATSURL: "nats://10.0.0.1"}, WithLogger(zap.New(core)))
		require.NoError(t, err)
		l := &fakeLink{d: d, takes: takes}
		d.link, d.opened = &link{out: l}, true
		d.packing = time.AfterFunc(time.Hour, d.rouse)
		d.working.Go(d.write)
		time.Sleep(tick / 2) // off the beat of what is looked after
		f(t, d, l)
		require.NoError(t, d.Close())
		var said []string
		for _, line := range logs.All() {
			said = append(said, line.Message)
		}
		assert.Equal(t, complaints, said)
	})
}

// vital appends an entry that is waited for, and returns how long that took.
func vital(t *testing.T, d *Durable, id string) time.Duration {
	t.Helper()
	begin := time.Now()
	_, err := d.Append(context.Background(), Entry{CallID: id, Type: TypeDialog, Dialog: &Dialog{Snapshot: []byte(`{}`)}})
	assert.NoError(t, err)
	assert.NoError(t, d.Await(context.Background(), id))
	return time.Since(begin)
}

func TestAQuietStoreDoesNotWait(t *testing.T) {
	t.Parallel()
	withFakeLink(t, time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		for range 100 {
			assert.Equal(t, l.takes, vital(t, d, "c-1"))
			time.Sleep(5 * time.Millisecond)
		}
	})
}

func TestMessagesOfABusyStoreAreSpaced(t *testing.T) {
	t.Parallel()
	withFakeLink(t, 0, func(t *testing.T, d *Durable, l *fakeLink) {
		for range 2 { // after a second of quiet it may begin anew
			begun := len(l.times)
			for range 3 * burst {
				vital(t, d, "c-1")
			}
			gaps := l.gaps()[begun:]
			for i, gap := range gaps {
				want := spacing
				if i < burst-1 {
					want = 0
				}
				assert.Equal(t, want, gap, "between messages %d and %d", i+1, i+2)
			}
			time.Sleep(2 * tick)
		}
	})
}

func TestAMessageHoldsWhatManyCallsAppended(t *testing.T) {
	t.Parallel()
	withFakeLink(t, 100*time.Microsecond, func(t *testing.T, d *Durable, l *fakeLink) {
		var calls sync.WaitGroup
		for n := range 50 {
			calls.Go(func() {
				for range 20 {
					assert.LessOrEqual(t, vital(t, d, fmt.Sprintf("c-%d", n)), spacing+2*l.takes)
				}
			})
		}
		calls.Wait()
		assert.Less(t, len(l.times), 50, "for 1,000 entries")
		assert.EqualValues(t, 1000, d.Figures().Entries)
	})
}

func TestOneMessageIsOnItsWayAtATime(t *testing.T) {
	t.Parallel()
	withFakeLink(t, 40*time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		var calls sync.WaitGroup
		for n := range 30 {
			time.Sleep(time.Millisecond)
			calls.Go(func() { vital(t, d, fmt.Sprintf("c-%d", n)) })
		}
		calls.Wait()
		assert.Equal(t, []time.Duration{l.takes}, l.gaps(), "the second has what came meanwhile")
	})
}

// A store that is closed while an entry waits for its message writes it, and then nobody waits any more.
func TestAnEntryThatWaitsForItsMessageIsWrittenWhenTheStoreCloses(t *testing.T) {
	t.Parallel()
	withFakeLink(t, 0, func(t *testing.T, d *Durable, l *fakeLink) {
		for range 2 * burst {
			vital(t, d, "c-1")
		}
		begin, waited := time.Now(), time.Duration(-1)
		var call sync.WaitGroup
		call.Go(func() { waited = vital(t, d, "c-2") })
		synctest.Wait()
		require.Negative(t, waited, "it waits")
		time.Sleep(spacing / 3)
		require.NoError(t, d.Close())
		call.Wait()
		assert.Less(t, time.Since(begin), spacing)
		assert.EqualValues(t, 1, d.calls["c-2"].disk.written)
	})
}

func TestARefusalOfTheServerCountsAtOnce(t *testing.T) {
	t.Parallel()
	withFakeLink(t, time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		l.error = "no space left"
		assert.Equal(t, l.takes, vital(t, d, "c-1"), "nobody waits any longer")
		assert.ErrorContains(t, d.Failing(), "no space left")
		assert.Zero(t, vital(t, d, "c-1"))
	}, "state cannot be written; calls go on in memory, and what is missing is written when it can be", "journals could not be written to their end")
}
