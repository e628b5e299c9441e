package stream

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/callengine/callengine/media"
)

// command is a message of the other side: sound to play, or that what waits to be played is to be dropped.
type command struct {
	clear bool
	pcm   []int16
	rate  int // samples of pcm in a second
}

// errUnknown is the error of a message that the protocol does not have; later versions may, so that it does no harm.
var errUnknown = errors.New("a message of another kind")

// parse reads a message of the other side.
func parse(message []byte) (command, error) {
	var m struct {
		EventType string `json:"eventType"`
		Media     *struct {
			ContentType string `json:"contentType"`
			Payload     string `json:"payload"`
		} `json:"media"`
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return command{}, errors.New("not a JSON object of the protocol") // its error may quote the message
	}
	switch m.EventType {
	case "clear":
		return command{clear: true}, nil
	case "playAudio":
	default:
		return command{}, errUnknown
	}
	if m.Media == nil {
		return command{}, errors.New("playAudio without media")
	}
	f, err := parseFormat(m.Media.ContentType)
	if err != nil {
		return command{}, err
	}
	payload, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(m.Media.Payload, "="))
	if err != nil {
		return command{}, errors.New("the payload of playAudio is not base64")
	}
	pcm, err := f.decode(payload)
	return command{pcm: pcm, rate: f.rate}, err
}

// format is how the sound of a playAudio is encoded.
type format struct {
	linear bool // 16 bits, signed, little endian; else μ-law
	rate   int
}

// parseFormat reads a contentType: "audio/pcmu", or "audio/pcm" with a rate and, if they are given, the only other
// parameters that there may be.
func parseFormat(contentType string) (format, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return format{}, errors.New("the contentType of playAudio cannot be read")
	}
	switch kind {
	case "audio/pcmu":
		return format{rate: media.SampleRate}, nil
	case "audio/pcm":
	default:
		return format{}, errors.New("the contentType of playAudio is neither audio/pcmu nor audio/pcm")
	}
	for name, only := range map[string]string{"channels": "1", "bit-depth": "16", "endian": "little", "encoding": "signed"} {
		if value, given := params[name]; given && !strings.EqualFold(value, only) {
			return format{}, fmt.Errorf("the %s of audio/pcm is not %s", name, only)
		}
	}
	switch params["rate"] {
	case "8000":
		return format{true, 8000}, nil
	case "16000":
		return format{true, 16000}, nil
	case "24000":
		return format{true, 24000}, nil
	}
	return format{}, errors.New("the rate of audio/pcm is not 8000, 16000 or 24000")
}

func (f format) decode(payload []byte) ([]int16, error) {
	if !f.linear {
		pcm := make([]int16, len(payload))
		media.DecodePCMU(pcm, payload)
		return pcm, nil
	}
	if len(payload)%2 != 0 {
		return nil, errors.New("the payload of audio/pcm ends within a sample")
	}
	pcm := make([]int16, len(payload)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(payload[2*i:]))
	}
	return pcm, nil
}
