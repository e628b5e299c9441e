package transcribe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// pretended returns a pocketsphinx whose program is a shell script, and whose model is a dictionary of a few words.
func pretended(t *testing.T, processes int, script string) *pocketsphinx {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "pretended")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "en-us"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "en-us", "mdef"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cmudict-en-us.dict"), []byte("yes Y EH S\nno N OW\nnew N UW\nyork Y AO R K\n"), 0o600))
	p := newPocketsphinx(processes, zap.NewNop())
	p.program, p.model = program, dir
	return p
}

// words is a sound of so many utterances.
func words(n int) []int16 {
	sound := noise(500, -60)
	for range n {
		sound = joined(sound, voice(400, -25), noise(1200, -60))
	}
	return sound
}

const hears = `cat >/dev/null; printf 'yes\n<s> 0.0 0.1 1\nyes 0.300 0.700 0.8\n</s> 0.7 1.0 1\n'`

func TestEachUtteranceIsAProcess(t *testing.T) {
	p := pretended(t, 1, hears)
	var got told
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(3)}, Options{}, got.tell))
	require.Len(t, got.all, 3)
	for i, r := range got.all {
		assert.Equal(t, "yes", r.Text)
		assert.Equal(t, "en-US", r.Language)
		assert.False(t, r.Partial)
		assert.InDelta(t, 0.5+1.6*float64(i), r.Start.Seconds(), 0.15, "where the word is in the whole sound")
		assert.Equal(t, 400*time.Millisecond, r.End-r.Start)
		assert.Equal(t, r.Start, r.Items[0].Start)
	}
}

func TestSilenceNeedsNoProcess(t *testing.T) {
	p := pretended(t, 1, "exit 1")
	var got told
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: noise(5000, -60)}, Options{}, got.tell))
	assert.Empty(t, got.all)
}

func TestAnUtteranceOfNoWordsIsTold(t *testing.T) {
	p := pretended(t, 1, "cat >/dev/null; echo")
	var got told
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, Options{}, got.tell))
	require.Len(t, got.all, 1)
	assert.Empty(t, got.all[0].Text)
	assert.Greater(t, got.all[0].End-got.all[0].Start, 400*time.Millisecond, "the utterance")
}

func TestOneUtteranceThatFailsIsNotTheEnd(t *testing.T) {
	p := pretended(t, 1, `cat >/dev/null; [ -e "$0.was" ] || { touch "$0.was"; echo 'ERROR: "a.c", line 1: broken' >&2; exit 3; }; `+hears)
	var got told
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(2)}, Options{}, got.tell))
	assert.Len(t, got.all, 1)
}

func TestSpeechOfWhichEveryUtteranceFailsIsNotTaken(t *testing.T) {
	p := pretended(t, 1, `cat >/dev/null; exit 3`)
	var got told
	var failure *EngineError
	require.ErrorAs(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, Options{}, got.tell), &failure)
	assert.Equal(t, "exit status 3", failure.Reason)
	assert.Empty(t, got.all)
}

func TestALanguageThatItDoesNotKnowIsRefused(t *testing.T) {
	p := pretended(t, 1, hears)
	var got told
	var failure *EngineError
	require.ErrorAs(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, Options{Language: "fr-FR"}, got.tell), &failure)
	assert.Equal(t, "pocketsphinx: it understands English only, not fr-FR", failure.Error())
	for _, language := range []string{"", "en", "EN-gb"} {
		require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, Options{Language: language}, got.tell))
	}
	assert.Len(t, got.all, 3)
}

func TestAProgramThatKeepsFailingIsGivenUp(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"it fails":              {`cat >/dev/null; echo INFO: x >&2; echo 'ERROR: "a.c", line 1: no model' >&2; exit 3`, `exit status 3 (ERROR: "a.c", line 1: no model)`},
		"it fails at once":      {"exit 1", "exit status 1"},
		"it dies":               {"kill -9 $$", "signal: killed"},
		"it does not stop":      {"cat >/dev/null; exec sleep 60", ErrSlow.Error()},
		"it does not listen":    {"exec sleep 60", ErrSlow.Error()},
		"it says too much":      {"cat >/dev/null; yes | head -c 1000000", "its output is too long"},
		"it tells wrong times":  {"cat >/dev/null; echo 'yes 5 1 1'", `the word "yes" is said to last from 5 to 1`},
		"it hands its pipes on": {"cat >/dev/null; sleep 60 & exec sleep 60", ErrSlow.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pretended(t, 1, tc.script)
			if tc.want == ErrSlow.Error() { // the others have all the time that a busy machine needs
				p.patience = 200 * time.Millisecond
			}
			var got told
			err := p.Transcribe(t.Context(), &pieces{samples: words(5)}, Options{}, got.tell)
			var failure *EngineError
			require.ErrorAs(t, err, &failure)
			assert.Equal(t, "pocketsphinx", failure.Engine)
			assert.Equal(t, tc.want, failure.Reason)
			assert.Empty(t, got.all)
		})
	}
}

func TestWhatIsMissingIsToldWithThePackage(t *testing.T) {
	p := pretended(t, 1, hears)
	assert.Empty(t, Missing(p))
	p.model = t.TempDir()
	var missing *MissingError
	require.ErrorAs(t, p.Transcribe(t.Context(), &pieces{}, Options{}, nil), &missing)
	assert.Equal(t, sphinxModelMissing, missing.Error())
	p.program = "no-such-program"
	require.ErrorAs(t, p.Transcribe(t.Context(), &pieces{}, Options{}, nil), &missing)
	assert.Equal(t, sphinxMissing, missing.Error())
	off, err := New(Config{Engine: EngineNone}, nil, zap.NewNop())
	require.NoError(t, err)
	require.ErrorAs(t, off.Transcribe(t.Context(), &pieces{}, Options{}, nil), &missing)
	assert.Contains(t, Missing(off), "media.stt.engine: none")
}

func TestNoMoreProcessesThanAllowedRunAtOnce(t *testing.T) {
	p := pretended(t, 2, `mkdir "$0.$$"; cat >/dev/null; ls -d "$0".* | wc -l >>"$0-at-once"; rmdir "$0.$$"; `+hears)
	var wg sync.WaitGroup
	var got told
	for range 6 {
		wg.Go(func() {
			assert.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(2)}, Options{}, got.tell))
		})
	}
	wg.Wait()
	assert.Len(t, got.all, 12, "who waits is served in the end")
	counts, err := os.ReadFile(p.program + "-at-once")
	require.NoError(t, err)
	for count := range strings.FieldsSeq(string(counts)) {
		assert.Contains(t, []string{"1", "2"}, count)
	}
	assert.Empty(t, p.slots)
}

func TestTheEndOfATranscriptionEndsItsProcess(t *testing.T) {
	stopped := errors.New("stopped")
	for name, script := range map[string]string{"one that listens": "cat >/dev/null; exec sleep 60", "one that does not": "exec sleep 60"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pretended(t, 1, `touch "$0.runs"; `+script)
			ctx, end := context.WithCancelCause(t.Context())
			go func() {
				for _, err := os.Stat(p.program + ".runs"); err != nil; _, err = os.Stat(p.program + ".runs") {
					time.Sleep(time.Millisecond)
				}
				end(stopped)
			}()
			assert.ErrorIs(t, p.Transcribe(ctx, &pieces{samples: words(1)}, Options{}, nil), stopped)
			assert.Empty(t, p.slots)
		})
	}
	t.Run("one that waits for its turn", func(t *testing.T) {
		p := pretended(t, 1, hears)
		p.slots <- struct{}{}
		ctx, end := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, stopped)
		defer end()
		assert.ErrorIs(t, p.Transcribe(ctx, &pieces{samples: words(1)}, Options{}, nil), stopped)
	})
}

func TestTheErrorOfTheSoundIsReturned(t *testing.T) {
	broken := errors.New("broken")
	p := pretended(t, 1, hears)
	var got told
	assert.ErrorIs(t, p.Transcribe(t.Context(), &pieces{samples: words(1), err: broken}, Options{}, got.tell), broken)
	assert.Empty(t, p.slots)
}

func TestHintsBecomeAGrammar(t *testing.T) {
	p := pretended(t, 1, `shift; while [ "$1" != -jsgf ] && [ $# -gt 0 ]; do shift; done; [ -z "$2" ] || cp "$2" "$0.grammar"; `+hears)
	g := filepath.Join(filepath.Dir(p.program), "pretended.grammar")
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var got told
	o := Options{Hints: []string{"Yes", "New York!", "no;|)public", "", "xylophone"}}
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, o, got.tell))
	written, err := os.ReadFile(g)
	require.NoError(t, err)
	assert.Equal(t, "#JSGF V1.0;\ngrammar hints;\npublic <hints> = (\nyes |\nnew york\n)+;\n",
		strings.ReplaceAll(string(written), "yes\n|", "yes |"))
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, left, "the grammar is removed")

	require.NoError(t, os.Remove(g))
	require.NoError(t, p.Transcribe(t.Context(), &pieces{samples: words(1)}, Options{Hints: []string{"xylophone"}}, got.tell))
	assert.NoFileExists(t, g, "without a word that is known, anything is listened for")
}

func TestTooManyHintsAreCutShort(t *testing.T) {
	var hints []string
	for i := range 2 * maxHints {
		hints = append(hints, fmt.Sprint("word", i))
	}
	hints[0] = strings.Repeat("very ", maxHintWords+1)
	assert.Len(t, phrasesOf(hints), maxHints-1)
}
