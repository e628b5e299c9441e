package media

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/callengine/callengine/media/mp3"
)

// fileType is a kind of audio file.
type fileType uint8

const (
	wavFile fileType = iota
	mp3File
)

// fileTypeOf says what a file is by its Content-Type, or by the extension in its URL if the type says nothing. The rest is
// tried as WAV.
func fileTypeOf(contentType string, u *url.URL) fileType {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		mediaType = ""
	}
	switch mediaType {
	case "audio/wav", "audio/x-wav":
		return wavFile
	case "audio/mpeg", "audio/mpeg3", "audio/mp3":
		return mp3File
	}
	if strings.EqualFold(path.Ext(u.Path), ".mp3") {
		return mp3File
	}
	return wavFile
}

// openAudio reads up to the beginning of the sound and returns it at [SampleRate].
func openAudio(t fileType, r io.Reader) (f frames, err error) {
	defer recovered(&err)
	if t == mp3File {
		d, err := mp3.NewDecoder(r)
		if err != nil {
			return nil, err
		}
		return resample(d, d.SampleRate()), nil
	}
	w, err := openWAV(r)
	if err != nil {
		return nil, err
	}
	return resample(w, w.rate), nil
}

// recovered makes an error of a panic: a decoder that foreign bytes confuse must not end the process.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the decoder failed: %v", v)
	}
}

// guarded reads frames, and gives up after an hour of them.
type guarded struct {
	frames
	read int
	most int // samples; 0: an hour of them
}

var errTooLong = errors.New("the sound is too long")

func (g *guarded) ReadFrame(dst []int16) (n int, err error) {
	defer recovered(&err)
	if g.read > cmp.Or(g.most, samplesIn(maxSound)) {
		return 0, errTooLong
	}
	n, err = g.frames.ReadFrame(dst)
	g.read += n
	return n, err
}
