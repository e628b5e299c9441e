package node_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goForward is somebody who says "go forward ten meters" in Debian's package pocketsphinx-testdata, at the rate of a
// telephone, and is silent for a second then.
func goForward(t *testing.T) []int16 {
	t.Helper()
	raw, err := os.ReadFile("/usr/share/pocketsphinx/test/data/goforward.raw")
	require.NoError(t, err, "apt-get install pocketsphinx-testdata")
	samples := make([]int16, len(raw)/4, len(raw)/4+media.SampleRate)
	for i := range samples {
		a, b := int16(binary.LittleEndian.Uint16(raw[4*i:])), int16(binary.LittleEndian.Uint16(raw[4*i+2:]))
		samples[i] = int16((int(a) + int(b)) / 2)
	}
	return samples[:cap(samples)]
}

// understood counts the words of goForward that are in a text.
func understood(text string) (n int) {
	for _, word := range []string{"go", "forward", "ten", "meters"} {
		if strings.Contains(" "+text+" ", " "+word+" ") {
			n++
		}
	}
	return n
}

// notNice has the engine run like everybody else: it stands behind all that goes on, which on a machine that has much
// other work takes it long.
func notNice(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"pocketsphinx_continuous", "espeak-ng"} {
		at, err := exec.LookPath(program)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(at, filepath.Join(dir, program)))
	}
	t.Setenv("PATH", dir)
}

// TestPocketsphinxUnderstandsACaller has the default engine listen to a real voice in real RTP.
func TestPocketsphinxUnderstandsACaller(t *testing.T) {
	notNice(t)
	l := onLoopback(t, nil)
	l.app.On("gather", scenario.BXML(response(`<Hangup/>`)))
	c, _ := l.answered(response(`<Gather input="speech" gatherUrl="/said" speechTimeout="60" hints="go, forward, ten, meters, stop, billing">` +
		`<SpeakSentence>The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.</SpeakSentence></Gather>`))
	require.NoError(t, c.SendSamples(t.Context(), goForward(t)))
	said := spoken(l.app.Expect("gather"))
	assert.GreaterOrEqual(t, understood(said["transcript"].(string)), 2, "%v", said)
	assert.NotEqual(t, "0", fmt.Sprint(said["confidence"]))
	assert.NotContains(t, said, "errorMessage")
	l.disconnect("hangup")
}

// TestPocketsphinxTranscribesACall fetches the text of what a real voice has said in real RTP.
func TestPocketsphinxTranscribesACall(t *testing.T) {
	texts := t.TempDir()
	notNice(t)
	l := onLoopback(t, func(cfg *node.Config) { cfg.Transcriptions.Dir = texts })
	c, _ := l.answered(response(`<StartTranscription name="notes" transcriptionEventUrl="/texts"/><Pause duration="60"/>`))
	require.NoError(t, c.SendSamples(t.Context(), goForward(t)))
	c.Bye()
	about := l.app.Expect("realTimeTranscriptionAvailable").Properties["realTimeTranscription"].(map[string]any)
	assert.Equal(t, "available", about["status"])
	res, err := http.Get(about["url"].(string))
	require.NoError(t, err)
	defer res.Body.Close()
	var text struct{ Tracks []struct{ Transcript string } }
	require.NoError(t, json.NewDecoder(res.Body).Decode(&text))
	require.Len(t, text.Tracks, 1)
	assert.NotZero(t, understood(text.Tracks[0].Transcript), "%q", text.Tracks[0].Transcript)
	l.disconnect("hangup")
}
