package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	testingPage = "../../docs/testing.md"
	appOfPage   = "http://127.0.0.1:3000" // where the page's application listens
)

// pageApp does what the application of the page does.
func pageApp(t *testing.T) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct{ EventType, ReferCallStatus string }
		_ = json.NewDecoder(r.Body).Decode(&event) // what is missing shows
		switch {
		case event.EventType == "initiate":
			_, _ = io.WriteString(w, `<Response><Refer referCompleteUrl="/done"><SipUri>sip:desk@pbx.example.com</SipUri></Refer></Response>`)
		case event.EventType == "referComplete" && event.ReferCallStatus == "failure":
			_, _ = io.WriteString(w, "<Response><SpeakSentence>Nobody is free.</SpeakSentence><Hangup/></Response>")
		}
	}))
	t.Cleanup(app.Close)
	return app.URL
}

// pageFolder is a folder with the files of the page and with callengine.
func pageFolder(t *testing.T, blocks []block) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(testBinary(t), filepath.Join(dir, "callengine")))
	writeFiles(t, dir, blocks)
	return dir
}

// TestEveryCommandOfThePageOnTestingWorks runs them in order, and finds what the page shows of a failure in what is printed.
func TestEveryCommandOfThePageOnTestingWorks(t *testing.T) {
	blocks := blocksOf(t, testingPage)
	dir, app := pageFolder(t, blocks), pageApp(t)
	var printed strings.Builder
	lines := commandsOf(blocks)
	assert.GreaterOrEqual(t, len(lines), 6)
	for _, line := range lines {
		printed.WriteString(runLine(t, dir, nil, strings.ReplaceAll(line, appOfPage, app)))
	}
	shown := 0
	for _, b := range blocks {
		if strings.HasPrefix(b.text, "FAIL ") {
			shown++
			assert.Contains(t, steady(printed.String(), dir), steady(b.text, dir))
		}
	}
	assert.Positive(t, shown)
}

// TestTheWorkflowOfThePageOnTestingWorks runs its line with replay in a folder as the page has it.
func TestTheWorkflowOfThePageOnTestingWorks(t *testing.T) {
	content, err := os.ReadFile("../../docs/workflow.yaml")
	require.NoError(t, err)
	blocks := blocksOf(t, testingPage)
	assert.Equal(t, string(content), blocks[len(blocks)-1].text, "the page shows the file")
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Uses, Run string }
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &workflow))
	dir, app := pageFolder(t, blocks), pageApp(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "scenarios"), 0o700))
	require.NoError(t, os.Rename(filepath.Join(dir, "own.yaml"), filepath.Join(dir, "scenarios", "own.yaml")))
	ran := 0
	for _, step := range workflow.Jobs["calls"].Steps {
		if strings.HasPrefix(step.Run, "callengine ") {
			ran++
			out := runLine(t, dir, nil, strings.ReplaceAll(step.Run, appOfPage, app))
			assert.Contains(t, out, "1 ok")
		}
	}
	assert.Equal(t, 1, ran)
	assert.FileExists(t, filepath.Join(dir, "report.xml"))
}
