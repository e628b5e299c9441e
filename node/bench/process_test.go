package bench_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is the server under load, in a process of its own: what it costs is what the kernel counts for that process.
type process struct {
	b    testing.TB
	cmd  *exec.Cmd
	sip  string // host:port
	api  string // host:port; "": there is none
	logs *bytes.Buffer
}

// serverCore is where the server runs, and clientCore the rest, if there are two.
const serverCore, clientCore = "0", "1"

// on makes a command that runs on one core, where the machine has two and taskset. Go takes GOMAXPROCS from it.
func on(core, name string, args ...string) *exec.Cmd {
	taskset, err := exec.LookPath("taskset")
	if runtime.NumCPU() < 2 && os.Getenv(pinnedEnv) == "" || err != nil {
		return exec.Command(name, args...)
	}
	return exec.Command(taskset, append([]string{"-c", core, name}, args...)...)
}

// pinnedEnv says that the benchmarks themselves run on one core of several.
const pinnedEnv = "CALLENGINE_BENCH_PINNED"

// inMemory keeps a node's journals in memory, as all benchmarks do but that of the disk.
const inMemory = "state.dir="

// startNode builds and starts a node whose calls all go to the application at url. set are settings of its configuration.
func startNode(b testing.TB, url string, set ...string) *process {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "callengine")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "github.com/callengine/callengine/cmd/callengine")
	out, err := build.CombinedOutput()
	require.NoError(b, err, string(out))
	sip, api := freePort(b, "udp"), freePort(b, "tcp")
	args := []string{"serve", "--app", url + "/initiate", "--set", "sip.listen=udp://" + sip, "--set", "api.listen=" + api,
		"--set", "media.tts.engine=none", "--drain-timeout", "1s"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	p := &process{b: b, sip: sip, api: api, cmd: on(serverCore, binary, args...), logs: &bytes.Buffer{}}
	p.start(b)
	return p
}

// startFloor starts the bare server. An application that is not "" is told of its calls.
func startFloor(b testing.TB, app string) *process {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	p := &process{b: b, sip: freePort(b, "udp"), cmd: on(serverCore, self), logs: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), floorEnv+"="+p.sip, floorAppEnv+"="+app)
	p.start(b)
	return p
}

func (p *process) start(b testing.TB) {
	b.Helper()
	p.cmd.Dir = b.TempDir()
	logs, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	p.cmd.Stderr = logs
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, p.cmd.Start())
	b.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
		_ = logs.Close()
		if b.Failed() {
			text, _ := os.ReadFile(logs.Name())
			b.Logf("%s", text[max(0, len(text)-3000):])
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n') // both say on their console that they listen
	require.NoError(b, err, line)
	go func() { _, _ = bufio.NewReader(stdout).WriteTo(discard{}) }()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func freePort(b testing.TB, network string) string {
	b.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		require.NoError(b, err)
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	return l.Addr().String()
}

// clockTick is what /proc counts CPU time in: USER_HZ, 100 on every Linux.
const clockTick = 10 * time.Millisecond

// cpu is the time that the process has computed for, user and system.
func (p *process) cpu() time.Duration {
	p.b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(p.b, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:])) // from field 3 on
	user, err := strconv.Atoi(fields[11])
	require.NoError(p.b, err)
	system, err := strconv.Atoi(fields[12])
	require.NoError(p.b, err)
	return time.Duration(user+system) * clockTick
}

// resident is the memory of the process, in bytes.
func (p *process) resident() int {
	p.b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	require.NoError(p.b, err)
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	require.NoError(p.b, err)
	return pages * os.Getpagesize()
}

// memory is the memory of a node, in bytes.
type memory struct {
	resident     int
	stacks, heap float64 // as Go counts them; the heap with what is garbage and not yet swept
}

func (p *process) memory() memory {
	p.b.Helper()
	res, err := http.Get("http://" + p.api + "/metrics")
	require.NoError(p.b, err)
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(p.b, err)
	gauge := func(name string) float64 {
		_, rest, found := strings.Cut(string(text), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(value, 64)
		require.True(p.b, found && err == nil, name)
		return v
	}
	return memory{p.resident(), gauge("go_memstats_stack_inuse_bytes"), gauge("go_memstats_heap_inuse_bytes")}
}
