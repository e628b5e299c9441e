package main

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// With one processor Go looks at the network when nothing else can run, and every 10 ms. Here something always can, and next to no
// time passes: whoever waits for what has come is woken because somebody had the network looked at.
func TestWhoWaitsForTheNetworkIsWokenThoughSomethingElseCanAlwaysRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	var over atomic.Bool
	var woken atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for !over.Load() {
			runtime.Gosched()
		}
	})
	wg.Go(func() {
		// It reads nothing: a call of the system may take the processor from it.
		_ = raw.Read(func(uintptr) bool { woken.Add(1); return false }) // it ends with the socket
	})
	defer func() {
		over.Store(true)
		_ = conn.Close()
		wg.Wait()
	}()
	wokenAfter := func(before int64) bool {
		for range 1000 {
			if woken.Load() > before {
				return true
			}
			runtime.Gosched()
		}
		return false
	}
	require.True(t, wokenAfter(0), "it looks before it waits")
	for range 20 {
		before := woken.Load()
		_, err := conn.WriteTo([]byte("x"), conn.LocalAddr())
		require.NoError(t, err)
		received(t, raw, unix.MSG_PEEK)
		synctest.Test(t, func(*testing.T) { lookAtSockets() })
		require.True(t, wokenAfter(before))
		received(t, raw, 0)
	}
}

// received returns when there is a datagram in a socket. It asks the kernel itself.
func received(t *testing.T, raw syscall.RawConn, flags int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		var room [1]byte
		var err error
		require.NoError(t, raw.Control(func(fd uintptr) {
			_, _, err = unix.Recvfrom(int(fd), room[:], flags|unix.MSG_DONTWAIT)
		}))
		if err == nil {
			return
		}
		require.True(t, time.Now().Before(end), "nothing came")
	}
}
