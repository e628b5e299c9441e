package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
)

func TestDemoShowsEveryCallAndEndsWithALineForEach(t *testing.T) {
	got := run(t, "", nil, "demo")
	assert.Equal(t, exitFine, got.code, got.err+got.out)
	assert.Equal(t, 4, strings.Count(got.out, "\nok    "), got.out)
	assert.GreaterOrEqual(t, strings.Count(got.out, "REFER"), 4)
	for line := range strings.Lines(got.out) {
		if strings.Contains(line, "│") {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), state.MaxLadderWidth, line)
		}
	}
}
