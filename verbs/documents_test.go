package verbs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Documents say themselves what must be found in them:
//
//	<!-- want 3:7 "unknown verb Reffer; did you mean Refer" -->     an error, with its whole reason
//	<!-- warn 3:7 "unknown attribute x is ignored" -->              a warning
//	<!-- base "https://app.example/bxml" -->                        the URL that returned it
//	<!-- on conference -->                                          where it runs: call, transferAnswer or conference
//
// Nothing else may be found.
var (
	wantComment = regexp.MustCompile(`<!-- (want|warn) (\d+:\d+) (".*") -->`)
	baseComment = regexp.MustCompile(`<!-- base (".*") -->`)
	onComment   = regexp.MustCompile(`<!-- on (\w+) -->`)
)

var places = map[string]Place{"call": OnCall, "transferAnswer": OnTransferAnswer, "conference": OnConference}

func TestDocuments(t *testing.T) {
	t.Parallel()
	for folder, valid := range map[string]bool{"good": true, "bad": false} {
		files, err := filepath.Glob("../testdata/bxml/" + folder + "/*.bxml")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				body, err := os.ReadFile(file)
				require.NoError(t, err)
				doc, errs := parseDocument(t, body)
				assert.Equal(t, valid, errs == nil, "valid: %v", errs)
				var got []string
				for _, e := range errs {
					got = append(got, fmt.Sprintf("want %d:%d %q", e.Line, e.Column, e.Reason))
				}
				for _, w := range doc.Warnings {
					got = append(got, fmt.Sprintf("warn %d:%d %q", w.Line, w.Column, w.Reason))
				}
				var want []string
				for _, m := range wantComment.FindAllSubmatch(body, -1) {
					reason, err := strconv.Unquote(string(m[3]))
					require.NoError(t, err)
					want = append(want, fmt.Sprintf("%s %s %q", m[1], m[2], reason))
				}
				assert.ElementsMatch(t, want, got)
			})
		}
	}
}

// parseDocument parses a document as its comments say.
func parseDocument(t testing.TB, body []byte) (*Document, SyntaxErrors) {
	t.Helper()
	base, place := "", OnCall
	if m := baseComment.FindSubmatch(body); m != nil {
		base, _ = strconv.Unquote(string(m[1]))
	}
	if m := onComment.FindSubmatch(body); m != nil {
		require.Contains(t, places, string(m[1]))
		place = places[string(m[1])]
	}
	doc, err := NewParser(Config{}).ParseIn(place, body, base)
	var errs SyntaxErrors
	if err != nil {
		require.True(t, errors.As(err, &errs), "%v", err)
	}
	return doc, errs
}
