package media

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// seconds synthesises and returns how long the sound is.
func seconds(t *testing.T, s Synthesizer, u Utterance) float64 {
	t.Helper()
	if u.Speaker == "" {
		u.Speaker = "en-us+f3"
	}
	src, err := s.Synthesize(t.Context(), u)
	require.NoError(t, err)
	defer src.Close()
	return float64(len(readFrames(t, src))) / SampleRate
}

func TestEspeakSpeaks(t *testing.T) {
	t.Parallel()
	e := &espeak{log: zap.NewNop()}
	for name, tc := range map[string]struct {
		u    Utterance
		low  float64
		high float64
	}{
		"text":                    {Utterance{Text: "Hello world."}, 0.7, 1.5},
		"text that looks like an": {Utterance{Text: "--version"}, 0.3, 2},
		"text with XML in it":     {Utterance{Text: "a < b & c"}, 0.5, 3},
		"nothing to say":          {Utterance{Text: " "}, 0, 0.5},
		"a break":                 {Utterance{Text: "a b", SSML: `<speak>a<break time="3s"/>b</speak>`}, 3, 4.5},
		"other languages":         {Utterance{Text: "привет мир", Speaker: "ru+m3"}, 0.5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			long := seconds(t, e, tc.u)
			assert.GreaterOrEqual(t, long, tc.low)
			assert.LessOrEqual(t, long, tc.high)
		})
	}
}

func TestEspeakTakesNoPhonemeCodesFromText(t *testing.T) {
	t.Parallel()
	e := &espeak{log: zap.NewNop()}
	assert.Equal(t, seconds(t, e, Utterance{Text: "say [ [hello]]"}), seconds(t, e, Utterance{Text: "say [[hello]]"}))
}

func TestEspeakHasEveryVoiceOfTheTable(t *testing.T) {
	t.Parallel()
	e := &espeak{log: zap.NewNop()}
	for _, v := range DefaultVoices() {
		assert.Positive(t, seconds(t, e, Utterance{Text: "1", Speaker: v.Engine}), "%s: %s", v.Name, v.Engine)
	}
}

func TestEspeakFailureSaysWhy(t *testing.T) {
	t.Parallel()
	src, err := (&espeak{log: zap.NewNop()}).Synthesize(t.Context(), Utterance{Text: "hello", Speaker: "tlh-unheard-of"})
	require.NoError(t, err)
	_, err = src.ReadFrame(make([]int16, 160))
	failed, ok := errors.AsType[*SpeechError](err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, failed.Reason, "voice does not exist")
	require.NoError(t, src.Close())
}

func TestEspeakSSML(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ssml, want string
		lacking    []string
	}{
		"what it does as it stands": {
			ssml: `<speak><p><s>a</s></p><break strength="weak"/><emphasis level="strong">b</emphasis><sub alias="c">d</sub></speak>`,
			want: `<speak><p><s>a</s></p><break strength="weak"/><emphasis level="strong">b</emphasis><sub alias="c">d</sub></speak>`,
		},
		"a language is a voice": {
			ssml: `<speak><lang xml:lang="fr-FR">oui</lang> <lang xml:lang="arb">la</lang></speak>`,
			want: `<speak><voice xml:lang="fr-FR">oui</voice> <voice xml:lang="ar">la</voice></speak>`,
		},
		"decibels are a percentage": {
			ssml: `<prosody pitch="+10%" rate="slow" volume="+6dB">a</prosody><prosody volume="-20dB">b</prosody><prosody volume="loud">c</prosody>`,
			want: `<prosody pitch="+10%" rate="slow" volume="+100%">a</prosody><prosody volume="-90%">b</prosody><prosody volume="loud">c</prosody>`,
		},
		"beyond all measure": {ssml: `<prosody volume="+900dB">a</prosody>`, want: `<prosody volume="+400%">a</prosody>`},
		"what it lacks is told": {
			ssml:    `<phoneme ph="x">a</phoneme><say-as interpret-as="date" format="mdy">1/2</say-as><say-as interpret-as="ordinal">3</say-as>`,
			want:    `<phoneme ph="x">a</phoneme><say-as interpret-as="date" format="mdy">1/2</say-as><say-as interpret-as="ordinal">3</say-as>`,
			lacking: []string{"phoneme", "say-as date", "say-as ordinal"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			markup, lacking := espeakSSML(tc.ssml)
			assert.Equal(t, tc.want, markup)
			assert.Equal(t, tc.lacking, lacking)
		})
	}
}

func TestEspeakHearsTheTags(t *testing.T) {
	t.Parallel()
	e := &espeak{log: zap.NewNop()}
	say := func(ssml string) float64 {
		return seconds(t, e, Utterance{Text: "x", SSML: "<speak>" + ssml + "</speak>"})
	}
	plain := say("one two three")
	assert.Greater(t, say(`<prosody rate="x-slow">one two three</prosody>`), plain*1.15)
	assert.Greater(t, say(`<sub alias="one hundred and twenty three thousand">1</sub>`), plain*1.2)
	assert.Greater(t, say(`<say-as interpret-as="characters">abcdef</say-as>`), say("abcdef"))
	assert.NotEqual(t, say(`<lang xml:lang="fr-FR">bonjour monsieur</lang>`), say(`bonjour monsieur`))
}

func TestEspeakIsKilledWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	src, err := (&espeak{log: zap.NewNop()}).Synthesize(ctx, Utterance{Text: strings.Repeat("This is a long text. ", 5000), Speaker: "en-us"})
	require.NoError(t, err)
	_, err = src.ReadFrame(make([]int16, 160))
	require.NoError(t, err)
	cancel()
	for err == nil {
		_, err = src.ReadFrame(make([]int16, 160))
	}
	assert.ErrorIs(t, err, context.Canceled)
	require.NoError(t, src.Close())
	assert.NotNil(t, src.(*processSource).cmd.ProcessState, "it was waited for")
}

func TestMissingEspeakSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	e, err := New(Config{})
	require.NoError(t, err)
	defer e.Close()
	assert.Equal(t, "espeak-ng is not installed: apt-get install espeak-ng", e.SpeechMissing())
	_, err = e.Speak(t.Context(), Utterance{Text: "hello"})
	_, ok := errors.AsType[*MissingError](err)
	assert.True(t, ok, "%v", err)
}

// script writes a program that speaks.
func script(t *testing.T, lines string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "speak")
	require.NoError(t, os.WriteFile(name, []byte("#!/bin/sh\n"+lines+"\n"), 0o700))
	return name
}

func TestCommandSpeaks(t *testing.T) {
	t.Parallel()
	sound := filepath.Join(t.TempDir(), "sound.wav")
	require.NoError(t, os.WriteFile(sound, audioFile(t, "pcm-16k.wav"), 0o600))
	program := script(t, `test "$(cat)" = "hello" && test "$1" = "v=de+f3/de/female" && cat "$2"`)
	e, err := New(Config{Speech: SpeechConfig{Engine: "command", Command: []string{program, "v={voice}/{locale}/{gender}", sound}}})
	require.NoError(t, err)
	defer e.Close()
	assert.Empty(t, e.SpeechMissing())
	src, err := e.Speak(t.Context(), Utterance{Text: "hello", Voice: "katrin"})
	require.NoError(t, err)
	assert.Len(t, readFrames(t, src), 1600)
	require.NoError(t, src.Close())
}

func TestCommandFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ script, want string }{
		"exit status":       {"echo no paper >&2; exit 3", "no paper (exit status 3)"},
		"in silence":        {"exit 3", "exit status 3"},
		"no WAV file":       {"echo hello", "not a WAV file"},
		"not reading":       {"exec <&-; exit 4", "exit status 4"},
		"endless complaint": {`head -c 100000 /dev/zero | tr '\0' x >&2; exit 5`, "exit status 5"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &command{argv: []string{script(t, tc.script)}}
			src, err := c.Synthesize(t.Context(), Utterance{Text: strings.Repeat("hello", 100_000)})
			require.NoError(t, err)
			_, err = src.ReadFrame(make([]int16, 160))
			failed, ok := errors.AsType[*SpeechError](err)
			require.True(t, ok, "%v", err)
			assert.Contains(t, failed.Reason, tc.want)
			assert.Less(t, len(failed.Reason), 2*maxStderr)
			require.NoError(t, src.Close())
		})
	}
	_, err := (&command{argv: []string{"/nowhere/speak"}}).Synthesize(t.Context(), Utterance{})
	_, ok := errors.AsType[*MissingError](err)
	assert.True(t, ok)
}

func TestCommandThatHangsIsKilled(t *testing.T) {
	t.Parallel()
	c := &command{argv: []string{script(t, "exec sleep 1000")}}
	src, err := c.Synthesize(t.Context(), Utterance{Text: "hello"})
	require.NoError(t, err)
	read := make(chan error)
	go func() {
		_, err := src.ReadFrame(make([]int16, 160))
		read <- err
	}()
	start := time.Now()
	require.NoError(t, src.Close())
	assert.Error(t, <-read)
	assert.Less(t, time.Since(start), 500*time.Second, "it is killed, not waited for")
	_, err = src.ReadFrame(make([]int16, 160))
	assert.NotErrorIs(t, err, io.EOF)
}

// BenchmarkSpeechStart is the time from Speak to the first frame, of a text that was not spoken before.
func BenchmarkSpeechStart(b *testing.B) {
	e, err := New(Config{})
	require.NoError(b, err)
	defer e.Close()
	frame := make([]int16, 160)
	text := "Welcome to our company. Please hold the line while we connect you to the next free agent. "
	for b.Loop() {
		text += "x"
		src, err := e.Speak(b.Context(), Utterance{Text: text})
		require.NoError(b, err)
		_, err = src.ReadFrame(frame)
		require.NoError(b, err)
		require.NoError(b, src.Close())
	}
}
