package bench_test

import (
	"fmt"
	"os"
	"testing"
)

const (
	floorEnv    = "CALLENGINE_BENCH_FLOOR"     // set in the process that is the bare server: where it listens
	floorAppEnv = "CALLENGINE_BENCH_FLOOR_APP" // the application that it tells of its calls; may be empty
)

func TestMain(m *testing.M) {
	if os.Getenv(floorEnv) != "" {
		if err := serveFloor(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
