package media

import (
	"errors"
	"io"
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

// openedSource is a source that reads a file.
type openedSource struct {
	guarded
	file io.Closer
}

// Close implements [Source].
func (s *openedSource) Close() error { return s.file.Close() }
