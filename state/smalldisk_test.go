package state

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallDisk is one that can be filled.
type smallDisk struct {
	dir   string
	known DurableOption // lets a store know how much room is left
	fill  func(t *testing.T, leave int64) (free func())
}

// ownDisk is a file system of so many MiB, where this user may mount one.
func ownDisk(t *testing.T, mib int) (d smallDisk, there bool) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mib)); err != nil {
		t.Log("no file system of its own: ", err)
		return d, false
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return smallDisk{dir, func(*Durable) {}, func(t *testing.T, leave int64) func() {
		t.Helper()
		name := filepath.Join(dir, "filler")
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		for _, size := range []int{1 << 20, 1 << 12, 1} {
			chunk := make([]byte, size)
			for err = nil; err == nil; {
				_, err = f.Write(chunk)
			}
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		info, err := f.Stat()
		require.NoError(t, err)
		require.NoError(t, f.Truncate(info.Size()-leave<<20))
		require.NoError(t, f.Close())
		return func() { require.NoError(t, os.Remove(name)) }
	}}, true
}

// toldDisk is one of which a store is told how much room is left.
func toldDisk(t *testing.T) smallDisk {
	t.Helper()
	var room atomic.Int64
	room.Store(1 << 30)
	known := func(d *Durable) { d.free = func(string) (int64, error) { return room.Load(), nil } }
	return smallDisk{t.TempDir(), known, func(_ *testing.T, leave int64) func() {
		room.Store(leave << 20)
		return func() { room.Store(1 << 30) }
	}}
}

// limitedDisk is one on which, when it is full, this process may write no file, though there is room.
func limitedDisk(t *testing.T) smallDisk {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // which ends a process at its limit; without it a write fails
	return smallDisk{t.TempDir(), func(*Durable) {}, func(t *testing.T, _ int64) func() {
		t.Helper()
		var before syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: before.Max}))
		return func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }
	}}
}

// aloneEnv is set in a process that runs one test alone.
const aloneEnv = "CALLENGINE_TEST_ALONE"

// alone has a test run in a process of its own, and reports whether this is that.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) != "" {
		return true
	}
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), aloneEnv+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}
