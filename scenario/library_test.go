package scenario

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

// index names each scenario of the library beside what it shows.
const index = library + "/README.md"

var indexed = regexp.MustCompile(`\]\(([a-z0-9/-]+\.yaml)\)`)

// TestIndexOfTheLibrary holds the index to the files, both ways.
func TestIndexOfTheLibrary(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(index)
	require.NoError(t, err)
	var named []string
	for _, found := range indexed.FindAllStringSubmatch(string(content), -1) {
		named = append(named, found[1])
	}
	var files []string
	for _, f := range loadLibrary(t) {
		name, err := filepath.Rel(library, f.Path)
		require.NoError(t, err)
		files = append(files, filepath.ToSlash(name))
		assert.NotEmpty(t, f.spec.Name, name)
		assert.NotEmpty(t, f.Description(), name)
	}
	slices.Sort(named)
	assert.Equal(t, files, slices.Compact(named))
}

// everyExpectation are those of all scenarios.
func everyExpectation(t *testing.T) (all []expectation) {
	t.Helper()
	for _, f := range loadLibrary(t) {
		x := &f.spec.Expect
		all = append(append(all, x.Order...), x.Anywhere...)
	}
	return all
}

var quotedName = regexp.MustCompile("`([A-Za-z-]+)`")

// documented returns the names in the first column of the table on a page of the documentation whose header begins so,
// of those rows that end in a certain way.
func documented(t *testing.T, page, header, end string) (names []string) {
	t.Helper()
	content, err := os.ReadFile("../docs/" + page)
	require.NoError(t, err)
	_, table, found := strings.Cut(string(content), "\n"+header)
	require.True(t, found, "%s has no table %s", page, header)
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.SplitSeq(table, "\n") {
		if cells := strings.Split(row, " | "); strings.HasSuffix(row, end) {
			for _, name := range quotedName.FindAllStringSubmatch(cells[0], -1) {
				names = append(names, name[1])
			}
		}
	}
	require.NotEmpty(t, names)
	return names
}

// within are the elements that stand in verbs, and do not run on their own.
func within() []string {
	return []string{"PhoneNumber", "SipUri", "Endpoint", "StreamParam", "CustomParam"}
}

func TestScenariosKnowEachVerb(t *testing.T) {
	t.Parallel()
	assert.ElementsMatch(t, documented(t, "bxml.md", "| Verb |", " |"), append(within(), verbNames...))
}

func TestLibraryRunsEachVerb(t *testing.T) {
	t.Parallel()
	run := within()
	for _, f := range loadLibrary(t) {
		if verbs := f.spec.Expect.Verbs; verbs != nil {
			run = append(run, *verbs...)
		}
	}
	assert.Subset(t, run, documented(t, "bxml.md", "| Verb |", "| runs |"))
}

func TestLibraryHasEachEvent(t *testing.T) {
	t.Parallel()
	var expected []string
	for _, e := range everyExpectation(t) {
		if e.Webhook != "" && len(e.With) > 0 {
			expected = append(expected, e.Webhook)
		}
	}
	assert.Subset(t, expected, documented(t, "webhooks.md", "| Event |", "|"))
}

func TestLibraryHasEachCause(t *testing.T) {
	t.Parallel()
	var expected []string
	for _, e := range everyExpectation(t) {
		for _, p := range e.With {
			if e.Webhook == "disconnect" && p.name == "cause" {
				expected = append(expected, string(p.value))
			}
		}
	}
	assert.Subset(t, expected, documented(t, "webhooks.md", "| Cause |", "|"))
}

func TestLibraryHasEachEvidence(t *testing.T) {
	t.Parallel()
	var expected []string
	for _, f := range loadLibrary(t) {
		if f.spec.Expect.Record == nil {
			continue
		}
		for _, p := range *f.spec.Expect.Record {
			for _, refer := range p.list {
				for _, q := range refer.object {
					if q.name == "evidence" {
						expected = append(expected, string(q.value))
					}
				}
			}
		}
	}
	assert.Subset(t, expected, documented(t, "refer.md", "| Evidence |", "|"))
}
