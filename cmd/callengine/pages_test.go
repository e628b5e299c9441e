package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	codeBlock = regexp.MustCompile("(?ms)^```.*?^```$")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	underHead = regexp.MustCompile(`^\|[ :|-]+\|$`)
)

// prose returns a page without its blocks of code.
func prose(t *testing.T, page string) string {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	return codeBlock.ReplaceAllString(string(content), "")
}

// anchorsOf returns what links to the headings of a page end with.
func anchorsOf(t *testing.T, page string) (anchors []string) {
	t.Helper()
	for _, found := range heading.FindAllStringSubmatch(prose(t, page), -1) {
		anchors = append(anchors, strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-"))
	}
	return anchors
}

func TestEveryLinkOfThePagesLeadsSomewhere(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	links := 0
	for _, page := range append(pages, "../../README.md") {
		for _, found := range link.FindAllStringSubmatch(prose(t, page), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(found[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if assert.FileExists(t, target, "%s links to %s", page, found[1]) && anchor != "" {
				assert.Contains(t, anchorsOf(t, target), anchor, "%s links to %s", page, found[1])
			}
		}
	}
	assert.Greater(t, links, 20)
}

// A row that an empty line parts from its table is shown as a line of bars.
func TestEveryRowOfThePagesStandsInATable(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	tables := 0
	for _, page := range append(pages, "../../README.md") {
		before, lines := "", append(strings.Split(prose(t, page), "\n"), "")
		for i, line := range lines[:len(lines)-1] {
			if strings.HasPrefix(line, "|") && !strings.HasPrefix(before, "|") {
				tables++
				assert.Regexp(t, underHead, lines[i+1], "%s: %s", page, line)
			}
			before = line
		}
	}
	assert.Greater(t, tables, 20)
}

func TestTheReadmeLeadsToEveryPage(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	_, index, found := strings.Cut(prose(t, "../../README.md"), "## Documentation\n")
	require.True(t, found)
	index, _, _ = strings.Cut(index, "\n## ")
	for _, page := range pages {
		assert.Contains(t, index, "(docs/"+filepath.Base(page)+")")
	}
}

// pageInComment matches a page that a comment sends its reader to.
var pageInComment = regexp.MustCompile(`//.*?\b((?:[\w-]+/)*[\w-]+\.md)\b`)

func TestCommentsNamePagesThatAreThere(t *testing.T) {
	named := 0
	require.NoError(t, filepath.WalkDir("../..", func(file string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".go" {
			return err
		}
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range pageInComment.FindAllStringSubmatch(string(content), -1) {
			named++
			assert.FileExists(t, filepath.Join("../..", found[1]), "%s names %s", file, found[1])
		}
		return nil
	}))
	assert.Greater(t, named, 20)
}
