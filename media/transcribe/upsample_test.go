package transcribe

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheRateIsDoubled(t *testing.T) {
	var u upsampler
	out := u.add(nil, []int16{100, 200})
	out = u.add(out, []int16{-32768, 32767})
	assert.Equal(t, []byte{100, 0, 100, 0, 150, 0, 200, 0, 0x64, 0xc0, 0, 0x80, 0, 0, 0xff, 0x7f}, out)
}
