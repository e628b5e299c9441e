package webhook

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEnvelopeIsReadAsItWasPacked(t *testing.T) {
	for name, body := range map[string]string{"an event": `{"eventType":"disconnect","tag":"a \u003c b \" }"}`, "none": ""} {
		t.Run(name, func(t *testing.T) {
			e := envelope{
				ID: "e-1", Type: "disconnect", CallID: "c-1", Body: json.RawMessage(body),
				Target: Target{URL: "http://a/?x=1&y", Auth: &BasicAuth{Username: "u", Password: `"}`}, Timeout: time.Second},
			}
			if body == "" {
				e.Body = nil
			}
			packed, err := e.pack()
			require.NoError(t, err)
			var read envelope
			require.NoError(t, json.Unmarshal(packed, &read))
			assert.Equal(t, e, read)
		})
	}
}
