package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Directions of a stream, as SDP names them, seen from who says so (RFC 3264 section 5.1).
const (
	SendRecv = "sendrecv"
	SendOnly = "sendonly" // hold: the other party shall listen only
	RecvOnly = "recvonly"
	Inactive = "inactive"
)

// payloadTypes are those of the codecs that a phone can have (RFC 3551 section 6), and the one it uses for telephone events.
var payloadTypes = map[string]int{"PCMU": 0, "PCMA": 8}

const eventPayloadType = 101

// Session is what a session description says of its audio stream.
type Session struct {
	Media     netip.AddrPort // where sound shall be sent
	Payloads  []int          // in order of preference
	Codecs    map[int]string // by payload type: "PCMU/8000"
	Direction string
	Refused   bool // port 0
}

// describe writes a session description with one audio stream, and telephone events if they are wanted.
func describe(codecs []string, events bool, at netip.AddrPort, direction string, version int) []byte {
	family := "IP4"
	if at.Addr().Is6() {
		family = "IP6"
	}
	var payloads, maps strings.Builder
	for _, c := range codecs {
		fmt.Fprintf(&payloads, " %d", payloadTypes[c])
		fmt.Fprintf(&maps, "a=rtpmap:%d %s/8000\r\n", payloadTypes[c], c)
	}
	if events {
		fmt.Fprintf(&payloads, " %d", eventPayloadType)
		fmt.Fprintf(&maps, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-16\r\n", eventPayloadType, eventPayloadType)
	}
	return fmt.Appendf(nil, "v=0\r\no=phone 1 %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP%s\r\n%sa=ptime:20\r\na=%s\r\n",
		version, family, at.Addr(), family, at.Addr(), at.Port(), payloads.String(), maps.String(), direction)
}

// ReadSession reads a session description; false if it has no audio stream that can be understood.
func ReadSession(body []byte) (Session, bool) {
	s := Session{Codecs: map[int]string{}, Direction: SendRecv}
	var ip netip.Addr
	port, audio, before := -1, false, true
	for line := range strings.Lines(string(body)) {
		kind, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case kind == "m":
			f := strings.Fields(value)
			audio = port < 0 && len(f) >= 3 && f[0] == "audio"
			before = false
			if audio {
				port = readPayloads(&s, f)
			}
		case kind == "c" && (audio || before):
			if f := strings.Fields(value); len(f) == 3 {
				ip, _ = netip.ParseAddr(f[2])
			}
		case kind == "a" && (audio || before):
			readAttribute(&s, value)
		}
	}
	s.Refused = port == 0
	if port < 0 || !ip.IsValid() {
		return Session{}, false
	}
	s.Media = netip.AddrPortFrom(ip, uint16(port))
	return s, true
}

// readPayloads reads the fields of an m= line and returns its port, -1 if it is none.
func readPayloads(s *Session, fields []string) int {
	port, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil {
		return -1
	}
	for _, f := range fields[3:] {
		if pt, err := strconv.Atoi(f); err == nil {
			s.Payloads = append(s.Payloads, pt)
		}
	}
	return int(port)
}

// events reports whether the stream has telephone events.
func (s Session) events() bool {
	for _, codec := range s.Codecs {
		if strings.EqualFold(codec, "telephone-event/8000") {
			return true
		}
	}
	return false
}

func readAttribute(s *Session, value string) {
	switch value {
	case SendRecv, SendOnly, RecvOnly, Inactive:
		s.Direction = value
		return
	}
	if rest, ok := strings.CutPrefix(value, "rtpmap:"); ok {
		number, codec, _ := strings.Cut(rest, " ")
		if pt, err := strconv.Atoi(number); err == nil {
			s.Codecs[pt] = codec
		}
	}
}
