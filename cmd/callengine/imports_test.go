package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/callengine/callengine/"

// mayImport is which rooms a room may know. Arrows go one way; whoever needs another room's type declares an interface,
// and the node joins the two.
var mayImport = map[string][]string{
	"cmd":         {"node", "scenario", "verbs", "state"},
	"scenario":    {"node", "state"},
	"node":        {"api", "interpreter", "verbs", "webhook", "sipstack", "media", "state"},
	"api":         {"interpreter", "state"},
	"interpreter": {"verbs", "webhook", "state"},
	"verbs":       {"webhook"},
	"sipstack":    {"media"},
	"webhook":     {},
	"media":       {},
	"state":       {},
}

// sipLibrary is known to the room that wraps it, and to main, which sets its globals.
const sipLibrary = "github.com/emiago/sipgo"

var mayKnowSIPLibrary = []string{"sipstack", "cmd"}

// alone are packages within a room that know none of ours, not even of their own room: protocols and formats.
var alone = []string{"sipstack/hep", "media/mp3", "media/transcribe", "media/conceal"}

// room is the folder under the module's root that a package of ours lies in; folders within a room belong to it.
func room(importPath string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(importPath, module), "/")
	return first
}

// TestRoomsKnowOnlyTheRoomsThatTheyMay looks at direct imports, those of tests within a package included. Tests in
// packages of their own (package x_test) stand outside and may import what they like.
func TestRoomsKnowOnlyTheRoomsThatTheyMay(t *testing.T) {
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports", "./...")
	list.Dir = "../.."
	out, err := list.Output()
	require.NoError(t, err)
	packages, found := 0, 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; packages++ {
		var p struct {
			ImportPath           string
			Imports, TestImports []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		if standsAlone := slices.Contains(alone, strings.TrimPrefix(p.ImportPath, module)); standsAlone {
			found++
			for _, i := range append(p.Imports, p.TestImports...) {
				assert.False(t, strings.HasPrefix(i, module), "%s may not import %s", p.ImportPath, i)
			}
		}
		own := room(p.ImportPath)
		allowed, known := mayImport[own]
		assert.True(t, known, "%s is a room of its own, and the table does not know it", p.ImportPath)
		for _, i := range append(p.Imports, p.TestImports...) {
			switch {
			case strings.HasPrefix(i, module):
				assert.True(t, room(i) == own || slices.Contains(allowed, room(i)), "%s may not import %s", p.ImportPath, i)
			case strings.HasPrefix(i, sipLibrary):
				assert.Contains(t, mayKnowSIPLibrary, own, "%s may not import %s", p.ImportPath, i)
			}
		}
	}
	assert.GreaterOrEqual(t, packages, len(mayImport))
	assert.Len(t, alone, found)
}
