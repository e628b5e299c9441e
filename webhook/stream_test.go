package webhook

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connected returns both ends of a TCP connection, the first as the client has it.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	open, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	theirs, err = l.Accept()
	require.NoError(t, err)
	ours = withoutWaiting(open)
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}

func TestAStreamCarriesAllOfWhatIsWritten(t *testing.T) {
	ours, theirs := connected(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than any buffer takes
	written := make(chan error, 1)
	go func() {
		n, err := ours.Write(sent)
		assert.Equal(t, len(sent), n)
		written <- err
		_, err = theirs.Write(sent[:100_000])
		written <- err
		written <- theirs.Close()
	}()
	got := make([]byte, len(sent))
	_, err := io.ReadFull(theirs, got)
	require.NoError(t, err)
	require.NoError(t, <-written)
	assert.True(t, bytes.Equal(sent, got))
	n, err := ours.Read(nil)
	require.NoError(t, err, "no byte is no end")
	assert.Zero(t, n)
	back, err := io.ReadAll(ours)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(sent[:100_000], back))
	require.NoError(t, <-written)
	require.NoError(t, <-written)
}

func TestAStreamThatIsClosedOrLateSaysSo(t *testing.T) {
	ours, _ := connected(t)
	require.NoError(t, ours.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err := ours.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	ended := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		ended <- err
	}()
	require.NoError(t, ours.Close())
	require.ErrorIs(t, <-ended, net.ErrClosed)
	_, err = ours.Write([]byte("x"))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestAStreamThatIsResetSaysSo(t *testing.T) {
	ours, theirs := connected(t)
	require.NoError(t, theirs.(*net.TCPConn).SetLinger(0))
	require.NoError(t, theirs.Close())
	_, err := ours.Read(make([]byte, 1))
	require.ErrorContains(t, err, "connection reset by peer")
	failed := (*net.OpError)(nil)
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "read", failed.Op)
	_, err = ours.Write([]byte("x"))
	require.ErrorContains(t, err, "broken pipe")
}
