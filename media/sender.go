package media

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/callengine/callengine/media/jitter"
	"github.com/pion/rtp"
	"go.uber.org/zap"
)

// sender is what a session sends: RTP every 20 ms, and RTCP reports between. The [clock] calls it.
type sender struct {
	s      *Session
	pace   pacer
	header rtp.Header // of the next packet
	quiet  bool       // the packet before was not sent: the next one starts a talkspurt

	codec   Codec
	encoder encoder // of codec; nil: none yet
	guards  *guards // as of the newest frame

	reporter reporter
	failing  bool // the last write failed; said once per row of failures

	held held

	// The clock's.
	when    time.Time // the next tick is due; zero: it was not added
	at      int       // in the clock's heap
	removed bool
}

// frame is the room that one packet is made in. It is needed for a moment only, and so belongs to no session.
type frame struct {
	pcm    [jitter.MaxPacket]int16
	packet [12 + maxPayload]byte
}

func newSender(s *Session) *sender {
	// RFC 3550 sections 5.1 and 8: first sequence number, first timestamp and SSRC are random.
	x := &sender{s: s, quiet: true, header: rtp.Header{
		Version: 2, SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32(), SSRC: rand.Uint32(),
	}}
	x.reporter = newReporter(x.header.SSRC)
	return x
}

// begin sets when the first packet is due.
func (x *sender) begin(now time.Time) {
	x.pace = pacer{period: defaultPTime, next: now}
	x.reporter.start(now)
}

// guarded ticks, and returns when the next packet is due. A panic costs the session a packet, and the others nothing.
func (x *sender) guarded(now time.Time) (next time.Time) {
	defer func() {
		if v := recover(); v != nil {
			x.s.panicked("panic over a packet to be sent", v)
			next = x.pace.next
			if !next.After(now) {
				next = now.Add(x.pace.period)
			}
		}
	}()
	x.tick(now)
	return x.pace.next
}

// tick sends what is due at now.
func (x *sender) tick(now time.Time) {
	x.s.mu.Lock()
	x.pace.period = x.s.params.ptime() // frames from here on
	x.s.mu.Unlock()
	frames, lost := x.pace.due(now)
	x.tellHeld()
	x.held.on = lost > 0 && x.s.overheard()
	if lost > 0 {
		// The timestamp is a clock (RFC 3550 section 5.1): the gap is in it, and the sound goes on where it stood.
		x.header.Timestamp += uint32(x.codec.ticks(lost * samplesIn(x.pace.period)))
		x.quiet = true
		for range lost {
			x.tell(samplesIn(x.pace.period), nil)
		}
	}
	for range frames {
		x.frame(samplesIn(x.pace.period))
	}
	x.reporter.clock(x.header.Timestamp, x.pace.next, x.codec)
	if x.reporter.due(now) {
		x.report(now, false)
	}
}

// frame takes and sends the sound of one packet.
func (x *sender) frame(samples int) {
	s := x.s
	s.mu.Lock()
	p, to, playing := s.params, s.media.destination(), s.playout
	x.guards = s.guards
	s.mu.Unlock()
	x.use(p.Codec)
	room := s.engine.frames.Get().(*frame)
	defer s.engine.frames.Put(room)
	pcm := room.pcm[:samples]
	n := 0
	if playing != nil {
		n = playing.take(pcm)
	}
	clear(pcm[n:])
	x.tell(samples, pcm)
	switch audible := p.Send && usable(to) && (x.guards == nil || x.guards.rtp.ready()); {
	case playing != nil && x.press(playing.keying, n, room.packet[:12+len(event{})], p, to, audible):
		x.quiet = true // no sound goes out beside an event
	case audible:
		x.send(x.fill(room.packet[:], p, pcm), to)
	default:
		x.quiet = true
	}
	if playing != nil {
		playing.taken()
	}
	x.header.Timestamp += uint32(x.codec.ticks(samples))
}

// held is what those who listen are yet to be told of: the process stood still, and what the peer has said meanwhile waits
// in the socket, which others read. At the next tick it is here.
type held struct {
	on     bool
	silent []int     // frames that were not sent, in samples,
	sounds [][]int16 // and those that were, behind them
}

// tell tells who listens of a frame: out is what is sent, nil for silence.
func (x *sender) tell(samples int, out []int16) {
	switch {
	case !x.held.on:
		x.s.overhear(samples, out)
	case out == nil:
		x.held.silent = append(x.held.silent, samples)
	default:
		x.held.sounds = append(x.held.sounds, slices.Clone(out))
	}
}

// tellHeld tells of what was held.
func (x *sender) tellHeld() {
	if !x.held.on {
		return
	}
	for _, samples := range x.held.silent {
		x.s.overhear(samples, nil)
	}
	for _, out := range x.held.sounds {
		x.s.overhear(len(out), out)
	}
	x.held = held{}
}

// use goes on with a codec. RFC 7160 section 4.1: where its clock is another, as another source, since nobody could tell
// from the timestamps when that was.
func (x *sender) use(c Codec) {
	if x.encoder != nil && c == x.codec {
		return
	}
	if c.Clock() != x.codec.Clock() {
		x.header.SSRC = rand.Uint32()
		x.reporter.become(x.header.SSRC)
		x.quiet = true
	}
	x.codec, x.encoder = c, newEncoder(c)
}

// send sends a packet of RTP.
func (x *sender) send(packet []byte, to netip.AddrPort) {
	octets := len(packet) - 12
	if x.guards != nil {
		if packet = x.guards.rtp.seal(packet); packet == nil {
			return
		}
	}
	if err := x.s.rtp.write(packet, to); err != nil {
		x.failed(err)
		return
	}
	x.failing = false
	x.reporter.sent(octets)
	x.s.engine.counters.RTPSent(1)
}

// press sends the event of a frame in which a key is pressed; false: none is, and the frame is sound.
func (x *sender) press(k *keying, samples int, packet []byte, p Params, to netip.AddrPort, audible bool) bool {
	if k == nil || samples == 0 {
		return false
	}
	ev, stamp, first, times := k.frame(p, samples, x.header.Timestamp)
	if times == 0 || p.EventType == 0 {
		return false
	}
	if !audible {
		return true
	}
	h := x.header
	h.PayloadType, h.Timestamp = p.EventType, stamp
	for range times {
		h.Marker, h.SequenceNumber = first, x.header.SequenceNumber
		x.header.SequenceNumber++
		first = false
		_, _ = h.MarshalTo(packet) // it fails only for lack of room
		copy(packet[12:], ev[:])
		x.send(packet, to)
	}
	return true
}

// fill puts pcm into a packet and steps the sequence number.
func (x *sender) fill(packet []byte, p Params, pcm []int16) []byte {
	x.header.PayloadType = p.PayloadType
	// RFC 3551 section 4.1: the marker tells where a jitter buffer may adjust, which is after a pause.
	x.header.Marker = x.quiet
	x.quiet = false
	_, _ = x.header.MarshalTo(packet[:12]) // it fails only for lack of room
	n := x.encoder.encode(packet[12:], pcm)
	x.header.SequenceNumber++
	return packet[:12+n]
}

func (x *sender) failed(err error) {
	if !x.failing {
		x.s.logger().Debug("RTP cannot be sent", zap.Error(err))
	}
	x.failing = true
}

// report sends a report, and with it the end of the stream if that has come.
func (x *sender) report(now time.Time, bye bool) {
	s := x.s
	s.mu.Lock()
	to := s.control.destination()
	block, ok, lost := s.reception.block(), s.reception.known, s.reception.newlyLost()
	last, protected := s.report, s.guards
	s.mu.Unlock()
	if lost > 0 {
		s.engine.counters.RTPLost(lost)
	}
	if !usable(to) {
		return
	}
	if ok {
		last.fill(&block, now)
		x.reporter.about(block)
	}
	b, err := x.reporter.packet(now, bye)
	if err == nil {
		s.told(false, b, to, now)
		if protected != nil {
			if b = protected.rtcp.sealControl(b); b == nil {
				return // there are no keys yet
			}
		}
		err = s.rtcp.write(b, to)
	}
	if err != nil {
		s.logger().Debug("RTCP cannot be sent", zap.Error(err))
	}
}

// goodbye tells what was held, and ends the stream. RFC 3550 section 6.3.7: who has sent nothing does not send a BYE.
func (x *sender) goodbye(now time.Time) {
	defer func() {
		if v := recover(); v != nil {
			x.s.panicked("panic at the end of a session", v)
		}
	}()
	x.tellHeld()
	if x.reporter.active() {
		x.report(now, true)
	}
}
