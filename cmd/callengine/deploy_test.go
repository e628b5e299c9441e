package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheUnitIsTakenBySystemd has systemd look at the unit on the page, with this program in the place of the installed one.
func TestTheUnitIsTakenBySystemd(t *testing.T) {
	content, err := os.ReadFile("../../docs/callengine.service")
	require.NoError(t, err)
	const installed = "/usr/local/bin/callengine"
	require.Contains(t, string(content), "ExecStart="+installed+" serve ")
	unit := strings.ReplaceAll(string(content), installed, testBinary(t))
	file := filepath.Join(t.TempDir(), "callengine.service")
	require.NoError(t, os.WriteFile(file, []byte(unit), 0o600))
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.NotContains(t, string(out), "callengine.service:", "no warning is about the unit")
}

// TestTheContainerRunsACommandThatThereIs builds none: it holds what a build would not find wrong.
func TestTheContainerRunsACommandThatThereIs(t *testing.T) {
	content, err := os.ReadFile("../../docs/Containerfile")
	require.NoError(t, err)
	var args []string
	cmd := regexp.MustCompile(`(?m)^CMD (\[.*\])$`).FindSubmatch(content)
	require.NotNil(t, cmd)
	require.NoError(t, json.Unmarshal(cmd[1], &args))
	found, _, err := (&program{}).root().Find(args)
	require.NoError(t, err)
	assert.Equal(t, "serve", found.Name())
	assert.NotNil(t, found.Flag("config"))
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	assert.Contains(t, string(content), "golang:"+string(version[1])+" ", "go.mod's version")
}
