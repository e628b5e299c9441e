package sipstack

import (
	"context"
	"net"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sipgo notes the peer of a packet after it has read it, which may be when the socket is being closed. A handler that finds
// no connection for its peer any more opens a socket that nobody closes.
func TestTrapLastPeerOfAClosedSocketHasAStandIn(t *testing.T) {
	h := newHub()
	conn, err := h.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	peer, err := h.ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	pool := sip.NewTransportLayer(net.DefaultResolver, sip.NewParser(), nil).Pool("udp")
	l := &packetListener{PacketConn: conn, tap: newTap(nobody{}), gate: testGate(), pool: pool, reading: make(chan struct{})}
	_, err = peer.WriteTo([]byte(ask()), conn.LocalAddr())
	require.NoError(t, err)
	b := make([]byte, 1000)
	_, from, err := l.ReadFrom(b)
	require.NoError(t, err)
	require.NoError(t, (&listener{packets: l}).close())
	pool.Add(from.String(), &sip.UDPConnection{PacketConn: conn}) // sipgo's own, late
	_, _, err = l.ReadFrom(b)
	require.ErrorIs(t, err, net.ErrClosed)
	left, ok := pool.Get(from.String()).(*sip.UDPConnection)
	require.True(t, ok)
	assert.IsType(t, &deadPacketConn{}, left.PacketConn)
}
