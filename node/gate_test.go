package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gateWith makes a gate that nothing but its limits closes.
func gateWith(change func(*Config)) *gate {
	cfg := DefaultConfig()
	cfg.Applications = []Application{{ID: "app"}, {ID: "other"}}
	change(&cfg)
	g := newGate(cfg, newMetrics(BuildInfo{}))
	g.memory.read = func() (used, limit uint64) { return 0, 100 }
	g.backlog.waiting, g.backlog.left = func() uint64 { return 0 }, nothingLeft
	return g
}

func TestCallsPerSecondAreCountedInAnySecond(t *testing.T) {
	g, now := gateWith(func(c *Config) { c.SIP.MaxCallsPerSecond = 3 }), time.Unix(1000, 0)
	let := func(after time.Duration) bool {
		full := g.reason(now.Add(after))
		_, err := g.enter("app", now.Add(after))
		assert.Equal(t, full == "", err == nil)
		return err == nil
	}
	for i, step := range []struct {
		after time.Duration
		let   bool
	}{
		{0, true}, {600 * time.Millisecond, true}, {900 * time.Millisecond, true}, {999 * time.Millisecond, false},
		{time.Second, true}, {1500 * time.Millisecond, false}, {1600 * time.Millisecond, true}, {1700 * time.Millisecond, false},
	} {
		assert.Equal(t, step.let, let(step.after), i)
	}
	assert.Equal(t, fullRate, g.reason(now.Add(1700*time.Millisecond)))
}

func TestUnansweredCallsAreBounded(t *testing.T) {
	g, now := gateWith(func(c *Config) { c.SIP.MaxUnanswered = 1 }), time.Unix(1000, 0)
	first, err := g.enter("app", now)
	require.NoError(t, err)
	assert.Equal(t, fullUnanswered, g.reason(now))
	first.answer()
	second, err := g.enter("app", now)
	require.NoError(t, err)
	first.leave()
	assert.Equal(t, fullUnanswered, g.reason(now))
	second.leave() // unanswered
	assert.Empty(t, g.reason(now))
	assert.Zero(t, g.live)
	assert.Zero(t, g.unanswered)
}

func TestMemoryNearItsLimitClosesTheGate(t *testing.T) {
	g, now := gateWith(func(*Config) {}), time.Now()
	used := uint64(80)
	g.memory.read = func() (uint64, uint64) { return used, 100 }
	assert.Empty(t, g.reason(now))
	used = 81
	assert.Empty(t, g.reason(now.Add(memoryEvery-1)), "it is looked at ten times a second")
	assert.Equal(t, fullMemory, g.reason(now.Add(memoryEvery)))
	assert.Equal(t, retryAfter, g.Full(0))
	used = 10
	assert.Empty(t, g.reason(now.Add(2*memoryEvery)))
}

func TestMemoryIsReadFromTheRuntime(t *testing.T) {
	used, limit := readMemory()
	assert.Less(t, used, limit)
}

func TestAskingForReadinessTakesNoRoomFromABurst(t *testing.T) {
	g := gateWith(func(*Config) {})
	g.backlog.waiting, g.backlog.burst = func() uint64 { return g.backlog.most + 1 }, 2
	now := time.Now()
	for range 10 {
		assert.Empty(t, g.reason(now))
	}
	assert.Zero(t, g.Full(0))
	assert.Zero(t, g.Full(0))
	assert.Equal(t, fullBacklog, g.reason(now), "as soon as calls have")
	assert.Equal(t, retryAfter, g.Full(0))
}

// nothingLeft is of processors that are busy.
func nothingLeft() float64 { return 0 }

func TestABurstIsNoOverloadAndWhatLastsIs(t *testing.T) {
	var waiting uint64
	g := &backlogGauge{most: 10, strict: 10, burst: 4, waiting: func() uint64 { return waiting }, left: nothingLeft}
	full := func(backlog uint64) bool {
		waiting = backlog
		return g.full(0)
	}
	for range 4 {
		assert.False(t, full(100), "a burst")
	}
	assert.True(t, full(100), "there is no end to it")
	assert.False(t, full(10), "there is room")
	assert.True(t, full(11), "one call that found little waiting does not end it")
	for range 2 {
		assert.False(t, full(10))
	}
	assert.False(t, full(11), "as many as the half of a burst do")
	assert.False(t, full(11))
	assert.True(t, full(11), "there is no end to it after all")
	for range 100 {
		assert.False(t, full(0))
	}
	for range 4 {
		assert.False(t, full(100), "a burst again, and no longer than the first")
	}
	assert.True(t, full(100))
	assert.False(t, (*backlogGauge)(nil).full(0), "switched off")
}

func TestNoCallIsTurnedAwayWhileHalfOfThemFindLittleWaiting(t *testing.T) {
	var waiting uint64
	g := &backlogGauge{most: 10, strict: 10, burst: 3, waiting: func() uint64 { return waiting }, left: nothingLeft}
	for n := range 1000 {
		waiting = 0
		if n%2 == 0 {
			waiting = 11
		}
		require.False(t, g.full(0), n)
	}
}

func TestUnderOverloadNoCallIsLetInThatFindsMuchWaiting(t *testing.T) {
	var waiting uint64
	g := &backlogGauge{most: 10, strict: 10, burst: 8, waiting: func() uint64 { return waiting }, left: nothingLeft}
	letIn := 0
	for n := range 900 {
		waiting = 11
		if n%3 == 0 {
			waiting = 0
		}
		if !g.full(0) && waiting > 10 {
			letIn++
		}
	}
	assert.Less(t, letIn, 20, "those of the burst that it began with")
}

func TestUnderOverloadACallHasToComeInTime(t *testing.T) {
	var waiting uint64
	g := &backlogGauge{most: 10, strict: 5, burst: 4, waiting: func() uint64 { return waiting }, left: nothingLeft}
	assert.False(t, g.full(time.Hour), "nothing waits: it is the socket's reader that was late")
	waiting = 10
	assert.False(t, g.full(0))
	waiting = 11
	for range 4 {
		assert.False(t, g.full(0), "a burst")
	}
	require.True(t, g.full(0))
	waiting = 6
	assert.True(t, g.full(0), "fewer may wait now")
	waiting = 5
	assert.True(t, g.full(longestWait+1), "its INVITE has waited for long")
	assert.False(t, g.full(longestWait))
	assert.False(t, g.full(0))
	assert.False(t, g.full(longestWait+1), "it is over")
	waiting = 10
	assert.False(t, g.full(0))
}

func TestAnOverloadIsOverWhenTheProcessorsHaveTimeLeft(t *testing.T) {
	left := 0.0
	g := &backlogGauge{most: 10, strict: 10, burst: 4, waiting: func() uint64 { return 11 }, left: func() float64 { return left }}
	for range 4 {
		require.False(t, g.full(0), "a burst")
	}
	left = sparePart
	for range 10 {
		require.True(t, g.full(0), "turning calls away leaves time")
	}
	left = sparePart + 0.01
	require.False(t, g.full(time.Hour), "many come at a time, and few altogether")
	left = 0
	for range 3 {
		require.False(t, g.full(0), "a burst again")
	}
	require.True(t, g.full(0))
}

func TestAnApplicationThatIsSlowGetsACallASecond(t *testing.T) {
	g, now := gateWith(func(c *Config) { c.Webhook.MaxLatency = time.Second }), time.Now()
	let := func(app string, after time.Duration) bool {
		_, err := g.enter(app, now.Add(after))
		return err == nil
	}
	g.waited("app", 4*time.Second)
	assert.True(t, let("app", 0), "one that is slow once is not slow")
	for range 5 {
		g.waited("app", 4*time.Second)
	}
	assert.True(t, let("app", 0), "somebody has to try")
	assert.False(t, let("app", 0))
	assert.False(t, let("app", 999*time.Millisecond))
	assert.True(t, let("app", time.Second))
	assert.True(t, let("other", 0), "it is not the other one's fault")
	assert.Empty(t, g.reason(now))
	for range 10 {
		g.waited("app", time.Millisecond)
	}
	assert.True(t, let("app", time.Second))
	assert.True(t, let("app", time.Second))
	for range 10 {
		g.waited("app", 4*time.Second)
	}
	assert.True(t, let("app", 3*time.Second))
	assert.False(t, let("app", 3*time.Second))
	assert.True(t, let("app", time.Minute), "what was so long ago says nothing")
	assert.True(t, let("app", time.Minute), "what was so long ago says nothing")
}

func TestEveryReasonCanBeTold(t *testing.T) {
	for _, reason := range []string{fullDraining, fullCalls, fullRate, fullUnanswered, fullMemory, fullBacklog} {
		assert.NotEmpty(t, whyFull[reason])
	}
}
