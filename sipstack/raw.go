package sipstack

import (
	"bytes"
	"strings"
)

// rawMessage is a message cut into its parts, before the parser sees it.
type rawMessage struct {
	raw    []byte // without the empty lines before it (RFC 3261 section 7.5)
	text   string // a copy of it, which all that is read of the head are parts of
	start  string
	fields []rawField
	body   []byte
	ended  bool // the empty line behind the head is there
	broken bool // a line does not end in CRLF, or has a CR inside
	folded bool // a header field has more than one line
}

// rawField is a header field. One that was folded is one line here.
type rawField struct {
	label string // as it was written
	name  string // long form, lower case; "": the line is no header field
	value string
}

// usualFields is more than most messages have.
const usualFields = 16

// readRaw cuts a message. Lines that end in LF alone are found, too: who wrote them wants to know what is wrong.
func readRaw(raw []byte) *rawMessage {
	m := &rawMessage{fields: make([]rawField, 0, usualFields)}
	m.read(raw)
	return m
}

// read is [readRaw] into m, whose room for header fields is used again.
func (m *rawMessage) read(raw []byte) {
	raw = bytes.TrimLeft(raw, "\r\n")
	text := string(raw)
	*m = rawMessage{raw: raw, text: text, fields: m.fields[:0]}
	first := true
	for len(text) > 0 {
		line, rest, found := strings.Cut(text, "\n")
		m.broken = m.broken || !found || !strings.HasSuffix(line, "\r")
		line = strings.TrimSuffix(line, "\r")
		m.broken = m.broken || strings.IndexByte(line, '\r') >= 0
		text = rest
		switch {
		case len(line) == 0:
			m.ended, m.body = true, raw[len(raw)-len(rest):]
			return
		case first:
			m.start, first = line, false
		case (line[0] == ' ' || line[0] == '\t') && len(m.fields) > 0:
			m.folded = true
			last := &m.fields[len(m.fields)-1]
			last.value = strings.TrimSpace(last.value + " " + trimBlank(line))
		default:
			m.fields = append(m.fields, readField(line))
		}
	}
}

// forget lets go of the message, but not of the room.
func (m *rawMessage) forget() {
	clear(m.fields)
	*m = rawMessage{fields: m.fields[:0]}
}

func readField(line string) rawField {
	label, value, ok := strings.Cut(line, ":")
	label = trimEnd(label)
	name, usual := usualNames[label]
	switch {
	case !ok || !usual && !isToken(label):
		return rawField{}
	case !usual:
		name = longName(label)
	}
	return rawField{label: label, name: name, value: trimBlank(value)}
}

// longName returns the name of a header field in its long form and lower case.
func longName(label string) string {
	if name, ok := usualNames[label]; ok {
		return name
	}
	name := strings.ToLower(label)
	if long, ok := compactNames[name]; ok {
		return long
	}
	return name
}

// usualNames are the names that most messages have, as they are usually written: to make them lower case costs nothing then.
var usualNames = map[string]string{
	"Allow": "allow", "Call-ID": "call-id", "Contact": "contact", "Content-Length": "content-length", "Content-Type": "content-type",
	"CSeq": "cseq", "Event": "event", "From": "from", "Max-Forwards": "max-forwards", "Record-Route": "record-route",
	"Refer-To": "refer-to", "Referred-By": "referred-by", "Route": "route", "Server": "server", "Subscription-State": "subscription-state",
	"Supported": "supported", "To": "to", "User-Agent": "user-agent", "Via": "via",
}

// compactNames are the long forms of the short ones (RFC 3261 section 7.3.3, and those that came later).
var compactNames = map[string]string{
	"b": "referred-by", "c": "content-type", "e": "content-encoding", "f": "from", "i": "call-id", "k": "supported",
	"l": "content-length", "m": "contact", "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events",
	"v": "via", "x": "session-expires",
}

// trimBlank takes off the blanks at both ends. That of strings makes a set of them each time.
func trimBlank(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return trimEnd(s)
}

func trimEnd(s string) string {
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// value returns the first field of a name.
func (m *rawMessage) value(name string) (string, bool) {
	for _, f := range m.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return "", false
}

// isToken reports whether s is a token (RFC 3261 section 25.1).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// splitTop cuts at each separator that stands neither in quotes nor in angle brackets; false: one of these is not closed.
func splitTop(s string, separator byte) (parts []string, ok bool) {
	quoted, bracket, from := false, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !bracket:
			quoted = !quoted
		case quoted:
		case c == '<' && !bracket:
			bracket = true
		case c == '>' && bracket:
			bracket = false
		case c == separator && !bracket:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:]), !quoted && !bracket
}

// hasControls reports whether a value has control characters where none may be: anywhere but in quotes, and the tab.
func hasControls(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case (c < ' ' && c != '\t' || c == 0x7f) && !quoted:
			return true
		}
	}
	return false
}

// bytes writes the message.
func (m *rawMessage) bytes() []byte {
	var b bytes.Buffer
	b.WriteString(m.start + "\r\n")
	for _, f := range m.fields {
		b.WriteString(f.label + ": " + f.value + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes()
}
