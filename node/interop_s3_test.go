package node_test

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// s3Server is a store that speaks S3 (versitygw, over a folder); it runs from start on.
type s3Server struct {
	t    *testing.T
	port string
	dir  string
}

const s3Secret = "lovelace-lovelace"

func newS3Server(t *testing.T) *s3Server {
	t.Helper()
	s := &s3Server{t: t, port: freePort(t), dir: t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "calls"), 0o700)) // the bucket
	return s
}

func (s *s3Server) start() {
	s.t.Helper()
	path, err := exec.LookPath("versitygw")
	if err != nil {
		path, err = filepath.Abs("../bin/versitygw")
	}
	require.NoError(s.t, err)
	_, err = os.Stat(path)
	require.NoError(s.t, err, "please run make deps")
	run(s.t, "versitygw (make deps)", path, "--port", "127.0.0.1:"+s.port, "--access", "ada", "--secret", s3Secret, "posix", "--sidecar", s.t.TempDir(), s.dir)
	require.Eventually(s.t, func() bool {
		res, err := http.Get("http://127.0.0.1:" + s.port + "/")
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	}, patience, 10*time.Millisecond)
}

// objects are the files in the bucket. Directories go with their last file, perhaps while they are looked through.
func (s *s3Server) objects() (keys []string) {
	s.t.Helper()
	bucket := filepath.Join(s.dir, "calls")
	require.NoError(s.t, filepath.WalkDir(bucket, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			keys = append(keys, strings.TrimPrefix(path, bucket+"/"))
		}
		if errors.Is(err, fs.ErrNotExist) && path != bucket {
			return nil
		}
		return err
	}))
	return keys
}

// fetch asks the node's HTTP side.
func (l *live) fetch(method, address, ranged string) (status int, body string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), method, address, nil)
	require.NoError(l.t, err)
	if ranged != "" {
		req.Header.Set("Range", ranged)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	require.NoError(l.t, err)
	b, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, res.Body.Close())
	return res.StatusCode, string(b)
}

// TestRecordingsGoToARealStore records a call while the store is down, which nobody of the call notices, and starts it then.
func TestRecordingsGoToARealStore(t *testing.T) {
	store, dir := newS3Server(t), t.TempDir()
	l := onLoopback(t, func(cfg *node.Config) {
		cfg.Recordings.Dir = dir
		cfg.Recordings.S3 = node.S3Config{
			Endpoint: "http://127.0.0.1:" + store.port, Bucket: "calls", AccessKey: "ada", SecretKey: s3Secret, Prefix: "rec/",
		}
	})
	l.app.On("initiate", scenario.BXML(response(`<Record maxDuration="1" recordingAvailableUrl="/available"/>`)))
	c := l.phones["udp"].Call("sip:desk@" + l.address("udp"))
	c.SendTone(700, time.Second)
	c.Expect("BYE")
	id := l.disconnect("hangup").CallID
	list := "http://" + l.node.APIAddr().String() + "/api/v2/accounts/5555555/calls/" + id + "/recordings"
	_, body := l.fetch(http.MethodGet, list, "")
	assert.Contains(t, body, `"status":"processing","mediaUrl":null`, "it waits for the store")
	var file []byte
	require.Eventually(t, func() bool { // its last part is written after the call's end
		var err error
		file, err = os.ReadFile(soundFile(t, dir, "wav"))
		return err == nil && len(file) == 44+16_000 && binary.LittleEndian.Uint32(file[40:]) == 16_000
	}, patience, 10*time.Millisecond, "a second of sound and its header")

	store.start()
	address := l.app.Expect("recordingAvailable").Check(map[string]any{"status": "complete"}).Text("mediaUrl")
	require.Len(t, store.objects(), 1)
	assert.Regexp(t, `^rec/\d{8}/r-.*\.wav$`, store.objects()[0])
	found, err := filepath.Glob(filepath.Join(dir, "*", "r-*.wav"))
	require.NoError(t, err)
	assert.Empty(t, found, "the sound is in the store alone")
	status, body := l.fetch(http.MethodGet, address, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, string(file), body)
	status, body = l.fetch(http.MethodGet, address, "bytes=44-143")
	assert.Equal(t, http.StatusPartialContent, status)
	assert.Equal(t, string(file[44:144]), body)

	status, _ = l.fetch(http.MethodDelete, address, "")
	assert.Equal(t, http.StatusNoContent, status)
	require.Eventually(t, func() bool { return len(store.objects()) == 0 }, patience, 10*time.Millisecond)
	status, _ = l.fetch(http.MethodGet, address, "")
	assert.Equal(t, http.StatusNotFound, status)
}
