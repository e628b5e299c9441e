package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recordingIn keeps the recordings of a node in a folder.
func recordingIn(dir string) func(*node.Config) {
	return func(cfg *node.Config) { cfg.Recordings.Dir = dir }
}

// soundFile finds the one file of a format in an archive's folder.
func soundFile(t *testing.T, dir, format string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "r-*."+format))
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0]
}

// recordingEntries are those of a call's journal.
func (b *bubble) recordingEntries(e interface{ Text(string) string }) (events []string) {
	for _, entry := range b.journal(e) {
		if entry.Type == state.TypeRecording {
			events = append(events, entry.Recording.Event)
		}
	}
	return events
}

func TestRecordEndsAtADigitAndAsksForTheNextDocument(t *testing.T) {
	dir := t.TempDir()
	inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
		b.app.On("recordComplete", scenario.BXML(response(`<Hangup/>`)))
		c := b.call(response(`<Record recordCompleteUrl="/done" recordingAvailableUrl="/available" tag="mail"/><Tag>never</Tag>`))
		began := time.Now()
		time.Sleep(time.Second)
		c.SendTone(700, 2*time.Second)
		require.NoError(t, c.SendDigits(t.Context(), "1#", 100*time.Millisecond, 60*time.Millisecond))
		e := b.app.Expect("recordComplete").Check(map[string]any{
			"tag": "mail", "channels": 1, "fileFormat": "wav", "answerTime": scenario.Present, "recordingId": scenario.Present,
		})
		assert.Equal(t, "/done", e.Path)
		assert.Equal(t, e.Text("callUrl")+"/recordings/"+e.Text("recordingId")+"/media", e.Text("mediaUrl"))
		c.Expect("BYE")
		available := b.app.Expect("recordingAvailable").Check(map[string]any{
			"status": "complete", "recordingId": e.Text("recordingId"), "mediaUrl": e.Text("mediaUrl"), "duration": e.Text("duration"),
			"startTime": e.Text("startTime"), "endTime": e.Text("endTime"), "tag": "mail", "answerTime": scenario.Absent,
		})
		assert.Equal(t, "/available", available.Path)
		d := b.disconnect("hangup", "").Check(map[string]any{"tag": "mail"})
		assert.Equal(t, []string{"started", "ended", "available"}, b.recordingEntries(d))
		start, err := time.Parse(time.RFC3339, e.Text("startTime"))
		require.NoError(t, err)
		assert.WithinDuration(t, began, start, 20*time.Millisecond)
		path := soundFile(t, dir, "wav")
		info, err := os.Stat(path)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		sounds(t, 3060*time.Millisecond, durationIn(t, e)) // up to the # less a tenth of a second
	})
}

// durationIn is the property "duration" of an event.
func durationIn(t *testing.T, e interface{ Text(string) string }) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(toGo(e.Text("duration")))
	require.NoError(t, err)
	return d
}

// toGo writes a duration of ISO 8601 in seconds as Go has it.
func toGo(iso string) string {
	return strings.ToLower(strings.TrimPrefix(iso, "PT"))
}
