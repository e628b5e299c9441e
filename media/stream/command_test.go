package stream

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func play(contentType, payload string) string {
	return `{"eventType":"playAudio","media":{"contentType":"` + contentType + `","payload":"` + payload + `"}}`
}

func TestParse(t *testing.T) {
	const pcm = "audio/pcm;rate=16000"
	linear := base64.StdEncoding.EncodeToString([]byte{1, 0, 0xFF, 0xFF, 0, 0x80})
	samples := []int16{1, -1, -32768}
	for name, tc := range map[string]struct {
		message string
		want    command
		err     string // empty: none
	}{
		"clear":                    {`{"eventType":"clear"}`, command{clear: true}, ""},
		"clear, with more":         {`{"eventType":"clear","media":{"a":1},"x":[1]}`, command{clear: true}, ""},
		"μ-law":                    {play("audio/pcmu", "/38A"), command{pcm: []int16{0, 0, -32124}, rate: 8000}, ""},
		"in another letter case":   {play("Audio/PCMU", "/w=="), command{pcm: []int16{0}, rate: 8000}, ""},
		"without padding":          {play("audio/pcmu", "/w"), command{pcm: []int16{0}, rate: 8000}, ""},
		"nothing to play":          {play("audio/pcmu", ""), command{pcm: []int16{}, rate: 8000}, ""},
		"linear":                   {play(pcm, linear), command{pcm: samples, rate: 16000}, ""},
		"linear, everything told":  {play("audio/pcm;rate=24000;channels=1;bit-depth=16;endian=little;encoding=signed", linear), command{pcm: samples, rate: 24000}, ""},
		"linear, with spaces":      {play("audio/pcm; rate=8000; channels=1", linear), command{pcm: samples, rate: 8000}, ""},
		"linear without a rate":    {play("audio/pcm", linear), command{}, "rate"},
		"another rate":             {play("audio/pcm;rate=44100", linear), command{}, "rate"},
		"stereo":                   {play(pcm+";channels=2", linear), command{}, "channels"},
		"24 bits":                  {play(pcm+";bit-depth=24", linear), command{}, "bit-depth"},
		"big endian":               {play(pcm+";endian=big", linear), command{}, "endian"},
		"unsigned":                 {play(pcm+";encoding=unsigned", linear), command{}, "encoding"},
		"half a sample":            {play(pcm, "AQAB"), command{}, "within a sample"},
		"another format":           {play("audio/mpeg", linear), command{}, "neither"},
		"no format":                {play("", linear), command{}, "contentType"},
		"a format that is none":    {play("audio/pcm;rate", linear), command{}, "contentType"},
		"no base64":                {play("audio/pcmu", "?"), command{}, "base64"},
		"URL base64":               {play("audio/pcmu", "_w=="), command{}, "base64"},
		"padding within":           {play("audio/pcmu", "/w==/w=="), command{}, "base64"},
		"no media":                 {`{"eventType":"playAudio"}`, command{}, "without media"},
		"media is null":            {`{"eventType":"playAudio","media":null}`, command{}, "without media"},
		"media is a list":          {`{"eventType":"playAudio","media":[]}`, command{}, "not a JSON object"},
		"another message":          {`{"eventType":"mark"}`, command{}, errUnknown.Error()},
		"an object without a type": {`{}`, command{}, errUnknown.Error()},
		"null":                     {`null`, command{}, errUnknown.Error()},
		"a list":                   {`[]`, command{}, "not a JSON object"},
		"a number":                 {`7`, command{}, "not a JSON object"},
		"no JSON":                  {`secret`, command{}, "not a JSON object"},
		"nothing":                  {``, command{}, "not a JSON object"},
		"JSON and more":            {`{"eventType":"clear"}}`, command{}, "not a JSON object"},
		"deeper than it may be":    {strings.Repeat("[", 100000), command{}, "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(tc.message))
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				assert.NotContains(t, err.Error(), "secret")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.want, got)
		})
	}
}

// FuzzParse: whatever the other side sends, it is sound that can be played, "clear", or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"eventType":"clear"}`))
	f.Add([]byte(play("audio/pcmu", "/38A")))
	f.Add([]byte(play("audio/pcm;rate=24000;channels=1;bit-depth=16;endian=little;encoding=signed", "AQD//w==")))
	f.Add([]byte(play(`audio/pcm;rate=\"8000\"`, "AQ")))
	f.Add([]byte(`{"eventType":"playAudio","media":{"contentType":"audio/pcm;rate*=x","payload":"="}}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		c, err := parse(message)
		switch {
		case err != nil:
			return
		case c.clear:
			assert.Empty(t, c.pcm)
			return
		}
		assert.Contains(t, []int{8000, 16000, 24000}, c.rate)
		assert.LessOrEqual(t, len(c.pcm), len(message))
		p := newPlayer()
		assert.Equal(t, piece{c.pcm, c.rate}.length() <= mostAhead, p.add(c))
	})
}
