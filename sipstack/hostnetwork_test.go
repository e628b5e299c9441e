package sipstack

import (
	"net"
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAWildcardListenerTakesItsOwnFamilyAlone(t *testing.T) {
	engine, err := media.New(media.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, engine.Close()) }()
	s, err := New(Config{
		Listeners: []Listener{{"udp", "0.0.0.0:0"}, {"tcp", "0.0.0.0:0"}}, Advertise: "127.0.0.1",
	}, engine)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	defer func() { require.NoError(t, s.Close()) }()
	for _, a := range s.Addrs() {
		host, _, err := net.SplitHostPort(a.String())
		require.NoError(t, err)
		assert.Equal(t, "0.0.0.0", host, a.Network())
	}
}
