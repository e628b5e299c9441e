package state

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withRound runs f in the middle of a round of as many values, in order: eight have been written, and eight more will be in 5 ms.
func withRound(t *testing.T, values int, f func(t *testing.T, d *Durable, l *fakeLink), complaints ...string) {
	t.Helper()
	withFakeLink(t, 100*time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		for n := range values {
			note(t, d, fmt.Sprintf("c-%d", n))
		}
		time.Sleep(tick/2 + valuePause/2)
		require.Len(t, l.written(), minValues)
		f(t, d, l)
	}, complaints...)
}

// note appends an entry that nobody waits for.
func note(t *testing.T, d *Durable, id string) {
	t.Helper()
	_, err := d.Append(context.Background(), message(id, 1))
	require.NoError(t, err)
}

// keys are what values were written, in order.
func keys(values []value) (keys []string) {
	for _, v := range values {
		keys = append(keys, v.key)
	}
	return keys
}

func TestTheValuesOfManyCallsAreWrittenALittleAtATime(t *testing.T) {
	t.Parallel()
	withFakeLink(t, time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		const calls = 1000
		for n := range calls {
			note(t, d, fmt.Sprintf("c-%d", n))
		}
		time.Sleep(tick)
		values := l.written()
		require.Len(t, values, calls)
		atOnce := map[time.Time]int{}
		for _, v := range values {
			atOnce[v.at]++
		}
		for _, n := range atOnce {
			assert.Equal(t, calls/valueParts, n)
		}
		assert.LessOrEqual(t, values[calls-1].at.Sub(values[0].at), tick/2)
	})
}

func TestTheValuesOfManyCallsAreWrittenInOneGoWhereEachIsSynced(t *testing.T) {
	t.Parallel()
	withFakeLink(t, time.Millisecond, func(t *testing.T, d *Durable, l *fakeLink) {
		d.mu.Lock()
		d.cfg.SyncAlways = true
		d.mu.Unlock()
		const calls = 1000
		for n := range calls {
			note(t, d, fmt.Sprintf("c-%d", n))
		}
		time.Sleep(tick)
		values := l.written()
		require.Len(t, values, calls)
		assert.Equal(t, values[0].at, values[calls-1].at)
	})
}

func TestAValueTellsOfNothingThatIsNotWritten(t *testing.T) {
	t.Parallel()
	withRound(t, 20, func(t *testing.T, d *Durable, l *fakeLink) {
		note(t, d, "c-19") // its turn comes before that is on disk
		time.Sleep(tick / 2)
		values := l.written()
		require.Len(t, values, 20-minValues-1)
		assert.NotContains(t, keys(values), "c-19")

		time.Sleep(tick)
		values = l.written()
		require.Equal(t, []string{"c-19"}, keys(values), "and no checkpoint, behind which its first entry would not be looked for")
		f, err := d.codec.unfile(values[0].data)
		require.NoError(t, err)
		assert.Equal(t, 2, f.Last)

		time.Sleep(tick)
		values = l.written()
		require.Equal(t, []string{checkpointKey}, keys(values))
		pinned, err := readCheckpoint(values[0].data)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, pinned, d.calls["c-19"].disk.tail)
	})
}

// A disk that is slow in the middle of a round: the checkpoint must not stand behind values that were not written.
func TestARoundThatCannotBeFinishedHasNoCheckpoint(t *testing.T) {
	t.Parallel()
	withRound(t, 20, func(t *testing.T, d *Durable, l *fakeLink) {
		d.mu.Lock()
		d.stall()
		d.mu.Unlock()
		time.Sleep(valuePause)
		assert.Empty(t, l.written())
		d.mu.Lock()
		d.proceed()
		d.mu.Unlock()

		time.Sleep(tick)
		values := keys(l.written())
		assert.Len(t, values, 20-minValues)
		assert.NotContains(t, values, checkpointKey)
		time.Sleep(tick)
		assert.Equal(t, []string{checkpointKey}, keys(l.written()))
	}, "state cannot be written fast enough; calls go on in memory, and what is missing is written when it can be")
}

// A store that is closed in the middle of a round writes the rest of it, and the checkpoint.
func TestAStoreThatClosesWritesAllValues(t *testing.T) {
	t.Parallel()
	withRound(t, 20, func(t *testing.T, d *Durable, l *fakeLink) {
		note(t, d, "c-0")
		require.NoError(t, d.Close())
		values := keys(l.written())
		assert.Len(t, slices.DeleteFunc(slices.Clone(values), func(key string) bool { return key == checkpointKey }), 20-minValues+1)
		assert.Equal(t, []string{"c-0", checkpointKey}, values[len(values)-2:], "once more, and that all are written")
	})
}
