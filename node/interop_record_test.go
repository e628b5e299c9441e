package node_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state/recordings"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// probed is what ffprobe says of a file.
type probed struct {
	Codec    string `json:"codec_name"`
	Rate     string `json:"sample_rate"`
	Channels int    `json:"channels"`
	Duration string `json:"duration"`
}

func ffprobe(t *testing.T, path string) probed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_streams", "-of", "json", path).Output()
	require.NoError(t, err, "please install the Debian package ffmpeg")
	var all struct{ Streams []probed }
	require.NoError(t, json.Unmarshal(out, &all))
	require.Len(t, all.Streams, 1)
	return all.Streams[0]
}

// decoded is what ffmpeg hears in a file, by channel.
func decoded(t *testing.T, path string, of int) (sides [][]int16) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "s16le", "-").Output()
	require.NoError(t, err)
	sides = make([][]int16, of)
	for i := 0; i+2*of <= len(out); i += 2 * of {
		for c := range of {
			sides[c] = append(sides[c], int16(binary.LittleEndian.Uint16(out[i+2*c:])))
		}
	}
	return sides
}

// sine is a WAV file of a tone.
func sine(hertz float64, length time.Duration) string {
	var b bytes.Buffer
	n := int(length.Seconds() * 8000)
	b.WriteString("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	_ = binary.Write(&b, binary.LittleEndian, uint32(2*n)) // a buffer takes everything
	for i := range n {
		_ = binary.Write(&b, binary.LittleEndian, int16(8000*math.Sin(2*math.Pi*hertz*float64(i)/8000)))
	}
	return b.String()
}

// TestBaresipIsRecorded: what it hears it sends back, so that the tone is on both channels. Others than we read the files.
func TestBaresipIsRecorded(t *testing.T) {
	for _, format := range []string{"wav", "mp3"} {
		t.Run(format, func(t *testing.T) {
			dir := t.TempDir()
			l := onLoopback(t, recordingIn(dir))
			l.app.On("initiate", scenario.BXML(response(`<StartRecording multiChannel="true" fileFormat="`+format+`" recordingAvailableUrl="/available"/>
				<Pause duration="0.5"/><PlayAudio>/tone.wav</PlayAudio><Pause duration="0.5"/>`)))
			l.app.On("/tone.wav", scenario.Reply{Header: http.Header{"Content-Type": {"audio/wav"}}, Body: sine(700, 2*time.Second)})
			phone := newBaresip(t, "udp")
			phone.order("dial", "sip:desk@"+l.address("udp"))
			phone.expect("CALL_ESTABLISHED", "desk")
			phone.expect("CALL_CLOSED", "desk")
			phone.quit()
			e := l.app.Expect("recordingAvailable").Check(map[string]any{"status": "complete", "channels": 2})
			l.disconnect("hangup")
			path := soundFile(t, dir, format)
			got := ffprobe(t, path)
			assert.Equal(t, map[string]string{"wav": "pcm_s16le", "mp3": "mp3"}[format], got.Codec)
			assert.Equal(t, "8000", got.Rate)
			assert.Equal(t, 2, got.Channels)
			seconds, err := strconv.ParseFloat(got.Duration, 64)
			require.NoError(t, err)
			assert.InDelta(t, durationIn(t, e).Seconds(), seconds, 0.3)
			for side, samples := range decoded(t, path, 2) {
				length, _ := spell(samples, 700)
				assert.InDelta(t, 2, length.Seconds(), 0.5, "channel %d", side)
			}
		})
	}
}

// TestAPhoneThatIsGoneIsRecordedToTheEnd: there is silence where it was.
func TestAPhoneThatIsGoneIsRecordedToTheEnd(t *testing.T) {
	dir := t.TempDir()
	l := onLoopback(t, func(cfg *node.Config) {
		cfg.Recordings.Dir = dir
		cfg.SIP.TransactionTimeout = time.Second // for the BYE that nobody answers
	})
	l.app.On("initiate", scenario.BXML(response(`<Record maxDuration="3" silenceTimeout="1" recordingAvailableUrl="/available"/>`)))
	phone := newBaresip(t, "udp")
	phone.order("dial", "sip:desk@"+l.address("udp"))
	phone.expect("CALL_ESTABLISHED", "desk")
	phone.kill()
	e := l.app.Expect("recordingAvailable").Check(map[string]any{"status": "complete"})
	assert.Less(t, durationIn(t, e), 3*time.Second, "it is silent")
	l.disconnect("hangup")
	assert.Equal(t, "pcm_s16le", ffprobe(t, soundFile(t, dir, "wav")).Codec)
}

// TestACrashLeavesRecordingsThatPlay copies the folder of a recording under way, as a node that is killed would leave it, and
// starts another node with it.
func TestACrashLeavesRecordingsThatPlay(t *testing.T) {
	for _, format := range []string{"wav", "mp3"} {
		t.Run(format, func(t *testing.T) {
			dir, left := t.TempDir(), t.TempDir()
			inBubble(t, recordingIn(dir), func(t *testing.T, b *bubble) {
				c := b.call(response(`<StartRecording fileFormat="` + format + `" recordingAvailableUrl="/available" tag="own"/><Pause duration="60"/>`))
				c.SendTone(700, 10*time.Second)
				require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
				c.Bye()
				b.app.Expect("recordingAvailable")
				b.disconnect("hangup", "")
			})
			got := ffprobe(t, soundFile(t, left, format)) // before anything is made exact
			seconds, err := strconv.ParseFloat(got.Duration, 64)
			require.NoError(t, err)
			assert.InDelta(t, 9, seconds, 1.1)
			inBubble(t, recordingIn(left), func(t *testing.T, b *bubble) {
				e := b.app.Expect("recordingAvailable").Check(map[string]any{"status": "partial", "tag": "own", "mediaUrl": scenario.Present})
				assert.InDelta(t, 9.5, durationIn(t, e).Seconds(), 0.6)
				path := filepath.Join(left, "20000101", e.Text("recordingId")+"."+format)
				length, _ := spell(decoded(t, path, 1)[0], 700)
				assert.InDelta(t, 9.5, length.Seconds(), 0.6)
				time.Sleep(time.Minute)
				assert.Len(t, b.app.EventsOf("recordingAvailable"), 1)
			})
			info, err := os.ReadFile(filepath.Join(left, "20000101", filepath.Base(soundFile(t, left, format)[:len(soundFile(t, left, format))-4])+".json"))
			require.NoError(t, err)
			var r recordings.Recording
			require.NoError(t, json.Unmarshal(info, &r))
			assert.Equal(t, "the node ended before the recording did", r.Reason)
		})
	}
}
