package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhatWasTranscribedUntilACrashIsKeptAndTold: the next process tells that there is no more, once, and has the text.
func TestWhatWasTranscribedUntilACrashIsKeptAndTold(t *testing.T) {
	for name, tc := range map[string]struct {
		verb   string
		before func(c *scenario.ScriptedCall) // what was said when the process ended
		text   string
		events []string
	}{
		"two words": {`tracks="both"`, func(c *scenario.ScriptedCall) { speaks(c); speaks(c) }, "one two", []string{"realTimeTranscriptionAvailable"}},
		"nothing":   {``, func(*scenario.ScriptedCall) { time.Sleep(time.Second) }, "", []string{"realTimeTranscriptionAvailable"}},
		"a destination": {
			`destination="ws://me:s3cret@10.0.0.3/"`, speaks, "one",
			[]string{"realTimeTranscriptionStopped", "realTimeTranscriptionAvailable"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			texts, crashed := t.TempDir(), t.TempDir()
			inBubble(t, func(cfg *node.Config) { cfg.Transcriptions.Dir = texts }, func(t *testing.T, b *bubble) {
				b.updatesAt("10.0.0.3:80", nil)
				c := b.call(response(`<Tag>vip</Tag><StartTranscription name="notes" transcriptionEventUrl="/texts" ` + tc.verb + `/><Pause duration="20"/>`))
				time.Sleep(100 * time.Millisecond)
				tc.before(c)
				require.NoError(t, os.CopyFS(crashed, os.DirFS(texts))) // as a crash leaves it
				e := b.app.Expect("initiate")
				status, body := b.get("/api/v2/accounts/5555555/calls/" + e.Text("callId") + "/transcriptions")
				assert.Equal(t, "200 []", strings.TrimSpace(fmt.Sprint(status, " ", body)), "it is not there before its end")
				c.Bye()
				b.disconnect("hangup", "")
				b.app.Expect("realTimeTranscriptionAvailable")
			})
			inBubble(t, func(cfg *node.Config) { cfg.Transcriptions.Dir = crashed }, func(t *testing.T, b *bubble) {
				for _, event := range tc.events {
					e := b.app.Expect(event).Check(map[string]any{"tag": "vip"})
					about := e.Properties["realTimeTranscription"].(map[string]any)
					assert.Equal(t, "notes", about["name"])
					if event == "realTimeTranscriptionStopped" {
						e.Check(map[string]any{"cause": "error", "errorMessage": "the node was restarted"})
						assert.Equal(t, "ws://10.0.0.3/", about["destination"])
						continue
					}
					assert.Equal(t, "failed", about["status"], "it is not whole")
					text := getJSON[map[string]any](b, about["url"].(string))
					assert.Equal(t, tc.text, text["tracks"].([]any)[0].(map[string]any)["transcript"])
					assert.NotContains(t, text, "lost")
				}
				assert.Equal(t, 1.0, b.metrics()[`callengine_transcriptions_total{kind="live",result="failed"}`])
				assert.Len(t, b.logs.FilterMessageSnippet("has ended with the process").All(), 1)
				time.Sleep(leftover)
				assert.Equal(t, tc.events, eventTypes(b))
			})
			inBubble(t, func(cfg *node.Config) { cfg.Transcriptions.Dir = crashed }, func(t *testing.T, b *bubble) {
				time.Sleep(leftover)
				assert.Empty(t, b.app.Events(), "it was told")
			})
			files, err := filepath.Glob(filepath.Join(texts, "*"))
			require.NoError(t, err)
			require.Len(t, files, 1)
			kept, err := os.ReadFile(files[0])
			require.NoError(t, err)
			assert.NotContains(t, string(kept), "s3cret", "of a text that was told of nothing else is kept")
		})
	}
}

// TestATextThatWasFinishedAndNotToldIsToldAsItWas: its call and its node ended at once, and the store was gone before the event
// could be owed. The next process tells whether it is whole, and with the tag that the call had in the end.
func TestATextThatWasFinishedAndNotToldIsToldAsItWas(t *testing.T) {
	for name, tc := range map[string]struct {
		take   time.Duration
		status string
	}{
		"whole":                             {0, "available"},
		"its engine did not get to its end": {time.Minute, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			texts := t.TempDir()
			crashed := crashAfter(t, crashSetup{
				app: answers(map[string]string{
					"initiate": `<StartTranscription name="notes" transcriptionEventUrl="/texts"/><Tag>vip</Tag><Pause duration="20"/>`,
				}),
				textsTake: tc.take, away: 10 * time.Second,
				change: func(cfg *node.Config) { cfg.Transcriptions.Dir = texts },
				between: func(c *crash) {
					r, err := c.store.Record(c.t.Context(), idsOf(c.t, c.store)[0])
					require.NoError(c.t, err)
					require.Equal(c.t, "vip", r.Tag)
					require.Empty(c.t, c.app.EventsOf("realTimeTranscriptionAvailable"))
				},
			}, 18, func(c *crash) {
				c.promises()
				told := c.app.EventsOf("realTimeTranscriptionAvailable")
				require.NotEmpty(c.t, told)
				assert.Equal(c.t, "vip", told[0].Text("tag"))
				about := told[0].Properties["realTimeTranscription"].(map[string]any)
				assert.Equal(c.t, tc.status, about["status"])
			})
			assert.True(t, crashed)
		})
	}
}
