package main

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A scenario of a call that is hung up at once, and what may be expected of it.
const (
	hangsUp = `name: hung up at once
application: {bxml: <Response><Hangup/></Response>}
expect:
  order:
    - {sip: 603 INVITE, from: node}
    - {webhook: disconnect, with: {cause: %s}}
`
	speaks = `name: says something
application: {bxml: <Response><SpeakSentence>Hello</SpeakSentence></Response>}
expect: {verbs: [SpeakSentence], heard: {tone: 440}}
`
)

var (
	changing = regexp.MustCompile(`c-[0-9a-f-]{36,}|127\.0\.0\.1:\d+|\d+ ms|under 1 ms`)
	times    = regexp.MustCompile(`(?m)\d+\.\d\d(s)|^( +)\d+\.\d{3} |after \d+\.\d{3} s`)
)

// steady is an output without what is different each time.
func steady(out, dir string) string {
	out = strings.ReplaceAll(out, dir, "DIR")
	out = changing.ReplaceAllStringFunc(out, func(s string) string { return strings.Repeat("#", 1) })
	return times.ReplaceAllString(out, "T")
}

func scenarios(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func TestReplayReportsALinePerScenario(t *testing.T) {
	dir := scenarios(t, map[string]string{
		"1.yaml": strings.Replace(hangsUp, "%s", "hangup", 1), "2.yml": speaks, "readme.txt": "no scenario",
		"3.yaml": "name: hung up\napplication: {bxml: <Response/>}\n",
	})
	got := run(t, "", nil, "replay", dir)
	assert.Equal(t, exitFine, got.code, got.out+got.err)
	assert.Equal(t, "ok    DIR/1.yaml: hung up at once (T)\nok    DIR/2.yml: says something (T)\n"+
		"ok    DIR/3.yaml: hung up, which expects nothing (T)\n3 ok (T)\n", steady(got.out, dir))
}

func TestReplayShowsTheFirstDifferenceInTheLadder(t *testing.T) {
	dir := scenarios(t, map[string]string{"1.yaml": strings.Replace(hangsUp, "%s", "error", 1), "2.yaml": speaks})
	report := filepath.Join(dir, "report.xml")
	got := run(t, "", nil, "replay", "--junit", report, dir)
	assert.Equal(t, exitFailed, got.code)
	out := steady(got.out, dir)
	assert.True(t, strings.HasPrefix(out, "FAIL  DIR/1.yaml: hung up at once (T)\n"+
		"      DIR/1.yaml:6: webhook disconnect came, but cause is \"hangup\", and must be \"error\"\n\ninbound call #\n"), out)
	assert.Regexp(t, `disconnect: POST /status .*\n✗ webhook disconnect came, but cause is "hangup", and must be "error"\n`, out)
	assert.True(t, strings.HasSuffix(out, "ok    DIR/2.yaml: says something (T)\n1 ok, 1 FAILED (T)\n"), out)

	content, err := os.ReadFile(report)
	require.NoError(t, err)
	var suite junitSuite
	require.NoError(t, xml.Unmarshal(content, &suite))
	assert.Equal(t, 2, suite.Tests)
	assert.Equal(t, 1, suite.Failures)
	assert.Equal(t, "hung up at once", suite.Cases[0].Name)
	assert.Contains(t, suite.Cases[0].Failure.Message, `cause is "hangup"`)
	assert.Contains(t, suite.Cases[0].Failure.Text, "✗ webhook disconnect")
	assert.Nil(t, suite.Cases[1].Failure)
}

func TestReplayRunsWhatIsAskedFor(t *testing.T) {
	dir := scenarios(t, map[string]string{"1.yaml": strings.Replace(hangsUp, "%s", "error", 1), "2.yaml": speaks})
	got := run(t, "", nil, "replay", "-v", "--run", "^says", dir)
	assert.Equal(t, exitFine, got.code, got.err)
	assert.Contains(t, got.out, "sound playing: Hello")
	assert.Contains(t, got.out, "\n1 ok (")
}

func TestReplayAsksARealApplication(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing in it shows
		if strings.Contains(string(body), `"initiate"`) {
			_, _ = io.WriteString(w, "<Response><Ring duration=\"0.1\"/></Response>")
		}
	}))
	defer app.Close()
	dir := scenarios(t, map[string]string{"1.yaml": strings.Replace(speaks, "[SpeakSentence], heard: {tone: 440}", "[Ring]", 1)})
	got := run(t, "", nil, "replay", "--app", app.URL+"/bxml", dir)
	assert.Equal(t, exitFine, got.code, got.out+got.err)
}

func TestReplayUpdatesFiles(t *testing.T) {
	wrong := "# why\n" + strings.Replace(hangsUp, "%s}}", "error}} # or not", 1)
	stuck := "name: stuck\napplication: {bxml: <Response/>}\nphone: [refer: 202]\n"
	bald := "application: {bxml: <Response><Hangup/></Response>}\n"
	dir := scenarios(t, map[string]string{"1.yaml": wrong, "2.yaml": speaks, "3.yaml": bald, "4.yaml": stuck})
	got := run(t, "", nil, "replay", "--update", dir)
	assert.Equal(t, exitFailed, got.code)
	out := steady(got.out, dir)
	assert.True(t, strings.HasPrefix(out, "new   DIR/1.yaml: hung up at once (T): the file was updated\nok    DIR/2.yaml: says something (T)\n"+
		"new   DIR/3.yaml (T): the file was updated\nFAIL  DIR/4.yaml: stuck (T)\n      DIR/4.yaml:3: REFER did not come: the call was over: the INVITE got 603 Decline\n"+
		"      the file was not updated: the call was not played to its end\n"), out)
	assert.True(t, strings.HasSuffix(out, "\n1 ok, 2 updated, 1 FAILED (T)\n"), out)
	for name, want := range map[string]string{
		"1.yaml": strings.Replace(wrong, "error", "hangup", 1), "2.yaml": speaks, "4.yaml": stuck,
	} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(content))
	}
	content, err := os.ReadFile(filepath.Join(dir, "3.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(content), bald+"expect:\n  order:\n")
	got = run(t, "", nil, "replay", "--update", "--run", "[123].yaml", dir)
	assert.Equal(t, exitFine, got.code)
	assert.Contains(t, steady(got.out, dir), "\n3 ok (T)\n")
}

// TestReplayDoesNotUpdateFromAnotherApplication holds for scenarios with replies of their own: what another application
// answers says nothing of them. Those without are updated.
func TestReplayDoesNotUpdateFromAnotherApplication(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<Response><Ring duration=\"0.1\"/></Response>")
	}))
	defer app.Close()
	bare := "expect: {verbs: [Hangup]}\n"
	dir := scenarios(t, map[string]string{"1.yaml": speaks, "2.yaml": bare})
	got := run(t, "", nil, "replay", "--update", "--app", app.URL, dir)
	assert.Equal(t, exitFailed, got.code)
	assert.Contains(t, got.out, "the file was not updated: it has replies of its own, and --app asked another application")
	content, err := os.ReadFile(filepath.Join(dir, "1.yaml"))
	require.NoError(t, err)
	assert.Equal(t, speaks, string(content))
	content, err = os.ReadFile(filepath.Join(dir, "2.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(content), "verbs: [Ring]")
}

func TestReplayOfWhatCannotBeRun(t *testing.T) {
	dir := scenarios(t, map[string]string{"1.yaml": "phon: []\n", "2.yaml": "call: {t: x}\n", "3.yaml": speaks})
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"mistakes":       {[]string{dir}, "callengine: DIR/1.yaml:1:1: unknown key phon; did you mean phone\ncallengine: DIR/2.yaml:1:8: unknown key t; did you mean to\n"},
		"no such path":   {[]string{"/none"}, "callengine: /none: no such file or directory\n"},
		"nothing to run": {[]string{"--run", "nope", filepath.Join(dir, "3.yaml")}, "callengine: --run: none of 1 scenarios matches \"nope\"\n"},
		"bad expression": {[]string{"--run", "(", dir}, "callengine: --run: error parsing regexp: missing closing ): `(`\n"},
		"bad URL":        {[]string{"--app", "localhost", dir}, "callengine: --app: must be an absolute http:// or https:// URL\n"},
		"no path":        {nil, "callengine: a PATH is missing\n"},
		"no scenario":    {[]string{t.TempDir()}, "no scenario (*.yaml) in it\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", nil, append([]string{"replay"}, tc.args...)...)
			assert.Equal(t, exitUsage, got.code)
			assert.Contains(t, steady(got.err, dir), tc.want)
			assert.Empty(t, got.out)
		})
	}
}
