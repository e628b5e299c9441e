package verbs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzParse reads anything: no panic, and whatever is found stands inside the document.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("../testdata/bxml/*/*.bxml")
	require.NoError(f, err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(body)
	}
	f.Add(utf16Text("<Response><Tag>ä😀</Tag></Response>", true))
	parser := NewParser(Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parser.Parse(body, "https://app.example/bxml")
		var found SyntaxErrors
		if err != nil {
			require.True(t, errors.As(err, &found), "%v", err)
			require.NotEmpty(t, found)
			require.Empty(t, d.Verbs)
		}
		text, fault := convert(body)
		if fault != nil {
			return // nothing to count on
		}
		lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
		inside := func(line, column int) {
			require.True(t, line >= 1 && line <= len(lines), "line %d of %d", line, len(lines))
			// One more than there are characters: where something is missing at the end.
			require.True(t, column >= 1 && column <= len([]rune(lines[line-1]))+1, "column %d of %q", column, lines[line-1])
		}
		for _, e := range found {
			inside(e.Line, e.Column)
			assert.NotEmpty(t, e.Reason)
		}
		for _, w := range d.Warnings {
			inside(w.Line, w.Column)
		}
		for _, v := range d.Verbs {
			p := v.Pos()
			inside(p.Line, p.Column)
			rest := string([]rune(lines[p.Line-1])[p.Column-1:])
			assert.True(t, strings.HasPrefix(rest, "<"+v.Name()), "%q", rest)
		}
	})
}
