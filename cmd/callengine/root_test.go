package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asCommand has the test binary be the command itself, for tests that need a process.
const asCommand = "TEST_AS_COMMAND=1"

func TestMain(m *testing.M) {
	name, value, _ := strings.Cut(asCommand, "=")
	if os.Getenv(name) == value {
		main()
	}
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == exitFine {
		fmt.Fprintln(os.Stderr, err)
		code = exitFailed
	}
	os.Exit(code)
}

// console is a buffer that can be read, and waited for, while it is written. The zero value is empty.
type console struct {
	mu      sync.Mutex
	b       bytes.Buffer
	written chan struct{} // closed by the next Write; nil: nobody waits
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written != nil {
		close(c.written)
		c.written = nil
	}
	return c.b.Write(p)
}

// patience is for what takes no time unless it fails.
const patience = 20 * time.Second

// await waits until what was written matches, and returns the submatches.
func (c *console) await(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		c.mu.Lock()
		found := re.FindStringSubmatch(c.b.String())
		if c.written == nil {
			c.written = make(chan struct{})
		}
		written := c.written
		c.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-written:
		case <-late:
			require.FailNow(t, "not written: "+pattern, c.String())
		}
	}
}

func (c *console) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// ran is what a command has left behind.
type ran struct {
	code     int
	out, err string
}

// run runs a command in this process, with an environment of its own.
func run(t *testing.T, stdin string, env []string, args ...string) ran {
	t.Helper()
	var out, err console
	none := func() <-chan os.Signal { return nil }
	p := program{in: strings.NewReader(stdin), out: &out, err: &err, env: env, signals: none}
	code := p.run(context.Background(), args)
	return ran{code, out.String(), err.String()}
}

// file writes a file and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestWrongUsageExitsWith2AndNamesWhatIsWrong(t *testing.T) {
	config := file(t, "c.yaml", "sip:\n  lisen: []\n")
	unknown := file(t, "u.yaml", "sip:\n  advertise: none.invalid\n")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no command":                {nil, "callengine: a command is missing"},
		"unknown command":           {[]string{"server"}, `callengine: unknown command "server" for "callengine"`},
		"unknown flag":              {[]string{"serve", "--prot", "1"}, "callengine: unknown flag: --prot; see callengine serve --help\n"},
		"unknown flag of the root":  {[]string{"--prot"}, "callengine: unknown flag: --prot; see callengine --help\n"},
		"unknown short flag":        {[]string{"calls", "-x"}, "callengine: unknown shorthand flag: 'x' in -x"},
		"mistyped command":          {[]string{"serv"}, "Did you mean this?\n\tserve"},
		"argument of serve":         {[]string{"serve", "now"}, `callengine: unexpected argument "now"`},
		"argument of calls":         {[]string{"calls", "c-1"}, `callengine: unexpected argument "c-1"`},
		"argument of version":       {[]string{"version", "x"}, `callengine: unexpected argument "x"`},
		"call without an id":        {[]string{"call"}, "callengine: the ID of a call is missing"},
		"call with two":             {[]string{"call", "a", "b"}, `callengine: unexpected argument "b"`},
		"check without a file":      {[]string{"check"}, "callengine: a FILE is missing"},
		"check of a missing file":   {[]string{"check", "/none.bxml"}, "callengine: open /none.bxml: no such file or directory"},
		"flag without its value":    {[]string{"serve", "--config"}, "callengine: flag needs an argument: --config"},
		"drain time-out":            {[]string{"serve", "--drain-timeout", "30"}, `callengine: invalid argument "30" for "--drain-timeout" flag`},
		"negative drain time-out":   {[]string{"serve", "--drain-timeout=-1s"}, "callengine: --drain-timeout: must not be negative"},
		"application":               {[]string{"serve", "--app", "3000"}, "callengine: --app: must be an absolute http:// or https:// URL"},
		"key":                       {[]string{"serve", "--set", "sip.port=1"}, "callengine: --set: sip.port: unknown key"},
		"key of the file of serve":  {[]string{"serve", "--config", config}, "callengine: " + config + ":2: sip.lisen: unknown key; did you mean listen"},
		"key of the file of config": {[]string{"config", "--config", config}, "callengine: " + config + ":2: sip.lisen: unknown key; did you mean listen"},
		"key of the file of check":  {[]string{"check", "--config", config, "-"}, "callengine: " + config + ":2: sip.lisen: unknown key; did you mean listen"},
		"key of the file of call":   {[]string{"call", "--config", config, "c-1"}, "callengine: " + config + ":2: sip.lisen: unknown key; did you mean listen"},
		"missing file":              {[]string{"serve", "--config", "/none.yaml"}, "callengine: /none.yaml: no such file or directory"},
		"API":                       {[]string{"calls", "--api", "localhost:8088"}, "callengine: --api: must be an absolute http:// or https:// URL"},
		"authorities":               {[]string{"serve", "--set", "webhook.tls_ca_file=/none.pem"}, "webhook.tls_ca_file"},
		"media address":             {[]string{"serve", "--set", "media.address=none.invalid"}, "callengine: --set: media.address: "},
		"advertised name":           {[]string{"serve", "--config", unknown}, "callengine: " + unknown + `:2: sip.advertise: "none.invalid" has no address`},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, "", nil, tc.args...)
			assert.Equal(t, exitUsage, got.code)
			assert.Contains(t, got.err, tc.want)
			assert.Empty(t, got.out)
		})
	}
}

func TestEveryErrorOfAConfigurationHasALine(t *testing.T) {
	got := run(t, "", []string{"CALLENGINE_SIP_MAX_CALLS=x"}, "serve", "--set", "a=b")
	assert.Equal(t, exitUsage, got.code)
	assert.Equal(t, "callengine: CALLENGINE_SIP_MAX_CALLS: sip.max_calls: must be a whole number\ncallengine: --set: a: unknown key\n", got.err)
}

func TestHelpTellsOfEveryCommand(t *testing.T) {
	got := run(t, "", nil, "--help")
	assert.Equal(t, exitFine, got.code)
	for _, command := range []string{"serve", "demo", "replay", "check", "call", "calls", "export", "config", "version"} {
		assert.Contains(t, got.out, "\n  "+command+" ")
		help := run(t, "", nil, command, "--help")
		assert.Equal(t, exitFine, help.code)
		assert.Contains(t, help.out, "Usage:\n  callengine "+command)
	}
}

func TestVersionTellsVersionCommitAndGo(t *testing.T) {
	got := run(t, "", nil, "version")
	assert.Equal(t, exitFine, got.code)
	assert.Regexp(t, `^callengine \S+\ncommit \S+\ngo1\.\S+\n$`, got.out)
}
