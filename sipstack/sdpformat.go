package sipstack

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/media"
)

// errBadSDP is returned for a body that is no session description.
var errBadSDP = errors.New("malformed session description")

// remoteSDP is what a peer's session description (RFC 4566) says of its media streams.
//
// It is read here and not by a library, since one m= line with a media type or transport that the reader doesn't know (a
// fax, a screen) must not cost the call its audio: RFC 3264 section 6 wants that one line refused.
type remoteSDP struct {
	media []remoteMedia
}

// remoteMedia is an m= line with what belongs to it.
type remoteMedia struct {
	kind    string // "audio"
	port    int    // 0: refused, or not used any more
	proto   string // "RTP/AVP"
	formats []string

	addr   netip.Addr        // of c=, the stream's own or the session's; zero: a name, or none
	named  bool              // c= has a name instead of an address
	hold   bool              // c= has the address that RFC 2543 puts calls on hold with
	send   bool              // the peer's direction
	recv   bool              //
	rtpmap map[string]string // format: "PCMU/8000"
	ptime  time.Duration     // 0: not said
	rtcp   string            // value of a=rtcp (RFC 3605)

	crypto      []string // values of a=crypto (RFC 4568)
	fingerprint string   // of a=fingerprint (RFC 8122), the first that can be verified
	setup       string   // of a=setup (RFC 4145)

	tag string // of the a=crypto that is used
}

// readSDP reads a session description. Lines that have no bearing on audio are skipped, whatever is in them.
func readSDP(body []byte) (remoteSDP, error) {
	session := remoteMedia{send: true, recv: true}
	var d remoteSDP
	current := &session
	lines := strings.FieldsFunc(string(body), func(c rune) bool { return c == '\r' || c == '\n' })
	if len(lines) == 0 {
		return remoteSDP{}, fmt.Errorf("%w: empty", errBadSDP)
	}
	for i, line := range lines {
		kind, value, ok := strings.Cut(line, "=")
		kind = strings.TrimSpace(kind)
		switch {
		case !ok || len(kind) != 1:
			return remoteSDP{}, fmt.Errorf("%w: line %d", errBadSDP, i+1)
		case i == 0 && (kind != "v" || strings.TrimSpace(value) != "0"):
			return remoteSDP{}, fmt.Errorf("%w: version", errBadSDP)
		}
		switch kind {
		case "m":
			m, err := readMediaLine(value)
			if err != nil {
				return remoteSDP{}, err
			}
			// What the session says holds for each stream that doesn't say otherwise.
			m.addr, m.named, m.hold = session.addr, session.named, session.hold
			m.send, m.recv, m.ptime = session.send, session.recv, session.ptime
			m.fingerprint, m.setup = session.fingerprint, session.setup
			d.media = append(d.media, m)
			current = &d.media[len(d.media)-1]
		case "c":
			current.readConnection(value)
		case "a":
			current.readAttribute(value)
		}
	}
	return d, nil
}

// readMediaLine reads what follows "m=".
func readMediaLine(value string) (remoteMedia, error) {
	fields := strings.Fields(value)
	if len(fields) < 4 {
		return remoteMedia{}, fmt.Errorf("%w: m=%s", errBadSDP, value)
	}
	first, _, _ := strings.Cut(fields[1], "/") // a number of ports may follow
	port, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return remoteMedia{}, fmt.Errorf("%w: m=%s", errBadSDP, value)
	}
	return remoteMedia{kind: fields[0], port: int(port), proto: fields[2], formats: fields[3:]}, nil
}

// readConnection reads what follows "c=". Of an address that can't be used nothing is kept.
func (m *remoteMedia) readConnection(value string) {
	m.addr, m.named, m.hold = netip.Addr{}, false, false
	fields := strings.Fields(value)
	if len(fields) < 3 || !strings.EqualFold(fields[0], "IN") {
		return
	}
	m.addr, m.named = readAddress(fields[2])
	// RFC 3264 section 8.4 for IPv4; RFC 6157 section 3.2.2 has the name for IPv6, where "::" is seen too.
	m.hold = m.addr.IsUnspecified() || m.named && strings.HasSuffix(strings.ToLower(fields[2]), ".invalid")
}

// readAddress reads an address without its TTL; named: it is a name, which is not looked up here.
func readAddress(s string) (addr netip.Addr, named bool) {
	s, _, _ = strings.Cut(s, "/")
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, true
	}
	return addr.Unmap().WithZone(""), false
}

// readAttribute reads what follows "a=".
func (m *remoteMedia) readAttribute(value string) {
	name, value, _ := strings.Cut(value, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "sendrecv":
		m.send, m.recv = true, true
	case "sendonly":
		m.send, m.recv = true, false
	case "recvonly":
		m.send, m.recv = false, true
	case "inactive":
		m.send, m.recv = false, false
	case "rtcp":
		m.rtcp = value
	case "crypto":
		m.crypto = append(m.crypto, value)
	case "fingerprint":
		if media.CanVerify(value) {
			m.fingerprint = value
		}
	case "setup":
		m.setup = value
	case "ptime":
		if ms, err := strconv.ParseUint(value, 10, 16); err == nil {
			m.ptime = time.Duration(ms) * time.Millisecond
		}
	case "rtpmap":
		if format, encoding, ok := cutSpace(value); ok {
			if m.rtpmap == nil {
				m.rtpmap = map[string]string{}
			}
			m.rtpmap[format] = encoding
		}
	}
}

// encoding returns what a payload type of the stream stands for, in upper case and without the one channel that is the
// default. The types of RFC 3551 section 6 need no rtpmap.
func (m *remoteMedia) encoding(format string) string {
	encoding, ok := m.rtpmap[format]
	if !ok {
		switch format {
		case "0":
			return "PCMU/8000"
		case "8":
			return "PCMA/8000"
		case "9":
			return "G722/8000"
		}
	}
	return strings.TrimSuffix(strings.ToUpper(encoding), "/1")
}

// codec returns the codec that a payload type stands for.
func (m *remoteMedia) codec(format string) (media.Codec, bool) {
	switch m.encoding(format) {
	case "PCMU/8000":
		return media.PCMU, true
	case "PCMA/8000":
		return media.PCMA, true
	case "G722/8000":
		return media.G722, true
	case "OPUS/48000/2":
		return media.Opus, true
	}
	return 0, false
}

// events returns the payload type of the events of RFC 4733, by the clock of the sound, or else by that of G.711, which
// some phones have for Opus too; 0: there are none.
func (m *remoteMedia) events(clock int) (number uint8, by int) {
	for _, by := range []int{clock, media.SampleRate} {
		for _, format := range m.formats {
			if number, ok := payloadType(format); ok && m.encoding(format) == "TELEPHONE-EVENT/"+strconv.Itoa(by) {
				return number, by
			}
		}
	}
	return 0, 0
}

// remote returns where the peer wants RTP; zero: not known before it sends.
func (m *remoteMedia) remote() netip.AddrPort {
	if !m.addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(m.addr, uint16(m.port))
}

// remoteRTCP returns where the peer wants RTCP if it says so (RFC 3605); zero: the port above that of RTP.
func (m *remoteMedia) remoteRTCP() netip.AddrPort {
	fields := strings.Fields(m.rtcp)
	if len(fields) == 0 {
		return netip.AddrPort{}
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}
	}
	addr := m.addr
	if len(fields) >= 4 {
		if own, _ := readAddress(fields[3]); own.IsValid() {
			addr = own
		}
	}
	if !addr.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(port))
}

// payloadType reads a format as an RTP payload type.
func payloadType(format string) (uint8, bool) {
	n, err := strconv.ParseUint(format, 10, 7)
	return uint8(n), err == nil
}
