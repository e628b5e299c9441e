package state

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func drawn(t *testing.T, l Ladder, entries []Entry) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, l.Write(&b, entries))
	return b.String()
}

func TestLadderTellsOfAFailingAndRecoveringRefer(t *testing.T) {
	t.Parallel()
	golden(t, "ladder-refer-recovers", drawn(t, Ladder{}, failingAndRecovering()))
}
