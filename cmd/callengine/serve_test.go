package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// freePorts has a node choose its ports, so that tests disturb nobody.
var freePorts = []string{
	"CALLENGINE_SIP_LISTEN=udp://127.0.0.1:0,tcp://127.0.0.1:0", "CALLENGINE_API_LISTEN=127.0.0.1:0",
	"CALLENGINE_MEDIA_RTP_PORTS=31000-31999", "CALLENGINE_STATE_DIR=",
}

// serving is a node that runs in this process, or in one of its own.
type serving struct {
	out, err *console
	signals  chan os.Signal // in this process
	process  *os.Process    // in its own
	code     chan int
}

func (s *serving) exits(t *testing.T) int {
	t.Helper()
	select {
	case code := <-s.code:
		return code
	case <-time.After(patience):
		require.FailNow(t, "the node has not ended", s.err.String())
		return -1
	}
}

// serve runs `callengine serve` in this process.
func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	s := &serving{out: &console{}, err: &console{}, signals: make(chan os.Signal, 2), code: make(chan int, 1)}
	p := program{in: strings.NewReader(""), out: s.out, err: s.err, env: freePorts, signals: func() <-chan os.Signal { return s.signals }}
	go func() { s.code <- p.run(context.Background(), append([]string{"serve"}, args...)) }()
	return s
}

// command runs a command of callengine in a process of its own.
func command(t *testing.T, env []string, args ...string) *serving {
	t.Helper()
	s := &serving{out: &console{}, err: &console{}, code: make(chan int, 1)}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asCommand), env...)
	cmd.Stdout, cmd.Stderr = s.out, s.err
	require.NoError(t, cmd.Start())
	s.process = cmd.Process
	go func() {
		_ = cmd.Wait() // the exit code says it
		s.code <- cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // of one that ended: an error that means nothing
	return s
}

func status(t *testing.T, url string) int {
	t.Helper()
	res, err := http.Get(url)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}

func TestServeWithoutAConfigurationSaysWhomToCall(t *testing.T) {
	s := serve(t)
	addr := s.out.await(t, `sip:hello@(127\.0\.0\.1:[1-9]\d*) `)[1]
	api := s.out.await(t, `HTTP is at (http://127\.0\.0\.1:[1-9]\d*)\.`)[1]
	assert.Contains(t, s.out.String(), "sip:refer@"+addr)
	assert.Equal(t, http.StatusOK, status(t, api+"/healthz"))
	assert.Equal(t, http.StatusOK, status(t, api+"/readyz"))
	assert.Equal(t, http.StatusOK, status(t, api+"/metrics"))
	s.signals <- syscall.SIGTERM
	assert.Equal(t, exitFine, s.exits(t), s.err.String())
	_, err := http.Get(api + "/healthz")
	assert.Error(t, err, "nothing listens any more")
}

func TestServeWithAnApplicationSaysWhereToCall(t *testing.T) {
	s := serve(t, "--app", "http://127.0.0.1:9/", "--drain-timeout", "1s", "--set", "log.format=json")
	s.out.await(t, `Call sip:ANYTHING@127\.0\.0\.1:[1-9]\d*\n`)
	assert.NotContains(t, s.out.String(), "hello")
	s.signals <- os.Interrupt
	assert.Equal(t, exitFine, s.exits(t))
	assert.Contains(t, s.err.String(), `"drain_timeout":"1s"`)
}

func TestServeNamesTheAdvertisedAddress(t *testing.T) {
	for advertised, want := range map[string]string{
		"sip.example.com:5062": `sip:ANYTHING@sip\.example\.com:5062\n`,
		"sip.example.com":      `sip:ANYTHING@sip\.example\.com:[1-9]\d*\n`,
		"2001:db8::1":          `sip:ANYTHING@\[2001:db8::1\]:[1-9]\d*\n`,
	} {
		s := serve(t, "--app", "http://127.0.0.1:9/", "--set", "sip.advertise="+advertised, "--set", "media.address=127.0.0.1")
		s.out.await(t, want)
		s.signals <- syscall.SIGTERM
		assert.Equal(t, exitFine, s.exits(t))
	}
}

func TestServeWarnsInItsLog(t *testing.T) {
	s := serve(t, "--set", "api.username=ops")
	s.out.await(t, `HTTP is at`)
	s.signals <- syscall.SIGTERM
	assert.Equal(t, exitFine, s.exits(t))
	assert.Contains(t, s.err.String(), "api.password: is empty")
}

func TestServeNamesTheAddressThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for _, key := range []string{"api.listen=", "sip.listen=tcp://"} {
		s := serve(t, "--set", key+taken.Addr().String())
		assert.Equal(t, exitFailed, s.exits(t))
		name, _, _ := strings.Cut(key, "=")
		assert.Contains(t, s.err.String(), "callengine: "+name)
		assert.Contains(t, s.err.String(), "address already in use")
		assert.Equal(t, 1, strings.Count(s.err.String(), name), "the key is named once")
	}
}

func TestServeNamesTheTLSFileThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ cert, want string }{
		"missing":         {dir + "/none.pem", "4: sip.tls.cert_file: open " + dir + "/none.pem: no such file or directory"},
		"no certificate":  {dir + "/node.yaml", "4: sip.tls.cert_file: with sip.tls.key_file: tls: failed to find any PEM data"},
		"not to be read":  {dir, "4: sip.tls.cert_file: read " + dir + ": is a directory"},
		"key not there":   {"serve_test.go", "5: sip.tls.key_file: open " + dir + "/none.key: no such file or directory"},
		"no authority in": {"", "3: sip.tls.ca_file: root.go holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			file, key := dir+"/node.yaml", dir+"/node.yaml"
			if name == "key not there" {
				key = dir + "/none.key"
			}
			text := fmt.Sprintf("sip:\n  tls:\n    verify_client: false\n    cert_file: %s\n    key_file: %s\n", tc.cert, key)
			if tc.cert == "" {
				text = "sip:\n  tls:\n    ca_file: root.go\n"
			}
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			s := serve(t, "--config", file)
			assert.Equal(t, exitUsage, s.exits(t))
			assert.Contains(t, s.err.String(), "callengine: "+file+":"+tc.want)
		})
	}
}

// invite is a caller who never gives up and never answers.
const invite = "INVITE sip:hello@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bK1\r\nFrom: <sip:caller@%[2]s>;tag=1\r\n" +
	"To: <sip:hello@%[1]s>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@%[2]s>\r\nMax-Forwards: 70\r\n" +
	"Content-Type: application/sdp\r\nContent-Length: %[3]d\r\n\r\n%[4]s"

const offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"

// ring places a call and returns the final answer's status. One that is answered stays up for as long as the node waits for
// its ACK.
func ring(t *testing.T, node string) string {
	t.Helper()
	phone, err := net.Dial("udp", node)
	require.NoError(t, err)
	t.Cleanup(func() { _ = phone.Close() })
	_, err = fmt.Fprintf(phone, invite, node, phone.LocalAddr(), len(offer), offer)
	require.NoError(t, err)
	require.NoError(t, phone.SetReadDeadline(time.Now().Add(patience)))
	for answer := make([]byte, 64<<10); ; {
		n, err := phone.Read(answer)
		require.NoError(t, err)
		status := strings.TrimPrefix(string(answer[:n]), "SIP/2.0 ")
		if status[0] != '1' {
			return status[:3]
		}
	}
}

func TestTheFirstSignalDrainsAndTheSecondEndsAtOnce(t *testing.T) {
	s := command(t, freePorts, "serve")
	sip := s.out.await(t, `sip:hello@(\S+)`)[1]
	api := s.out.await(t, `HTTP is at (\S+)\.`)[1]
	require.Equal(t, "200", ring(t, sip))
	require.NoError(t, s.process.Signal(syscall.SIGTERM))
	s.err.await(t, "draining")
	assert.Equal(t, http.StatusServiceUnavailable, status(t, api+"/readyz"))
	assert.Equal(t, http.StatusOK, status(t, api+"/healthz"), "the call is still up")
	require.NoError(t, s.process.Signal(syscall.SIGTERM))
	assert.Equal(t, exitFailed, s.exits(t))
	assert.Contains(t, s.err.String(), "ended at once by a second signal")
}

func TestADrainEndsWithItsTime(t *testing.T) {
	s := command(t, freePorts, "serve", "--drain-timeout", "100ms")
	require.Equal(t, "200", ring(t, s.out.await(t, `sip:hello@(\S+)`)[1]))
	require.NoError(t, s.process.Signal(syscall.SIGTERM))
	assert.Equal(t, exitFine, s.exits(t), s.err.String())
}
