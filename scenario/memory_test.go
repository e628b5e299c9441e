package scenario

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func packetSocket(t *testing.T, n Network, address string) net.PacketConn {
	t.Helper()
	c, err := n.ListenPacket(t.Context(), "udp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func receive(t *testing.T, c net.PacketConn) (string, net.Addr) {
	t.Helper()
	b := make([]byte, 2048)
	n, from, err := c.ReadFrom(b)
	require.NoError(t, err)
	return string(b[:n]), from
}

func TestMemoryDeliversDatagramsInOrder(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	a, b := packetSocket(t, m, "127.0.0.1:5060"), packetSocket(t, m, "10.0.0.7:0")
	require.IsType(t, &net.UDPAddr{}, b.LocalAddr())
	require.NotZero(t, b.LocalAddr().(*net.UDPAddr).Port)
	for _, s := range []string{"one", "two", "three"} {
		_, err := a.WriteTo([]byte(s), b.LocalAddr())
		require.NoError(t, err)
	}
	for _, want := range []string{"one", "two", "three"} {
		got, from := receive(t, b)
		assert.Equal(t, want, got)
		assert.Equal(t, "127.0.0.1:5060", from.String())
	}
}

func TestMemoryDatagramReadersByAddrPort(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	a, b := packetSocket(t, m, "127.0.0.1:1"), packetSocket(t, m, "127.0.0.1:2")
	type byAddrPort interface {
		ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
		WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	}
	_, err := a.(byAddrPort).WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort("[::ffff:127.0.0.1]:2"))
	require.NoError(t, err)
	p := make([]byte, 4)
	n, from, err := b.(byAddrPort).ReadFromUDPAddrPort(p)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.Equal(t, netip.MustParseAddrPort("127.0.0.1:1"), from)
}

func TestMemoryWildcardReceivesForEveryAddress(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	all, a := packetSocket(t, m, ":5060"), packetSocket(t, m, "127.0.0.1:1")
	_, err := a.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 9, 8, 7), Port: 5060})
	require.NoError(t, err)
	got, _ := receive(t, all)
	assert.Equal(t, "x", got)
}

func TestMemoryLosesWhatNobodyReceives(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	a, b := packetSocket(t, m, "127.0.0.1:1"), packetSocket(t, m, "127.0.0.1:2")
	_, err := a.WriteTo([]byte("nobody"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	require.NoError(t, err)
	for range packetQueue + 10 {
		_, err := a.WriteTo([]byte("x"), b.LocalAddr())
		require.NoError(t, err)
	}
	assert.Len(t, b.(*packetConn).queue, packetQueue)
}

func TestMemoryImpairments(t *testing.T) {
	t.Parallel()
	broken := errors.New("network is unreachable")
	for name, tc := range map[string]struct {
		fate Fate
		want string
		err  error
	}{
		"lost":       {Fate{Lost: true}, "1 3", nil},
		"twice":      {Fate{Twice: true}, "1 2 2 3", nil},
		"after next": {Fate{AfterNext: true}, "1 3 2", nil},
		"delayed":    {Fate{Delay: time.Second}, "1 3 2", nil},
		"failing":    {Fate{Err: broken}, "1 3", broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory()
				m.Impair(func(d Datagram) Fate {
					if string(d.Payload) == "2" {
						return tc.fate
					}
					return Fate{}
				})
				a, b := packetSocket(t, m, "127.0.0.1:1"), packetSocket(t, m, "127.0.0.1:2")
				for _, s := range []string{"1", "2", "3"} {
					_, err := a.WriteTo([]byte(s), b.LocalAddr())
					if s == "2" {
						require.ErrorIs(t, err, tc.err)
						continue
					}
					require.NoError(t, err)
				}
				require.NoError(t, b.SetReadDeadline(time.Now().Add(time.Minute)))
				var got []string
				for p := make([]byte, 8); ; {
					n, _, err := b.ReadFrom(p)
					if err != nil {
						break
					}
					got = append(got, string(p[:n]))
				}
				assert.Equal(t, tc.want, strings.Join(got, " "))
			})
		})
	}
}

func TestMemoryDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		c := packetSocket(t, m, "127.0.0.1:1")
		start := time.Now()
		require.NoError(t, c.SetReadDeadline(start.Add(time.Hour)))
		time.AfterFunc(time.Second, func() { _ = c.SetReadDeadline(start.Add(3 * time.Second)) }) // moved while somebody reads
		_, _, err := c.ReadFrom(make([]byte, 1))
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
		assert.Equal(t, 3*time.Second, time.Since(start))
		require.NoError(t, c.SetDeadline(start))
		_, err = c.WriteTo([]byte("x"), c.LocalAddr())
		require.ErrorAs(t, err, &timeout)
		require.NoError(t, c.SetDeadline(time.Time{}))
		_, err = c.WriteTo([]byte("x"), c.LocalAddr())
		require.NoError(t, err)
		receive(t, c)
	})
}

func TestMemoryCloseEndsReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		c, err := m.ListenPacket(t.Context(), "udp", "127.0.0.1:1")
		require.NoError(t, err)
		l, err := m.Listen(t.Context(), "tcp", "127.0.0.1:1")
		require.NoError(t, err)
		ended := make(chan error, 2)
		go func() { _, _, err := c.ReadFrom(make([]byte, 1)); ended <- err }()
		go func() { _, err := l.Accept(); ended <- err }()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
		for range 2 {
			require.ErrorIs(t, <-ended, net.ErrClosed)
		}
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		_, err = c.WriteTo([]byte("x"), c.LocalAddr())
		require.ErrorIs(t, err, net.ErrClosed)
		again, err := m.ListenPacket(t.Context(), "udp", "127.0.0.1:1")
		require.NoError(t, err, "the address is free again")
		require.NoError(t, again.Close())
	})
}

func TestMemoryAddressInUse(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	packetSocket(t, m, "127.0.0.1:1")
	_, err := m.ListenPacket(t.Context(), "udp", "127.0.0.1:1")
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	packetSocket(t, m, "127.0.0.2:1")
}

func TestMemoryStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		l, err := m.Listen(t.Context(), "tcp", "10.0.0.2:80")
		require.NoError(t, err)
		defer l.Close()
		here, err := m.From(netip.MustParseAddr("192.0.2.9")).DialContext(t.Context(), "tcp", "app.example:80")
		require.NoError(t, err)
		_, err = here.Write([]byte("nobody has accepted it yet"))
		require.NoError(t, err)
		there, err := l.Accept()
		require.NoError(t, err)
		assert.Equal(t, "10.0.0.2:80", here.RemoteAddr().String())
		assert.Equal(t, here.LocalAddr().String(), there.RemoteAddr().String())
		assert.Equal(t, "192.0.2.9", here.LocalAddr().(*net.TCPAddr).IP.String())

		large := strings.Repeat("x", 3*streamBuffer)
		go func() {
			_, _ = here.Write([]byte(large))
			_ = here.Close()
		}()
		got, err := io.ReadAll(there)
		require.NoError(t, err)
		assert.Equal(t, "nobody has accepted it yet"+large, string(got))
		_, err = there.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, there.Close())
		require.ErrorIs(t, there.Close(), net.ErrClosed)
		_, err = there.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestMemoryStreamDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		here, there := newStream(netip.AddrPort{}, netip.AddrPort{})
		start := time.Now()
		require.NoError(t, here.SetDeadline(start.Add(time.Second)))
		_, err := here.Read(make([]byte, 1))
		require.ErrorIs(t, err, errTimeout)
		n, err := here.Write(make([]byte, 1))
		require.ErrorIs(t, err, errTimeout)
		assert.Zero(t, n)
		require.NoError(t, here.SetDeadline(start.Add(2*time.Second)))
		n, err = here.Write(make([]byte, streamBuffer+1))
		require.ErrorIs(t, err, errTimeout)
		assert.Equal(t, streamBuffer, n)
		assert.Equal(t, 2*time.Second, time.Since(start))
		require.NoError(t, there.Close())
	})
}

func TestMemoryDialFailures(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	_, err := m.DialContext(t.Context(), "tcp", "app.example:80")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var op *net.OpError
	require.ErrorAs(t, err, &op)
	assert.Equal(t, "dial", op.Op)
	_, err = m.DialContext(t.Context(), "tcp", "nowhere.example:80")
	var dns *net.DNSError
	require.ErrorAs(t, err, &dns)
	assert.True(t, dns.IsNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = m.DialContext(ctx, "tcp", "app.example:80")
	require.ErrorIs(t, err, context.Canceled)
	_, err = m.Listen(t.Context(), "udp", "127.0.0.1:1")
	require.ErrorIs(t, err, errNetwork)
}

func TestMemoryCarriesHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		m.AddHost("Web.Example", netip.MustParseAddr("10.1.1.1"))
		l, err := m.Listen(t.Context(), "tcp", "10.1.1.1:80")
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour) // of the bubble's time
			_, _ = io.Copy(w, r.Body)
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		transport := &http.Transport{DialContext: m.DialContext}
		res, err := (&http.Client{Transport: transport}).Post("http://web.example/", "text/plain", strings.NewReader("hello"))
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, "hello", string(body))
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
