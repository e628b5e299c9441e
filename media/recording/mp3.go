package recording

import "errors"

const mp3Samples = 576

func mp3Frame(channels int) int64 { return int64(288 * channels) }

func newMP3(int, File) (encoder, error) { return nil, errors.ErrUnsupported }
