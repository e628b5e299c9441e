package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTimeIsLeftWhereNeitherTheNodeNorAnybodyElseUsesIt(t *testing.T) {
	for name, tc := range map[string]struct {
		used, idle float64 // parts of two processors
		known      bool
		left       float64
	}{
		"nobody does anything":          {0, 1, true, 1},
		"half of it is used":            {0.5, 0.5, true, 0.5},
		"the node uses most of it":      {0.9, 0.1, true, 0},
		"others use it":                 {0.3, 0.1, true, 0.1},
		"the node's part is used up":    {0.9, 0.8, true, 0},
		"nobody knows about the others": {0.1, 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const cpus = 2
				began := time.Now()
				of := func(part float64) time.Duration { return time.Duration(part * cpus * float64(time.Since(began))) }
				g := newSpareGauge()
				g.used = func() (time.Duration, int) { return time.Hour + of(tc.used), cpus }
				g.idle = func() (time.Duration, int) {
					if !tc.known {
						return 0, 0
					}
					return 2*time.Hour + of(tc.idle), cpus
				}
				assert.Zero(t, g.left(), "nothing is known at first")
				time.Sleep(restEvery)
				assert.InDelta(t, tc.left, g.left(), 0.001)
				time.Sleep(stale)
				assert.Zero(t, g.left(), "nobody has asked for long")
			})
		})
	}
}

func TestANodeThatGetsBusyHasNoTimeLeftAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used time.Duration
		began, g := time.Now(), newSpareGauge()
		g.used = func() (time.Duration, int) { return used, 1 }
		g.idle = func() (time.Duration, int) { return time.Since(began), 1 }
		g.left()
		time.Sleep(restEvery)
		assert.InDelta(t, 1, g.left(), 0.001)
		used += workEvery
		time.Sleep(workEvery - 1)
		assert.InDelta(t, 1, g.left(), 0.001)
		time.Sleep(time.Nanosecond)
		assert.Zero(t, g.left())
		time.Sleep(workEvery)
		assert.InDelta(t, 1, g.left(), 0.001)
	})
}
