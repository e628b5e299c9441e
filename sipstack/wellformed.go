package sipstack

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/emiago/sipgo/sip"
)

// fault is why a message is refused; the zero value: it is not.
type fault struct {
	code   int
	reason string
}

// malformed is a request that breaks the grammar. Its phrase says where (RFC 3261 section 21.4.1).
func malformed(reason string) fault { return fault{sip.StatusBadRequest, reason} }

// maxHops is the highest Max-Forwards (RFC 3261 section 20.22), maxCSeq the highest number in a CSeq (section 8.1.1.5).
const (
	maxHops = 255
	maxCSeq = 1<<31 - 1
)

// isSingle reports whether a message has one header field of a name at most.
func isSingle(name string) bool {
	switch name {
	case "call-id", "content-length", "content-type", "cseq", "from", "max-forwards", "to":
		return true
	}
	return false
}

// mandatory are the header fields that each message has (RFC 3261 section 8.1.1). Without Max-Forwards we can do.
var mandatory = [...]string{"via", "from", "to", "call-id", "cseq"}

// requestLine returns the parts of a Request-Line; false: it is none. One that is malformed is one all the same.
func (m *rawMessage) requestLine() (method, uri, version string, ok bool) {
	line := strings.TrimSpace(m.start)
	end := strings.IndexFunc(line, unicode.IsSpace)
	if end < 0 || !isToken(line[:end]) {
		return "", "", "", false
	}
	last := strings.TrimSpace(line[strings.LastIndexFunc(line, unicode.IsSpace):])
	if len(last) < 4 || !strings.EqualFold(last[:4], "SIP/") {
		return "", "", "", false
	}
	method, rest, _ := strings.Cut(m.start, " ")
	uri, version, _ = strings.Cut(rest, " ")
	return method, uri, version, true
}

// requestFault tells what is wrong with a request: with its first line, then with its header fields. stream says that it
// came on a stream, where its length is known by its Content-Length alone.
func (m *rawMessage) requestFault(stream bool) fault {
	method, uri, version, _ := m.requestLine()
	switch {
	case m.broken:
		return malformed("Lines Must End In CRLF")
	case !m.ended:
		return malformed("Missing End Of Header")
	case !isToken(method) || uri == "" || strings.ContainsAny(version, " \t") || len(version) < 4 || !strings.EqualFold(version[:4], "SIP/"):
		return malformed("Malformed Request-Line")
	case !strings.EqualFold(version, "SIP/2.0"):
		return fault{code: sip.StatusVersionNotSupported}
	}
	if f := m.fieldsFault(method, stream); f.code != 0 {
		return f
	}
	return uriFault(uri)
}

// responseFault tells whether a response is of no use.
func (m *rawMessage) responseFault(stream bool) bool {
	version, rest, _ := strings.Cut(m.start, " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(code, 10, 16)
	if m.broken || !m.ended || !strings.EqualFold(version, "SIP/2.0") || err != nil || len(code) != 3 || n < 100 || n > 699 {
		return true
	}
	return m.fieldsFault("", stream).code != 0
}

// uriFault tells what is wrong with a Request-URI.
func uriFault(uri string) fault {
	bad := malformed("Malformed Request-URI")
	if isPlainURI(uri) {
		return fault{}
	}
	if !isURI(uri) {
		return bad
	}
	scheme, _, _ := strings.Cut(uri, ":")
	switch strings.ToLower(scheme) {
	case "tel":
		return fault{}
	case "sip", "sips":
	default:
		return fault{code: 416}
	}
	var u sip.Uri
	if err := sip.ParseUri(uri, &u); err != nil || u.Host == "" || u.Wildcard || u.Port < 0 || u.Port > 65535 {
		return bad
	}
	return fault{}
}

// fieldsFault tells what is wrong with the header fields. method is that of the Request-Line, "" in a response.
func (m *rawMessage) fieldsFault(method string, stream bool) fault {
	for i, f := range m.fields {
		switch {
		case f.name == "":
			return malformed("Malformed Header Field")
		case isSingle(f.name) && m.has(f.name, i):
			return malformed("Repeated Header Field")
		case hasControls(f.value):
			return malformed("Control Character In Header Field")
		}
		if fault := m.numberFault(f, method); fault.code != 0 {
			return fault
		}
	}
	for _, name := range mandatory {
		if !m.has(name, len(m.fields)) {
			return malformed("Missing Mandatory Header Field")
		}
	}
	if stream && !m.has("content-length", len(m.fields)) {
		return malformed("Missing Content-Length")
	}
	return fault{}
}

// has reports whether one of the first n header fields has this name.
func (m *rawMessage) has(name string, n int) bool {
	return slices.ContainsFunc(m.fields[:n], func(f rawField) bool { return f.name == name })
}

// numberFault tells what is wrong with a header field that has a number.
func (m *rawMessage) numberFault(f rawField, method string) fault {
	switch f.name {
	case "content-length":
		n, ok := digits(f.value)
		switch {
		case !ok:
			return malformed("Malformed Content-Length")
		case n > uint64(len(m.body)): // RFC 3261 section 18.3
			return malformed("Content-Length Exceeds Message")
		}
	case "max-forwards":
		if n, ok := digits(f.value); !ok || n > maxHops {
			return malformed("Malformed Max-Forwards")
		}
	case "cseq":
		number, of, _ := strings.Cut(strings.ReplaceAll(f.value, "\t", " "), " ")
		of = trimBlank(of)
		n, ok := digits(number)
		switch {
		case !ok || n > maxCSeq || !isToken(of):
			return malformed("Malformed CSeq")
		case method != "" && !strings.EqualFold(of, method):
			return malformed("CSeq Does Not Match Method")
		}
	case "call-id":
		if f.value == "" || strings.ContainsAny(f.value, " \t") {
			return malformed("Malformed Call-ID")
		}
	}
	return fault{}
}

// digits reads a number of digits alone.
func digits(s string) (uint64, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return n, err == nil
}
