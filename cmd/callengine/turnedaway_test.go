package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// The expression for fail2ban in docs/operating.md, and the line that a node writes (a test in node holds its message and
// fields).
func TestTheDocumentedExpressionFindsSourcesInBothFormats(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(doc), "failregex = ")
	require.True(t, ok)
	expression, _, _ := strings.Cut(rest, "\n")
	filter := regexp.MustCompile(strings.Replace(expression, "<HOST>", `(?P<host>[0-9a-fA-F.:]+)`, 1))
	for _, format := range []string{"console", "json"} {
		for _, source := range []string{"192.0.2.7", "2001:db8::7"} {
			var out bytes.Buffer
			log, end := newLogger(node.LogConfig{Level: "info", Format: format}, &out)
			log.Warn("SIP source turned away", zap.String("source", source), zap.String("reason", "silenced"), zap.Duration("for", time.Minute))
			found := filter.FindStringSubmatch(out.String())
			require.Len(t, found, 2, out.String())
			assert.Equal(t, source, found[1])
			out.Reset()
			log.Info("call started", zap.String("from", `sip:x@"SIP source turned away" "source": "`+source+`"`))
			end()
			assert.Contains(t, out.String(), "call started")
			assert.NotRegexp(t, filter, out.String(), "a caller cannot have somebody banned")
		}
	}
}
