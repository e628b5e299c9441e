package media

// What follows is for sound that comes from elsewhere than RTP and files, or goes there.

// EncodePCMU writes one byte of μ-law (G.711) per sample to dst, which must be as long as pcm.
func EncodePCMU(dst []byte, pcm []int16) {
	for i, s := range pcm {
		dst[i] = linearToMuLaw(s)
	}
}

// DecodePCMU writes the sample that each byte of μ-law stands for to dst, which must be as long as payload.
func DecodePCMU(dst []int16, payload []byte) {
	for i, b := range payload {
		dst[i] = muLawToLinear(b)
	}
}

// Resample returns src, whose samples are rate a second, as a source of [SampleRate]. While src waits for samples, those
// that can be made of what it has given are not held back.
func Resample(src Source, rate int) Source {
	return resampled{resample(src, rate), src}
}

type resampled struct {
	frames
	src Source
}

// Close implements [Source].
func (r resampled) Close() error { return r.src.Close() }
