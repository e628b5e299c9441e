package scenario

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// SendTone sends a tone in real time; a frequency of 0 is silence. It returns when the last frame was sent.
func (c *Call) SendTone(ctx context.Context, hertz float64, length time.Duration) error {
	return c.SendSamples(ctx, sine(hertz, length))
}

func sine(hertz float64, length time.Duration) []int16 {
	samples := make([]int16, int(length/frameLength)*frameSamples)
	for i := range samples {
		samples[i] = int16(8000 * math.Sin(2*math.Pi*hertz*float64(i)/sampleRate))
	}
	return samples
}

// SendSamples sends sound, 8,000 samples a second, in real time and in the codec that the phone likes best. It returns
// when the last frame was sent. After a pause of the machine's it sends at once what it has missed, as a phone does whose
// microphone goes on.
func (c *Call) SendSamples(ctx context.Context, samples []int16) error {
	codec, encode := c.phone.cfg.Codecs[0], encodeULaw
	if codec == "PCMA" {
		encode = encodeALaw
	}
	due := time.Now()
	for frame := range slices.Chunk(samples, frameSamples) {
		payload := make([]byte, len(frame))
		for i, v := range frame {
			payload[i] = encode(v)
		}
		if err := c.media.send(uint8(payloadTypes[codec]), payload); err != nil {
			return err
		}
		due = due.Add(frameLength)
		if err := sleep(ctx, time.Until(due)); err != nil {
			return err
		}
	}
	return nil
}

// dtmfKeys are the keys of a phone in the order of their event codes (RFC 4733 section 3.2).
const dtmfKeys = "0123456789*#ABCD"

// pauseInDigits is what a comma among digits stands for.
const pauseInDigits = 500 * time.Millisecond

// SendDigits presses keys, each for a length and with a gap behind it, as telephone events (RFC 4733 section 2.5): a packet
// every 20 ms, the last one three times. A comma is a pause of half a second.
func (c *Call) SendDigits(ctx context.Context, digits string, length, gap time.Duration) error {
	for _, key := range digits {
		pause := pauseInDigits
		if key != ',' {
			pause = gap
			if err := c.sendEvent(ctx, byte(strings.IndexRune(dtmfKeys, key)), length); err != nil {
				return err
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

func (c *Call) sendEvent(ctx context.Context, code byte, length time.Duration) error {
	const end, volume, copies = 0x80, 10, 3
	frames := max(1, int(length/frameLength))
	for frame := 1; frame <= frames; frame++ {
		payload := binary.BigEndian.AppendUint16([]byte{code, volume}, uint16(frame*frameSamples))
		times, advance := 1, 0
		if frame == frames {
			payload[1] |= end
			times = copies
		}
		for i := range times {
			if frame == frames && i == times-1 {
				advance = frames * frameSamples // the event's own packets all have the time of its beginning
			}
			if err := c.media.packet(eventPayloadType, payload, advance); err != nil {
				return err
			}
		}
		if err := sleep(ctx, frameLength); err != nil {
			return err
		}
	}
	return nil
}

// keyTones are the two frequencies of each of dtmfKeys (ITU-T Q.23).
var keyTones = [len(dtmfKeys)][2]float64{
	{941, 1336}, {697, 1209}, {697, 1336}, {697, 1477}, {770, 1209}, {770, 1336}, {770, 1477}, {852, 1209}, {852, 1336}, {852, 1477},
	{941, 1209}, {941, 1477}, {697, 1633}, {770, 1633}, {852, 1633}, {941, 1633},
}

// SendDigitTones is SendDigits by a phone whose keys are tones in the sound. Times are rounded down to whole frames.
func (c *Call) SendDigitTones(ctx context.Context, digits string, length, gap time.Duration) error {
	var samples []int16
	for _, key := range digits {
		if key == ',' {
			samples = append(samples, sine(0, pauseInDigits)...)
			continue
		}
		tones := keyTones[strings.IndexRune(dtmfKeys, key)]
		low, high := sine(tones[0], length), sine(tones[1], length)
		for i := range low {
			samples = append(samples, low[i]/2+high[i]/2)
		}
		samples = append(samples, sine(0, gap)...)
	}
	return c.SendSamples(ctx, samples)
}

// sleep waits, or returns the cause of the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errWAV = errors.New("is no WAV file of PCM with 16 bits, 8000 Hz and one channel")

// readWAV reads the samples of a WAV file.
func readWAV(b []byte) ([]int16, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errWAV
	}
	fits := false
	for b = b[12:]; len(b) >= 8; {
		name, size := string(b[:4]), int(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		body := b[:min(size, len(b))]
		switch {
		case name == "fmt " && len(body) >= 16:
			fits = slices.Equal(body[:8], []byte{1, 0, 1, 0, 0x40, 0x1f, 0, 0}) && body[14] == 16
		case name == "data" && fits:
			samples := make([]int16, len(body)/2)
			for i := range samples {
				samples[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
			}
			return samples, nil
		case name == "data":
			return nil, errWAV
		}
		b = b[min(size+size%2, len(b)):]
	}
	return nil, fmt.Errorf("%w: it holds no sound", errWAV)
}

// writeWAV writes samples as a WAV file.
func writeWAV(samples []int16) []byte {
	b := []byte("RIFF")
	b = binary.LittleEndian.AppendUint32(b, uint32(36+2*len(samples)))
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	for _, v := range []uint16{1, 1, sampleRate, 0, 2 * sampleRate, 0, 2, 16} { // PCM, mono, rate, bytes a second, a frame, bits
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*len(samples)))
	for _, s := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return b
}
