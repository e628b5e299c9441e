package node_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConformancePage holds docs/conformance.md to the verdicts that TestTorture checks.
func TestConformancePage(t *testing.T) {
	const page = "../docs/conformance.md"
	data, err := os.ReadFile(page)
	require.NoError(t, err)
	text := string(data)
	for rfc, list := range verdicts(t) {
		begin, end := "<!-- "+rfc+" -->\n", "<!-- end -->"
		head, rest, ok := strings.Cut(text, begin)
		require.True(t, ok, begin)
		table, tail, ok := strings.Cut(rest, end)
		require.True(t, ok, end)
		want := tableOf(list)
		if flag.Lookup("update").Value.String() == "true" {
			text = head + begin + want + end + tail
			require.NoError(t, os.WriteFile(page, []byte(text), 0o644))
			continue
		}
		require.Equal(t, want, table, "go test -run TestConformancePage -update ./node writes it anew")
	}
}

func tableOf(list []verdict) string {
	var b strings.Builder
	b.WriteString("| section | message | what the RFC says | a node answers |\n| --- | --- | --- | --- |\n")
	for _, v := range list {
		answer := v.Answer
		if v.Answer == "none" {
			answer = "nothing"
		}
		if v.Header != "" {
			answer += ", " + v.Header
		}
		if v.Over != "" {
			answer += " (" + strings.ToUpper(v.Over) + ")"
		}
		if v.Again != "" {
			answer += "; over TCP " + v.Again + ", and the connection ends"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", v.Section, v.Name, v.RFC, strings.TrimSpace(answer+". "+v.Why))
	}
	return b.String()
}
