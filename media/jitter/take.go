package jitter

import "time"

// Take writes what is to be heard next to dst. It is called at the pace of our clock, at now, though it may be called some times
// in a row by who was late.
func (b *Buffer) Take(dst []int16, now time.Time) {
	if b.began.IsZero() {
		b.began = now
	}
	if !b.taken {
		b.taken, b.clock = true, b.at(now)
	}
	for len(dst) > 0 {
		if b.from == b.to {
			b.step(len(dst))
		}
		n := copy(dst, b.pending[b.from:b.to])
		b.from += n
		b.clock += int64(n)
		dst = dst[n:]
	}
}

// step makes what is pending, if it can. Where it is not a packet, it is as many as are due at most.
func (b *Buffer) step(due int) {
	least, most, known := b.delays.bounds(b.clock)
	if !known {
		b.running = false
	}
	s, missing := b.head()
	if !b.running {
		if s == nil || !known {
			b.silence(due)
			return
		}
		b.running = true
		b.position = b.clock - least - b.delays.hold(b.clock, least, most)
		// What came at once after a time without anything is not too late, but held for longer. It is made up for by and by.
		b.position = max(min(b.position, s.position), b.position-Backlog)
	}
	// Positive: the sound is held longer than need be; negative: not long enough.
	excess := b.clock - least - b.delays.hold(b.clock, least, most) - b.position
	switch {
	case s == nil:
		b.wait(due, b.clock-least-b.position)
	case s.position > b.position:
		b.gap(s, missing, due, excess)
	case excess <= -frameLen && !b.stretched:
		// A packet at a time and no more: sound that is made up fades out soon.
		b.stretched = true
		b.stretch(min(due, frameLen))
	default:
		b.play(s, excess)
	}
}

// wait goes on while nothing is there: the network may have become slower, or the peer is silent.
func (b *Buffer) wait(due int, held int64) {
	if held >= Most {
		b.running, b.stalled = false, 0
		b.silence(due)
		return
	}
	due = min(due, int(Most-held))
	b.voice.Conceal(b.pending[:due])
	b.from, b.to = 0, due
	b.stalled += due
}

// gap fills what is missing before a packet.
func (b *Buffer) gap(s *slot, missing, due int, excess int64) {
	gap := s.position - b.position
	if gap > leap {
		b.position = s.position
		return
	}
	if missing == 0 {
		// The peer was silent and saved itself the packets.
		b.stalled = 0
		due = int(min(int64(due), gap))
		b.silence(due)
		b.position += int64(due)
		return
	}
	if excess < 0 { // It may come yet.
		b.stretch(min(due, int(-excess)))
		return
	}
	n := int(min(gap, int64(b.length)))
	if own, ok := b.decoder.(Concealer); ok {
		var next []byte
		if gap == int64(n) && s.format == b.format {
			next = s.payload
		}
		if own.Conceal(b.pending[:n], next) {
			b.voice.Heard(b.pending[:n])
			b.made(n)
			b.position += int64(n)
			return
		}
	}
	b.voice.Conceal(b.pending[:n])
	b.made(n)
	b.position += int64(n)
}

// made takes note of sound that was made up and is pending now.
func (b *Buffer) made(n int) {
	b.from, b.to = 0, n
	b.counters.Concealed(n + b.stalled)
	b.stalled = 0
}

// stretch makes up sound for which nothing is left out: from then on all is held for longer.
func (b *Buffer) stretch(n int) {
	b.voice.Conceal(b.pending[:n])
	b.made(n)
}

// silence gives out silence.
func (b *Buffer) silence(n int) {
	n = min(n, len(b.pending))
	clear(b.pending[:n])
	b.from, b.to = 0, n
	b.voice.Heard(b.pending[:n])
}

// play decodes a packet. What of it came too late is left out.
func (b *Buffer) play(s *slot, excess int64) {
	if b.stalled > 0 {
		b.counters.Concealed(b.stalled) // it did not come in time
		b.stalled = 0
	}
	if b.decoder == nil || s.format.Codec != b.format.Codec {
		b.decoder = b.decoders(s.format.Codec)
	}
	b.format, b.stretched = s.format, false
	n, err := b.decoder.Decode(b.pending[:], s.payload)
	b.release(s.sequence + 1)
	if err != nil || n == 0 {
		b.unreadable(s)
		return
	}
	b.length = n
	b.from, b.to = 0, n
	late := b.position - s.position
	if late >= int64(n) {
		b.counters.Late(1)
		b.from = n
		return
	}
	if late > 0 {
		b.from = int(late)
	}
	b.voice.Heard(b.pending[b.from:b.to])
	b.position = s.position + int64(n)
	b.shrink(excess)
}

// unreadable fills in for a packet that is as good as lost.
func (b *Buffer) unreadable(s *slot) {
	n := b.length
	b.voice.Conceal(b.pending[:n])
	b.made(n)
	b.position = max(b.position, s.position) + int64(n)
}

// shrink drops some of what is pending if sound is held for too long: silence, or else as much as the voice repeats.
func (b *Buffer) shrink(excess int64) {
	pcm := b.pending[b.from:b.to]
	if excess <= slackQuiet || len(pcm) < 2*minLag {
		return
	}
	silent := isQuiet(pcm)
	if b.clock-b.shrunk < shrinkGap && (!silent || excess < Most) {
		return
	}
	most := min(maxLag, len(pcm)/2, int(excess))
	lag := most
	if !silent {
		if excess <= slackSound {
			return
		}
		var likeness float64
		if lag, likeness = alike(pcm, minLag, most); likeness < 0.5 && excess < Most {
			return
		}
	}
	for i := range lag {
		w := float32(i+1) / float32(lag+1)
		pcm[lag+i] = int16(float32(pcm[i])*(1-w) + float32(pcm[lag+i])*w)
	}
	b.from += lag
	b.shrunk = b.clock
}
