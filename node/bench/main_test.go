package bench_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"
)

const (
	floorEnv    = "CALLENGINE_BENCH_FLOOR"     // set in the process that is the bare server: where it listens
	floorAppEnv = "CALLENGINE_BENCH_FLOOR_APP" // the application that it tells of its calls; may be empty
)

// scaled is a size of a benchmark, or, with -short, one that shows no more than that it runs.
func scaled[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}

func TestMain(m *testing.M) {
	if os.Getenv(floorEnv) != "" {
		if err := serveFloor(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	debug.SetGCPercent(-1)        // who measures holds nobody up by garbage of its own
	debug.SetMemoryLimit(1 << 30) // and still fits into a small machine
	os.Exit(m.Run())
}
