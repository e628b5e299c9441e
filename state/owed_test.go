package state

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnOwedEventIsReadWhereverItsBodyStands(t *testing.T) {
	for name, event := range map[string]string{
		"at the end":             `{"id":"e-1","type":"disconnect","target":{"url":"http://a","method":"POST"},"body":{"id":"no","type":"no"}}`,
		"at the beginning":       `{"body":{"id":"no"},"id":"e-1","type":"disconnect","target":{"url":"http://a","method":"POST"}}`,
		"in the middle":          `{"id":"e-1","body":{"type":"no"},"type":"disconnect","target":{"url":"http://a","method":"POST"}}`,
		"nowhere":                `{"id":"e-1","type":"disconnect","target":{"url":"http://a","method":"POST"}}`,
		"and is no object":       `{"id":"e-1","type":"disconnect","target":{"url":"http://a","method":"POST"},"body":"x"}`,
		"and is told in another": `{"id":"e-1","type":"disconnect","target":{"url":"http://a","method":"POST"},"note":"\",\"body\":{","body":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			e, err := owedEntry("c-1", []byte(event))
			require.NoError(t, err)
			assert.Equal(t, "e-1", e.Webhook.EventID)
			assert.Equal(t, "disconnect", e.Webhook.EventType)
			assert.Equal(t, "http://a", e.Webhook.URL)
			assert.Equal(t, "POST", e.Webhook.Method)
			assert.JSONEq(t, event, string(e.Webhook.Owed))
		})
	}
}
