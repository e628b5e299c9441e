package transcribe

// upsampler doubles the rate of a sound for a model that was trained with 16 kHz: between two samples another is put, their
// mean. That is no good filter, and on purpose: the model expects something above 4 kHz, and what the mean leaves there is
// much better understood than the nothing of a perfect one.
type upsampler struct {
	last  int16
	begun bool
}

// add appends to dst the little-endian bytes of samples at twice their rate.
func (u *upsampler) add(dst []byte, samples []int16) []byte {
	for _, s := range samples {
		if !u.begun {
			u.last, u.begun = s, true
		}
		dst = pcm16(pcm16(dst, int16((int(u.last)+int(s))/2)), s)
		u.last = s
	}
	return dst
}

func pcm16(dst []byte, s int16) []byte { return append(dst, byte(s), byte(s>>8)) }
