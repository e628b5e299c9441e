package media

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPacerCatchesUpWithoutBursts(t *testing.T) {
	t.Parallel()
	start := time.Now()
	p := pacer{period: 20 * time.Millisecond, next: start}
	for _, step := range []struct {
		name         string
		at           time.Duration
		frames, lost int
	}{
		{"the first at once", 0, 1, 0},
		{"not before its time", 19 * time.Millisecond, 0, 0},
		{"a little late", 25 * time.Millisecond, 1, 0},
		{"the delay does not add up", 40 * time.Millisecond, 1, 0},
		{"three late", 105 * time.Millisecond, 3, 0},
		{"nothing more is due", 105 * time.Millisecond, 0, 0},
		{"stood still for a second", 1105 * time.Millisecond, 3, 47},
		{"and goes on", 1120 * time.Millisecond, 1, 0},
	} {
		frames, lost := p.due(start.Add(step.at))
		assert.Equal(t, step.frames, frames, step.name)
		assert.Equal(t, step.lost, lost, step.name)
	}
}
