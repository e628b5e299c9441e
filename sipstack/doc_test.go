package sipstack

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePackageSaysWhereEveryFileBelongs(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, places, found := strings.Cut(string(text), "// What is where:")
	require.True(t, found)
	named := regexp.MustCompile(`[a-z0-9_]+\.go\b`).FindAllString(places, -1)
	slices.Sort(named)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") || f == "doc.go" })
	assert.Equal(t, files, named)
}
