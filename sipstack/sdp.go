package sipstack

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/callengine/callengine/media"
	"github.com/pion/sdp/v3"
)

// errNoCommonCodec is returned when no m= line of an offer or answer can be used: no audio over RTP, none of our codecs,
// an address of the other family, protection that may not be or that must be. An offer gets 488.
var errNoCommonCodec = errors.New("no audio stream with a common codec")

// The payload types that we offer for what has no number of its own.
const (
	offeredOpus       = 107
	offeredEvents     = 101 // telephone-event by the clock of most codecs
	offeredEventsOpus = 102 // and by that of Opus
)

// sdpLocal is our side of a session description.
type sdpLocal struct {
	addr netip.Addr
	port int

	// sessionID stays the same for a dialog; version must be one higher for each description that differs from the one
	// before it (RFC 3264 section 8).
	sessionID, version uint64

	// codecs are those that may be used: the order is that of our offers. Empty: PCMU, PCMA.
	codecs []media.Codec

	keys localKeys
}

// answerSDP answers an offer (RFC 3264 section 6). The first m= line with audio that we can use is accepted, with the codec
// that its offerer likes best of those that we may use; every other line is refused, in its place.
func answerSDP(offer remoteSDP, local sdpLocal) (answer []byte, p media.Params, err error) {
	d := local.description()
	accepted := false
	for i := range offer.media {
		m := offer.media[i]
		if agreed, ok := m.agree(local); ok && !accepted {
			accepted, p = true, agreed
			d.MediaDescriptions = append(d.MediaDescriptions, local.accept(m, agreed))
			continue
		}
		d.MediaDescriptions = append(d.MediaDescriptions, refuse(m))
	}
	if !accepted {
		return nil, media.Params{}, errNoCommonCodec
	}
	answer, err = d.Marshal()
	return answer, p, err
}

// answerable reports whether an offer has a line that we can use.
func (offer *remoteSDP) answerable(local sdpLocal) bool {
	for i := range offer.media {
		if _, ok := offer.media[i].agree(local); ok {
			return true
		}
	}
	return false
}

// offerSDP makes an offer of one audio stream in both directions.
func offerSDP(local sdpLocal) []byte {
	m := local.audio(local.keys.proto())
	for _, codec := range local.allowed() {
		m = withCodec(m, offeredType(codec), codec)
	}
	for _, clock := range local.clocks() {
		m = withEvents(m, eventsOffered(clock), clock)
	}
	m = withDirection(local.keys.withOffer(m), true, true)
	d := local.description()
	d.MediaDescriptions = []*sdp.MediaDescription{m}
	offer, err := d.Marshal()
	if err != nil { // Marshal only writes the fields that were set here
		panic("sipstack: offer: " + err.Error())
	}
	return offer
}

// acceptSDP reads the answer to an offer of ours.
func acceptSDP(answer remoteSDP, local sdpLocal) (media.Params, error) {
	if len(answer.media) == 0 {
		return media.Params{}, errNoCommonCodec
	}
	p, ok := answer.media[0].agree(local)
	if !ok {
		return media.Params{}, errNoCommonCodec
	}
	if p.EventType != 0 { // Events come to us under the number that we gave them.
		p.EventType = eventsOffered(eventClock(p))
	}
	return p, nil
}

// agree returns how the peer's stream is used; false: it can't be.
func (m *remoteMedia) agree(local sdpLocal) (media.Params, bool) {
	if !m.usable(local.addr) {
		return media.Params{}, false
	}
	secure, tag, ok := m.secure(local.keys)
	if !ok {
		return media.Params{}, false
	}
	m.tag = tag
	p := media.Params{
		Secure: secure,
		Remote: m.remote(), RemoteRTCP: m.remoteRTCP(), PTime: m.ptime,
		// On hold by its address the peer hears nothing, whatever its direction says.
		Send: m.recv && !m.hold, Receive: m.send,
	}
	found := false
	for _, format := range m.formats {
		number, isType := payloadType(format)
		if codec, ok := m.codec(format); ok && isType && slices.Contains(local.allowed(), codec) {
			found, p.Codec, p.PayloadType = true, codec, number
			break
		}
	}
	if !found {
		return media.Params{}, false
	}
	clock := 0
	if p.EventType, clock = m.events(p.Codec.Clock()); clock != p.Codec.Clock() {
		p.EventClock = clock
	}
	return p, true
}

// usable reports whether the stream is audio that we can reach. A name for its address is taken: its packets show
// the address.
func (m *remoteMedia) usable(local netip.Addr) bool {
	if !strings.EqualFold(m.kind, "audio") || m.port == 0 {
		return false
	}
	return m.named || m.addr.IsValid() && !m.addr.IsMulticast() && m.addr.Is4() == local.Unmap().Is4()
}

// description returns our description without streams.
func (l sdpLocal) description() *sdp.SessionDescription {
	family := "IP4"
	if !l.addr.Unmap().Is4() {
		family = "IP6"
	}
	addr := l.addr.Unmap().WithZone("").String()
	return &sdp.SessionDescription{
		Origin: sdp.Origin{
			Username: "-", SessionID: l.sessionID, SessionVersion: l.version,
			NetworkType: "IN", AddressType: family, UnicastAddress: addr,
		},
		SessionName:           "callengine",
		ConnectionInformation: &sdp.ConnectionInformation{NetworkType: "IN", AddressType: family, Address: &sdp.Address{Address: addr}},
		TimeDescriptions:      []sdp.TimeDescription{{}},
	}
}

// allowed returns the codecs that may be used.
func (l sdpLocal) allowed() []media.Codec {
	if len(l.codecs) == 0 {
		return []media.Codec{media.PCMU, media.PCMA}
	}
	return l.codecs
}

// accept returns our stream for one of the peer's: with one codec, so that nobody changes it in the middle.
func (l sdpLocal) accept(m remoteMedia, p media.Params) *sdp.MediaDescription {
	d := withCodec(l.audio(m.proto), p.PayloadType, p.Codec)
	if p.EventType != 0 {
		d = withEvents(d, p.EventType, eventClock(p))
	}
	return withDirection(l.keys.withSecurity(d, p.Secure, m.tag), p.Send, p.Receive)
}

// audio returns a stream of ours without formats.
func (l sdpLocal) audio(proto string) *sdp.MediaDescription {
	return &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media: "audio", Port: sdp.RangedPort{Value: l.port}, Protos: strings.Split(proto, "/"),
	}}
}

// refuse returns the line that refuses a stream: port 0, and the rest as it came (RFC 3264 section 6).
func refuse(m remoteMedia) *sdp.MediaDescription {
	return &sdp.MediaDescription{MediaName: sdp.MediaName{
		Media: m.kind, Protos: strings.Split(m.proto, "/"), Formats: m.formats,
	}}
}

func withCodec(d *sdp.MediaDescription, number uint8, codec media.Codec) *sdp.MediaDescription {
	if codec == media.Opus {
		// RFC 7587 sections 6.1 and 7: always as if stereo, whatever is sent. We make nothing of what is above 4 kHz.
		return d.WithCodec(number, codec.String(), uint32(codec.Clock()), 2, "maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1")
	}
	return d.WithCodec(number, codec.String(), uint32(codec.Clock()), 0, "")
}

func withEvents(d *sdp.MediaDescription, number uint8, clock int) *sdp.MediaDescription {
	return d.WithCodec(number, "telephone-event", uint32(clock), 0, "0-15") // RFC 4733 section 3.2: the keys of a phone
}

// clocks returns the clocks of our codecs. RFC 4733 section 2.1: events go by that of the sound.
func (l sdpLocal) clocks() (all []int) {
	for _, codec := range l.allowed() {
		if !slices.Contains(all, codec.Clock()) {
			all = append(all, codec.Clock())
		}
	}
	return all
}

// eventClock returns the clock of the events that were agreed on.
func eventClock(p media.Params) int {
	if p.EventClock != 0 {
		return p.EventClock
	}
	return p.Codec.Clock()
}

func eventsOffered(clock int) uint8 {
	if clock == media.Opus.Clock() {
		return offeredEventsOpus
	}
	return offeredEvents
}

// withDirection adds our packet time and direction.
func withDirection(d *sdp.MediaDescription, send, receive bool) *sdp.MediaDescription {
	direction := sdp.DirectionInactive
	switch {
	case send && receive:
		direction = sdp.DirectionSendRecv
	case send:
		direction = sdp.DirectionSendOnly
	case receive:
		direction = sdp.DirectionRecvOnly
	}
	return d.WithValueAttribute("ptime", "20").WithPropertyAttribute(direction.String())
}

// offeredType returns the payload type that we offer a codec with: the one that RFC 3551 gives it, or one of our own.
func offeredType(c media.Codec) uint8 { return [...]uint8{0, 8, 9, offeredOpus}[c] }
