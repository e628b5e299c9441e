package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOutboxListsWhatIsNotDelivered(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "outbox", "--api", api.URL)
	require.Equal(t, exitFine, got.code, got.err)
	lines := linesOf(got.out)
	require.Len(t, lines, 3)
	assert.Equal(t, []string{"OWED", "EVENT", "TYPE", "CALL", "STATE", "ATTEMPTS", "LAST", "ERROR"}, strings.Fields(lines[0]))
	assert.Regexp(t, `e-1    disconnect  c-1   dead +1 +status 404`, lines[1])
	assert.Regexp(t, `e-2    disconnect  c-2   owed until \d\d:\d\d:05  3 +status 503`, lines[2])
}

func TestOutboxResends(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "outbox", "resend", "e-1", "--api", api.URL)
	require.Equal(t, exitFine, got.code, got.err)
	assert.Equal(t, "1 resent\n", got.out)
	got = run(t, "", credentials, "outbox", "resend", "--all", "--api", api.URL)
	require.Equal(t, exitFine, got.code, got.err)
	assert.Equal(t, "7 resent\n", got.out)

	got = run(t, "", credentials, "outbox", "resend", "e-9", "--api", api.URL)
	assert.Equal(t, exitFailed, got.code)
	assert.Contains(t, got.err, "the node answered 404")
	for _, wrong := range [][]string{{"outbox", "resend"}, {"outbox", "resend", "e-1", "--all"}} {
		got = run(t, "", credentials, wrong...)
		assert.Equal(t, exitUsage, got.code)
		assert.Equal(t, "callengine: resend: give the id of one event, or --all\n", got.err)
	}
}
