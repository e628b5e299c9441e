package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func linesOf(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == '\n' }) }

func TestConfigPrintsWhatServeWouldSee(t *testing.T) {
	config := file(t, "c.yaml", "api: {username: ops, password: HIDDEN}\nlog: {level: warn, format: json}")
	got := run(t, "", []string{"CALLENGINE_LOG_LEVEL=debug", "CALLENGINE_NONE=1"},
		"config", "--config", config, "--set", "sip.reject_code=486", "--app", "http://u:HIDDEN@127.0.0.1:3000/")
	assert.Equal(t, exitFine, got.code)
	assert.Equal(t, "callengine: warning: CALLENGINE_NONE: unknown variable, ignored\n", got.err)
	for _, line := range []string{
		"log:\n  level: debug\n  format: json\n", "reject_code: 486\n", "password: '***'\n",
		"call_initiated_callback_url: http://***@127.0.0.1:3000/\n",
	} {
		assert.Contains(t, got.out, line)
	}
	assert.NotContains(t, got.out, "HIDDEN")

	again := run(t, "", nil, "config", "--config", file(t, "again.yaml", got.out))
	assert.Equal(t, got.out, again.out)
	assert.Empty(t, again.err)
}
