package main

import (
	"testing"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExportPrintsAScenario(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "export", "--api", api.URL, "c-1")
	require.Equal(t, exitFine, got.code, got.err)
	f, err := scenario.Parse("c-1.yaml", []byte(got.out))
	require.NoError(t, err, got.out)
	assert.Equal(t, "call c-1", f.Name())
}

func TestExportOfACallThatIsNotKnown(t *testing.T) {
	api := fakeAPI(t)
	got := run(t, "", credentials, "export", "--api", api.URL, "c-9")
	assert.Equal(t, exitFailed, got.code)
	assert.Empty(t, got.out)
	assert.Contains(t, got.err, "Call [c-9] not found")
	got = run(t, "", credentials, "export")
	assert.Equal(t, exitUsage, got.code)
	assert.Equal(t, "callengine: the ID of a call is missing\n", got.err)
}
