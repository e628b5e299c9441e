package transcribe_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// TestPocketsphinxUnderstandsPeople plays what people say, in Debian's package pocketsphinx-testdata, as it comes over a
// telephone. Most of the words are right (7 of 9 when this was written).
func TestPocketsphinxUnderstandsPeople(t *testing.T) {
	notNice(t)
	const folder = "/usr/share/pocketsphinx/test/data/"
	right, all := 0, 0
	for file, said := range map[string]string{
		"goforward.raw": "go forward ten meters",
		"something.raw": "go somewhere and do something",
	} {
		results := transcribed(t, overTelephone(t, folder+file), transcribe.Options{})
		heard := " " + textOf(results) + " "
		t.Logf("%s: %s", file, heard)
		for word := range strings.FieldsSeq(said) {
			if all++; strings.Contains(heard, " "+word+" ") {
				right++
			}
		}
		for _, r := range results {
			assert.True(t, r.Confidence > 0 && r.Confidence <= 1)
			assert.Len(t, r.Items, len(strings.Fields(r.Text)))
		}
	}
	assert.GreaterOrEqual(t, right, 5, "of %d words", all)
}

func TestPocketsphinxHearsHints(t *testing.T) {
	notNice(t)
	hints := transcribe.Options{Hints: []string{"Hello, world!", "tomorrow morning", "billing", "public import grammar", "Xyzzyx"}}
	for _, said := range []string{"hello world", "tomorrow morning"} {
		assert.Equal(t, said, textOf(transcribed(t, spoken(t, said), hints)))
	}
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

func transcribed(t *testing.T, sound transcribe.Sound, o transcribe.Options) (results []transcribe.Result) {
	t.Helper()
	p, err := transcribe.New(transcribe.Config{}, nil, zap.NewNop())
	require.NoError(t, err)
	require.Empty(t, transcribe.Missing(p))
	require.NoError(t, p.Transcribe(t.Context(), sound, o, func(r transcribe.Result) { results = append(results, r) }))
	return results
}

func textOf(results []transcribe.Result) string {
	var texts []string
	for _, r := range results {
		texts = append(texts, r.Text)
	}
	return strings.Join(texts, " ")
}

// spoken is what espeak-ng says, between two seconds of silence.
func spoken(t *testing.T, text string) transcribe.Sound {
	t.Helper()
	e, err := media.New(media.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	src, err := e.Speak(t.Context(), media.Utterance{Voice: "paul", Text: text})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, src.Close()) })
	l := transcribe.NewLive(1 << 20)
	l.Put(make([]int16, transcribe.SampleRate))
	buf := make([]int16, 160)
	for err == nil {
		var n int
		n, err = src.ReadFrame(buf)
		l.Put(buf[:n])
	}
	l.Put(make([]int16, transcribe.SampleRate))
	l.End()
	return l
}

// overTelephone is a file of samples of 16 kHz at half its rate.
func overTelephone(t *testing.T, file string) transcribe.Sound {
	t.Helper()
	sound, err := os.ReadFile(file)
	require.NoError(t, err)
	l := transcribe.NewLive(1 << 20)
	l.Put(make([]int16, transcribe.SampleRate))
	half := make([]int16, len(sound)/4)
	for i := range half {
		a, b := int16(binary.LittleEndian.Uint16(sound[4*i:])), int16(binary.LittleEndian.Uint16(sound[4*i+2:]))
		half[i] = int16((int(a) + int(b)) / 2)
	}
	l.Put(half)
	l.Put(make([]int16, transcribe.SampleRate))
	l.End()
	return l
}
