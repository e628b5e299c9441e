package media

import (
	"errors"
	"io"
	"time"
)

// OpenSource returns the sound of an audio file that somebody else has opened, "wav" or "mp3", and closes it with the
// source. The error is that of a file that cannot be decoded, which is closed then.
func OpenSource(format string, file io.ReadCloser) (Source, error) {
	kind := wavFile
	if format == "mp3" {
		kind = mp3File
	}
	sound, err := openAudio(kind, file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &openedSource{guarded{frames: sound}, file}, nil
}

// OpenChannel is OpenSource for one channel, from 0, of a file of up to a day. An MP3 file has its channels mixed: it has but one.
func OpenChannel(format string, file io.ReadCloser, channel int) (_ Source, err error) {
	var sound frames
	if format == "mp3" {
		sound, err = openAudio(mp3File, file)
	} else {
		var w *wav
		if w, err = openWAV(file); err == nil {
			w.only = min(channel, w.channels-1) + 1
			sound = resample(w, w.rate)
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &openedSource{guarded{frames: sound, most: samplesIn(24 * time.Hour)}, file}, nil
}

// openedSource is a source that reads a file.
type openedSource struct {
	guarded
	file io.Closer
}

// Close implements [Source].
func (s *openedSource) Close() error { return s.file.Close() }
