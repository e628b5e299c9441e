package verbs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeTap is a stream or a transcription whose other side is the test.
type fakeTap struct{ over chan error }

func newFakeTap() fakeTap { return fakeTap{make(chan error, 1)} }

func (f fakeTap) Run(ctx context.Context) error {
	select {
	case err := <-f.over:
		return err
	case <-ctx.Done():
		return nil
	}
}

// runsVerbs runs documents one after the other on a call, and returns what was asked of it until then. "closes N" has the
// other side of the Nth stream or transcription close it, "loses N" lose its connection.
func runsVerbs(t *testing.T, verbs []string, taps func(call *fakeCall, n int) fakeTap) (did []string) {
	synctest.Test(t, func(t *testing.T) {
		call := &fakeCall{}
		for _, v := range verbs {
			switch what, which, _ := strings.Cut(v, " "); what {
			case "closes":
				taps(call, int(which[0]-'0')).over <- nil
			case "loses":
				taps(call, int(which[0]-'0')).over <- &TapError{"connection-error", errors.New("gone")}
			default:
				out, err := only(t, "<Response>"+v+"</Response>").Execute(t.Context(), call)
				require.NoError(t, err)
				assert.Equal(t, Outcome{}, out, "the next verb runs")
			}
			synctest.Wait()
		}
		did = call.done()
		call.endAll(ErrHungUp)
		assert.Empty(t, call.Running())
	})
	return did
}
