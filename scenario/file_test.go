package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const library = "../testdata/scenarios"

// loadLibrary reads every scenario of the library.
func loadLibrary(t *testing.T) []*File {
	t.Helper()
	paths, err := Find(library)
	require.NoError(t, err)
	var files []*File
	for _, path := range paths {
		f, err := Load(path)
		require.NoError(t, err)
		files = append(files, f)
	}
	return files
}

// went fails the test with the ladder of a scenario that went otherwise than it expects.
func went(t *testing.T, r Result) {
	t.Helper()
	if !r.OK() {
		var ladder bytes.Buffer
		require.NoError(t, r.WriteLadder(&ladder, state.Ladder{}))
		t.Errorf("%s\n%s", r.First(), ladder.String())
	}
}

// TestLibrary runs every scenario in memory, where waiting takes no time.
func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, f := range loadLibrary(t) {
		name, _ := filepath.Rel(library, f.Path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { went(t, f.Run(t.Context(), RunOptions{Network: NewMemory()})) })
		})
	}
}

// TestLibraryOverLoopback runs the scenarios as users do.
func TestLibraryOverLoopback(t *testing.T) {
	t.Parallel()
	RunAll(t.Context(), loadLibrary(t), 4, RunOptions{}, func(r Result) {
		t.Run(r.File.Path, func(t *testing.T) { went(t, r) })
	})
}

func TestSchemaIsThatOfTheDecoder(t *testing.T) {
	t.Parallel()
	const path = "../docs/scenario.schema.json"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, Schema(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(Schema()), "UPDATE=1 go test writes it")
}
