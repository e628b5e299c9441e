package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckPrintsEveryErrorAndWarningWithItsPlace(t *testing.T) {
	const (
		good    = "<Response><Hangup/></Response>"
		bad     = "<Response>\n  <Reffer/>\n  <Hangup x=\"1\"/>\n</Response>"
		warning = "<Response>\n  <Hangup colour=\"red\"/></Response>"
	)
	fine, broken, odd := file(t, "fine.bxml", good), file(t, "broken.bxml", bad), file(t, "odd.bxml", warning)
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  []string // begin the lines
	}{
		"valid":                    {"", []string{fine}, exitFine, nil},
		"invalid":                  {"", []string{broken}, exitFailed, []string{broken + ":2:3: <Reffer>: unknown verb Reffer; did you mean Refer", broken + ":3:11: warning: <Hangup>: "}},
		"ignored":                  {"", []string{odd}, exitFine, []string{odd + ":2:11: warning: <Hangup>: "}},
		"ignored, strict":          {"", []string{"--strict", odd}, exitFailed, []string{odd + ":2:11: warning: <Hangup>: "}},
		"standard input":           {bad, []string{"-"}, exitFailed, []string{"<stdin>:2:3: <Reffer>: ", "<stdin>:3:11: warning: "}},
		"several":                  {"", []string{fine, broken, odd}, exitFailed, []string{broken + ":2:3: ", broken + ":3:11: ", odd + ":2:11: "}},
		"not XML":                  {"hello", []string{"-"}, exitFailed, []string{"<stdin>:1:1: "}},
		"empty":                    {"", []string{"-"}, exitFine, nil},
		"strict, nothing to say":   {good, []string{"-", "--strict"}, exitFine, nil},
		"unreadable, others still": {"", []string{"/none.bxml", broken}, exitUsage, []string{broken + ":2:3: ", broken + ":3:11: "}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, tc.stdin, nil, append([]string{"check"}, tc.args...)...)
			assert.Equal(t, tc.code, got.code, got.err)
			lines := linesOf(got.out)
			if assert.Len(t, lines, len(tc.want), got.out) {
				for i, want := range tc.want {
					assert.Contains(t, lines[i], want)
				}
			}
		})
	}
}

func TestCheckKnowsTheVoicesOfTheConfiguration(t *testing.T) {
	const document = `<Response><SpeakSentence voice="nora">Hei</SpeakSentence></Response>`
	config := file(t, "c.yaml", "media: {tts: {voices: [{name: nora, locale: nb_NO, gender: female}]}}")
	assert.Equal(t, exitFailed, run(t, document, nil, "check", "-").code)
	assert.Equal(t, exitFine, run(t, document, nil, "check", "--config", config, "-").code)
}
