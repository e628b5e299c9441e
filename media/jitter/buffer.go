package jitter

import (
	"time"

	"github.com/callengine/callengine/media/conceal"
)

// Decoder makes sound of the payloads of one stream, in their order.
type Decoder interface {
	// Decode writes the sound of a payload to dst, which has room for [MaxPacket] samples, and returns how many there are.
	Decode(dst []int16, payload []byte) (n int, err error)
}

// Concealer is a [Decoder] that makes up what was lost better than the sound alone would let one do.
type Concealer interface {
	// Conceal writes sound in place of a lost packet. next is the payload that comes after it, which may tell of it; nil: it
	// is not there. false: it can't be done for that many samples.
	Conceal(dst []int16, next []byte) bool
}

// Format is how payloads are to be read.
type Format struct {
	Type  uint8 // payload type
	Codec uint8 // told to the function that makes decoders
	Clock int   // ticks of the timestamp in a second
}

// Packet is one RTP packet of sound.
type Packet struct {
	Format    Format
	SSRC      uint32
	Sequence  uint16
	Timestamp uint32
	Payload   []byte // only read within the call
}

// Counters is told what happens, under the buffer's lock; it must not block.
type Counters interface {
	Late(packets int)      // they came after their time
	Concealed(samples int) // sound was made up for that long
}

const (
	// MaxPacket is the number of samples in the longest packet that is read: 120 ms, which is the longest of Opus.
	MaxPacket = 120 * sampleRate / 1000

	room      = 64         // packets that may wait
	leap      = sampleRate // a clock that is off by more was set anew
	minLag    = 20         // samples that are dropped at once, at least,
	maxLag    = 80         // and at most
	shrinkGap = sampleRate / 10

	// How much longer than need be sound may be held before some is dropped: of silence, and of sound.
	slackQuiet = 20 * sampleRate / 1000
	slackSound = 60 * sampleRate / 1000
	quiet      = 200 // mean amplitude that passes for silence

	frameLen = 20 * sampleRate / 1000
)

type slot struct {
	used     bool
	sound    bool // else it only takes part in the sequence
	sequence uint16
	format   Format
	position int64
	payload  []byte
}

// Buffer is the sound of a peer between its packets and who hears it. It is not safe for concurrent use.
type Buffer struct {
	decoders func(codec uint8) Decoder
	counters Counters

	began time.Time // the clock's zero
	clock int64     // our time: samples given out, from began on
	taken bool      // clock runs

	slots   [room]slot
	heard   bool // a packet has come: what follows is set
	ssrc    uint32
	next    uint16 // sequence number that is due
	waiting int    // slots in use
	last    struct {
		sequence  uint16
		timestamp uint32
		position  int64
		clock     int
	}
	restart int // sequence number that shows that the peer began anew; -1: none
	delays  delays

	running   bool
	position  int64 // of the next sample that is decoded or made up
	stalled   int   // samples made up while nothing was there, not counted yet
	shrunk    int64 // when sound was dropped last
	stretched bool  // sound was made up before the packet that is due

	format  Format
	decoder Decoder
	voice   conceal.Concealer
	length  int // samples in the packet before

	pending [MaxPacket]int16
	from    int // of what is pending
	to      int
}

// New returns a buffer that decodes with what decoders returns for a codec.
func New(decoders func(codec uint8) Decoder, c Counters) *Buffer {
	return &Buffer{decoders: decoders, counters: c, length: frameLen}
}

// Put takes over a packet that came at a time.
func (b *Buffer) Put(p Packet, now time.Time) {
	if b.began.IsZero() {
		b.began = now
	}
	arrival := b.at(now)
	if !b.follow(p) || b.repeated(p.Sequence) {
		return
	}
	position := b.place(p)
	delay := arrival - position
	if least, most, ok := b.delays.bounds(arrival); ok && (delay > most+leap || delay < least-leap) {
		// The peer's clock was set anew. The sound goes on where it is now.
		b.delays, b.running = delays{}, false
		position = arrival
		delay = 0
	}
	b.last.sequence, b.last.timestamp, b.last.position, b.last.clock = p.Sequence, p.Timestamp, position, p.Format.Clock
	b.delays.packet(arrival, delay)
	b.store(p, true, position)
}

// Skip takes note of a packet without sound, an event say, so that it is not taken for a lost one.
func (b *Buffer) Skip(ssrc uint32, sequence uint16) {
	if b.heard && ssrc == b.ssrc && !b.repeated(sequence) {
		b.store(Packet{SSRC: ssrc, Sequence: sequence}, false, 0)
	}
}

func (b *Buffer) at(t time.Time) int64 {
	return int64(t.Sub(b.began)) * sampleRate / int64(time.Second)
}

// follow keeps to the peer's stream; false: the packet is not part of it.
func (b *Buffer) follow(p Packet) bool {
	const near = 1000 // a sequence number that is farther away belongs to another beginning
	if b.heard && p.SSRC == b.ssrc && p.Format.Clock == b.last.clock {
		if off := int16(p.Sequence - b.last.sequence); off > -near && off < near {
			b.restart = -1
			return true
		}
		if int(p.Sequence) != b.restart { // a stray packet, or it began anew: two in sequence decide
			b.restart = int(p.Sequence + 1)
			return false
		}
	}
	for i := range b.slots {
		b.slots[i].used = false
	}
	b.heard, b.ssrc, b.next, b.restart, b.waiting = true, p.SSRC, p.Sequence, -1, 0
	b.last.sequence, b.last.timestamp, b.last.clock = p.Sequence, p.Timestamp, p.Format.Clock
	b.last.position = 0
	b.delays, b.running = delays{}, false
	b.decoder = nil
	return true
}

// place returns the position that a packet's timestamp stands for.
func (b *Buffer) place(p Packet) int64 {
	ticks := int64(int32(p.Timestamp - b.last.timestamp))
	return b.last.position + ticks*sampleRate/int64(p.Format.Clock)
}

// repeated reports whether a packet waits already, or was there, or is too late to tell.
func (b *Buffer) repeated(sequence uint16) bool {
	s := &b.slots[sequence%room]
	ahead := int16(sequence - b.next)
	return ahead < -room || s.sequence == sequence && s.payload != nil && (s.used || ahead < 0)
}

func (b *Buffer) store(p Packet, sound bool, position int64) {
	s := &b.slots[p.Sequence%room]
	ahead := int16(p.Sequence - b.next)
	switch {
	case ahead < 0:
		if sound {
			b.counters.Late(1)
		}
		return
	case ahead >= room:
		// More than there is room for came at once.
		if gone := b.release(p.Sequence - room + 1); gone > 0 {
			b.counters.Late(gone)
		}
	}
	if !s.used {
		b.waiting++
	}
	s.used, s.sound, s.sequence, s.format, s.position = true, sound, p.Sequence, p.Format, position
	s.payload = append(s.payload[:0], p.Payload...)
	if s.payload == nil {
		s.payload = []byte{}
	}
}

// release lets go of what waits before a sequence number, and returns how many packets with sound that were.
func (b *Buffer) release(before uint16) (sounds int) {
	for range min(before-b.next, room) { // each has its slot by its number
		s := &b.slots[b.next%room]
		b.next++
		if !s.used || int16(s.sequence-before) >= 0 {
			continue
		}
		if s.sound {
			sounds++
		}
		s.used = false
		b.waiting--
	}
	b.next = before
	return sounds
}

// head returns the first packet that waits, and how many are missing before it; nil: none waits.
func (b *Buffer) head() (s *slot, missing int) {
	if b.waiting == 0 {
		return nil, 0
	}
	for i := range uint16(room) {
		s := &b.slots[(b.next+i)%room]
		if !s.used || s.sequence != b.next+i {
			missing++
			continue
		}
		if s.sound {
			return s, missing
		}
		if missing == 0 { // it keeps its place in the sequence until the sound behind it is due
			s.used = false
			b.waiting--
			b.next++
			return b.head()
		}
	}
	return nil, 0
}
