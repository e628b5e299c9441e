package sipstack

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestADatagramIsReadWithTheTimeItLayInTheSocket(t *testing.T) {
	const pause = 30 * time.Millisecond
	a, b := socketAt(t, "127.0.0.1:0"), socketAt(t, "127.0.0.1:0")
	room := make([]byte, 10)
	read := func() time.Duration {
		_, _, waited, err := a.(timed).ReadWaited(room)
		require.NoError(t, err)
		return waited
	}
	for range 2 {
		_, err := b.WriteTo([]byte("x"), a.LocalAddr())
		require.NoError(t, err)
		time.Sleep(pause)
	}
	first, second := read(), read()
	assert.Greater(t, first-second, pause/2, "less than all of it: clocks may be set")
	assert.Greater(t, second, pause/2)
}
