package media

import "github.com/pion/rtp"

// segmentLength is the longest that one event can say that it lasts (RFC 4733 section 2.5.1.3): a key that is pressed for
// longer (8 s, by the clock of Opus 1.4 s) goes on as another event, which begins that much later. Some senders step by whole packets up to there.
const segmentLength = 1<<16 - 1

// events makes digits of the events of RFC 4733. All packets of an event bear the time of its beginning, so that one is
// enough to know the event, and no number of further ones makes two of it.
type events struct {
	known     bool
	ssrc      uint32
	sequence  uint16 // highest, of the packets that were looked at
	timestamp uint32
	code      byte
	ended     bool
}

// packet reads one packet, and returns the digit that begins with it, if one does.
func (e *events) packet(codec Codec, h *rtp.Header, payload []byte) (key byte, begins bool) {
	// RFC 4733 section 2.3: event, end and volume, duration. What is no key of a phone (flash, the tones of a fax) is none here.
	if len(payload) < 4 || int(payload[0]) >= len(Digits) {
		return 0, false
	}
	same := e.known && e.ssrc == h.SSRC
	if same && e.sequence-h.SequenceNumber <= maxMisorder {
		return 0, false // once more, or overtaken
	}
	code, ended := payload[0], payload[1]&0x80 != 0
	goesOn := same && code == e.code &&
		(h.Timestamp == e.timestamp || !e.ended && !h.Marker && isNextSegment(codec, h.Timestamp-e.timestamp))
	*e = events{
		known: true, ssrc: h.SSRC, sequence: h.SequenceNumber, timestamp: h.Timestamp, code: code,
		ended: ended || goesOn && e.ended && h.Timestamp == e.timestamp,
	}
	return Digits[code], !goesOn
}

func isNextSegment(codec Codec, after uint32) bool {
	return after > segmentLength-uint32(codec.ticks(maxFrame)) && after <= segmentLength+1
}
