package node

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimeWithoutWorkIsThatOfTheProcessorsThatMayBeUsed(t *testing.T) {
	const stat = "cpu  100 2 3 400 50 0 0 7 0 0\ncpu0 60 1 1 300 20 0 0 3 0 0\ncpu1 40 1 2 100 30 0 0 4 0 0\ncpu10 1 1 1 1 1 0 0 0 0 0\nintr 1 2 3 4 5 6\nbtime 7\n"
	for name, tc := range map[string]struct {
		stat string
		mine []int
		idle time.Duration
		cpus int
	}{
		"one of them":     {stat, []int{1}, 1300 * time.Millisecond, 1},
		"two":             {stat, []int{0, 1}, 4500 * time.Millisecond, 2},
		"one of no other": {stat, []int{5}, 0, 0},
		"no numbers":      {"cpu0 1 2 3 x 5\n", []int{0}, 0, 0},
		"too short":       {"cpu0 1 2 3 4\n", []int{0}, 0, 0},
		"nothing":         {"", []int{0}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			idle, cpus := idleOf([]byte(tc.stat), func(cpu int) bool { return slices.Contains(tc.mine, cpu) })
			assert.Equal(t, tc.idle, idle)
			assert.Equal(t, tc.cpus, cpus)
		})
	}
}

func TestTheKernelSaysWhatIsUsedAndWhatIsIdle(t *testing.T) {
	_, err := os.ReadFile("/proc/stat")
	require.NoError(t, err)
	used, cpus := usedTime()
	assert.Positive(t, used)
	assert.Positive(t, cpus)
	idle, cpus := idleTime()()
	assert.Positive(t, idle)
	assert.Positive(t, cpus)
}
