package sipstack

import (
	"bytes"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// socketAt opens a socket as the stack does.
func socketAt(t *testing.T, address string) net.PacketConn {
	t.Helper()
	conn, err := hostNetwork{}.ListenPacket(t.Context(), "udp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestDatagramsGoOutAndComeInAsTheyAre(t *testing.T) {
	addresses := []string{"127.0.0.1:0", "0.0.0.0:0"}
	if probe, err := net.ListenPacket("udp", "[::1]:0"); err == nil { // there is IPv6 here
		require.NoError(t, probe.Close())
		addresses = append(addresses, "[::1]:0")
	}
	for _, address := range addresses {
		t.Run(address, func(t *testing.T) {
			host, _, _ := net.SplitHostPort(address)
			if host == "0.0.0.0" {
				host = "127.0.0.1"
			}
			a, b := socketAt(t, address), socketAt(t, net.JoinHostPort(host, "0"))
			_, port, _ := net.SplitHostPort(a.LocalAddr().String())
			to, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
			require.NoError(t, err)
			for _, size := range []int{1, 1300, 60_000} {
				sent := bytes.Repeat([]byte{byte(size)}, size)
				n, err := b.WriteTo(sent, to)
				require.NoError(t, err)
				assert.Equal(t, size, n)
				room := make([]byte, 65536)
				n, from, err := a.ReadFrom(room)
				require.NoError(t, err)
				assert.Equal(t, sent, room[:n])
				assert.Equal(t, b.LocalAddr().String(), from.String())
			}
			_, err = b.WriteTo([]byte("cut"), to)
			require.NoError(t, err)
			n, _, err := a.ReadFrom(make([]byte, 2))
			require.NoError(t, err)
			assert.Equal(t, 2, n)
		})
	}
}

func TestADatagramThatCannotBeSentSaysWhy(t *testing.T) {
	conn := socketAt(t, "127.0.0.1:0")
	_, err := conn.WriteTo(make([]byte, 70_000), conn.LocalAddr())
	require.ErrorContains(t, err, "message too long")
	failed := (*net.OpError)(nil)
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "write", failed.Op)
	_, err = conn.WriteTo([]byte("x"), &net.UDPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5060})
	require.Error(t, err)
	_, err = conn.WriteTo([]byte("x"), &net.TCPAddr{})
	require.Error(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(-time.Second)))
	_, _, err = conn.ReadFrom(make([]byte, 10))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestClosingASocketEndsWhoWaitsForDatagrams(t *testing.T) {
	conn := socketAt(t, "127.0.0.1:0")
	ended := make(chan error, 1)
	go func() {
		_, _, err := conn.ReadFrom(make([]byte, 10))
		ended <- err
	}()
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err := conn.WriteTo([]byte("x"), conn.LocalAddr())
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestManySendDatagramsAtOnce(t *testing.T) {
	const senders, each = 8, 15
	a, b := socketAt(t, "127.0.0.1:0"), socketAt(t, "127.0.0.1:0")
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range each {
				_, err := b.WriteTo(bytes.Repeat([]byte{byte(i)}, 100+i), a.LocalAddr())
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	got := map[int]int{}
	for range senders * each {
		require.NoError(t, a.SetReadDeadline(time.Now().Add(10*time.Second)))
		room := make([]byte, 1000)
		n, _, err := a.ReadFrom(room)
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat(room[:1], 100+int(room[0])), room[:n])
		got[int(room[0])]++
	}
	for i := range senders {
		assert.Equal(t, each, got[i])
	}
}
