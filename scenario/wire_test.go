package scenario

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two who send at once may each dial, and the second connection takes the first one's place.
func TestPhoneClosesEveryConnection(t *testing.T) {
	w, err := openWire(t.Context(), NewMemory(), "tcp", "10.0.1.1:5060", nil, nil)
	require.NoError(t, err)
	for range 2 {
		here, there := net.Pipe()
		defer func() { require.NoError(t, there.Close()) }()
		w.(*streams).serve("10.0.0.1:5060", here)
	}
	require.NoError(t, w.close())
}
