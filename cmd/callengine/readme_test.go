package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// block is a fenced block of a page.
type block struct {
	language, file string // "```yaml callengine.yaml": the file that its text stands for
	text           string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)(?: (\\S+))?\\n(.*?)^```$")

func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	var blocks []block
	for _, found := range fence.FindAllStringSubmatch(string(content), -1) {
		blocks = append(blocks, block{found[1], found[2], found[3]})
	}
	return blocks
}

// shell runs a line as a reader of README.md would, in a folder with its files, and with this test for callengine.
// A reader's node has the ports of its own that env says.
func shell(t *testing.T, dir string, env []string, line string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("bash", "-c", "exec env "+line)
	if strings.Contains(line, "|") {
		cmd = exec.Command("bash", "-c", line)
	}
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), asCommand, "PATH="+dir+":"+os.Getenv("PATH")), env...)
	return cmd
}

// TestEveryCommandOfTheReadmeWorks runs every line with callengine in it of every block marked sh, in order. `serve` goes
// on in the background until the end of the test, or until the next one; whatever else ends with 0, or with the code that
// the line's comment names ("# exit 1"). The id c-... stands for that of a call that was placed on the node before.
func TestEveryCommandOfTheReadmeWorks(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink(testBinary(t), filepath.Join(dir, "callengine")))
	api := freeAddress(t)
	env := []string{
		"CALLENGINE_SIP_LISTEN=udp://127.0.0.1:0,tcp://127.0.0.1:0", "CALLENGINE_SIP_ADVERTISE=", "CALLENGINE_MEDIA_RTP_PORTS=32000-32999",
		"CALLENGINE_API_LISTEN=" + api, "CALLENGINE_API_PUBLIC_URL=http://" + api,
	}
	blocks := blocksOf(t, "../../README.md")
	writeFiles(t, dir, blocks)
	stop := func() {}
	defer func() { stop() }()
	callID := ""
	for _, line := range commandsOf(blocks) {
		if strings.Contains(line, "callengine serve") {
			stop()
			stop, callID = serveLine(t, shell(t, dir, env, line), api)
			continue
		}
		runLine(t, dir, env, strings.ReplaceAll(line, "c-...", callID))
	}
	all := strings.Join(commandsOf(blocks), "\n") + "\n"
	for _, c := range (&program{}).root().Commands() {
		assert.Regexp(t, `callengine `+c.Name()+`\s`, all)
	}
}

// writeFiles writes the blocks that are files.
func writeFiles(t *testing.T, dir string, blocks []block) {
	t.Helper()
	for _, b := range blocks {
		if b.file != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, b.file), []byte(b.text), 0o600))
		}
	}
}

// commandsOf returns the lines with callengine in them of the blocks marked sh.
func commandsOf(blocks []block) (lines []string) {
	for _, b := range blocks {
		if b.language != "sh" {
			continue
		}
		for line := range strings.Lines(b.text) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "./bin/")
			if strings.Contains(line, "callengine ") && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// runLine runs a line that must end with 0, or with the code that its comment names, and returns what it printed.
func runLine(t *testing.T, dir string, env []string, line string) string {
	t.Helper()
	want := 0
	if _, comment, found := strings.Cut(line, "# exit "); found {
		_, err := fmt.Sscan(comment, &want)
		require.NoError(t, err)
	}
	cmd := shell(t, dir, env, line)
	out, _ := cmd.CombinedOutput() // the code tells
	assert.Equal(t, want, cmd.ProcessState.ExitCode(), "%s\n%s", line, out)
	return string(out)
}

// serveLine starts a node, places a call on it, and returns the call's id, and what stops the node.
func serveLine(t *testing.T, cmd *exec.Cmd, api string) (stop func(), callID string) {
	t.Helper()
	out, errs := &console{}, &console{}
	cmd.Stdout, cmd.Stderr = out, errs
	require.NoError(t, cmd.Start())
	stop = func() {
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT)) // the call need not end by itself
		_ = cmd.Wait()                                         // 1, or 0 where the drain was quick
	}
	sip := out.await(t, `sip:[A-Za-z]+@(\S+)`)[1]
	out.await(t, `HTTP is at `)
	ring(t, sip)
	res, err := http.Get("http://" + api + "/api/v2/accounts/5555555/calls")
	require.NoError(t, err)
	var calls []struct{ CallID string }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&calls))
	require.NoError(t, res.Body.Close())
	require.NotEmpty(t, calls)
	return stop, calls[len(calls)-1].CallID // those of the nodes before are there, too
}

// testBinary is this program.
func testBinary(t *testing.T) string {
	t.Helper()
	name, err := os.Executable()
	require.NoError(t, err)
	return name
}

// freeAddress is an address that was free a moment ago. Its port is none of those that systems give to whoever asks for any.
func freeAddress(t *testing.T) string {
	t.Helper()
	for n := range 700 {
		address := fmt.Sprint("127.0.0.1:", 32000+(os.Getpid()+n)%700)
		if l, err := net.Listen("tcp", address); err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.FailNow(t, "no port is free")
	return ""
}
