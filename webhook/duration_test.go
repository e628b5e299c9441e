package webhook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestDurationsHaveNoMoreThanMilliseconds holds for each that a binary fraction does not hit.
func TestDurationsHaveNoMoreThanMilliseconds(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "PT1.86S", Duration(1860*time.Millisecond).String())
	for ms := range 60_000 {
		assert.LessOrEqual(t, len(Duration(time.Duration(ms)*time.Millisecond).String()), len("PT59.999S"))
	}
}
