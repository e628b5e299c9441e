package scenario

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Header is one header field of a SIP message, as it stands or shall stand on the wire.
type Header struct{ Name, Value string }

// Message is a SIP message as text: what is set is what is sent, right or wrong. What a phone has received or sent must
// not be changed; Clone it.
type Message struct {
	Start   string // "REFER sip:a@127.0.0.1 SIP/2.0", "SIP/2.0 200 OK"
	Headers []Header
	Body    []byte

	Time time.Time // when it was received or sent; zero before
	Peer string    // host:port where it came from or went to

	in       bool
	repeated bool // a retransmission that the phone has dealt with itself
	taken    bool // an Expect or Next has returned it; guarded by the phone
	reply    func(data []byte) error
}

// compact are the compact forms of header names (RFC 3261 section 7.3.3 and the extensions' own).
var compact = map[string]string{
	"a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition", "e": "content-encoding",
	"f": "from", "i": "call-id", "j": "reject-contact", "k": "supported", "l": "content-length", "m": "contact",
	"o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires",
	"y": "identity",
}

func headerKey(name string) string {
	name = strings.ToLower(name)
	if long, ok := compact[name]; ok {
		return long
	}
	return name
}

// maxMessage is the largest message that is read from a stream.
const maxMessage = 1 << 20

var errMalformed = errors.New("malformed SIP message")

// ParseMessage reads one whole message. Lines may end in LF alone; folded header lines are joined. The body ends where
// Content-Length says, or with the data.
func ParseMessage(data []byte) (*Message, error) {
	r := bufio.NewReader(bytes.NewReader(data))
	m, err := ReadMessage(r)
	if err != nil || m.Has("Content-Length") {
		return m, err
	}
	if rest, err := io.ReadAll(r); err == nil && len(rest) > 0 { // a reader of bytes has no other error
		m.Body = rest
	}
	return m, nil
}

// ReadMessage reads a message from a stream: the body is as long as Content-Length says, and empty without one. Empty
// lines before a message are keep-alives and passed over (RFC 5626 section 4.4.1). The error is io.EOF at the stream's end.
func ReadMessage(r *bufio.Reader) (*Message, error) {
	var lines []string
	for size := 0; ; {
		line, err := r.ReadString('\n')
		if size += len(line); size > maxMessage {
			return nil, fmt.Errorf("%w: too long", errMalformed)
		}
		if err != nil {
			if err == io.EOF && len(lines) == 0 && strings.TrimRight(line, "\r\n") == "" {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("%w: no empty line after the headers: %w", errMalformed, io.ErrUnexpectedEOF)
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" && len(lines) == 0:
		case line == "":
			return assemble(lines, r)
		case (line[0] == ' ' || line[0] == '\t') && len(lines) > 1:
			lines[len(lines)-1] += " " + strings.TrimSpace(line)
		default:
			lines = append(lines, line)
		}
	}
}

func assemble(lines []string, r io.Reader) (*Message, error) {
	m := &Message{Start: lines[0]}
	if strings.TrimSpace(m.Start) != m.Start || len(strings.Fields(m.Start)) < 2 {
		return nil, fmt.Errorf("%w: start line %q", errMalformed, m.Start)
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, fmt.Errorf("%w: header line %q", errMalformed, line)
		}
		m.Headers = append(m.Headers, Header{name, strings.TrimSpace(value)})
	}
	if !m.Has("Content-Length") {
		return m, nil
	}
	length := m.Get("Content-Length")
	n, err := strconv.ParseUint(length, 10, 32)
	if err != nil || n > maxMessage {
		return nil, fmt.Errorf("%w: Content-Length %q", errMalformed, length)
	}
	if n > 0 {
		m.Body = make([]byte, n)
		if _, err := io.ReadFull(r, m.Body); err != nil {
			return nil, fmt.Errorf("%w: body shorter than Content-Length: %w", errMalformed, io.ErrUnexpectedEOF)
		}
	}
	return m, nil
}

// Bytes writes the message. A Content-Length is added unless there is one, right or wrong.
func (m *Message) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString(m.Start + "\r\n")
	for _, h := range m.Headers {
		b.WriteString(h.Name + ": " + h.Value + "\r\n")
	}
	if !m.Has("Content-Length") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.Body))
	}
	b.WriteString("\r\n")
	b.Write(m.Body)
	return b.Bytes()
}

// inShort returns the message with the compact forms of its headers' names.
func (m *Message) inShort() *Message {
	short := *m
	short.Headers = nil
	for _, h := range m.Headers {
		for letter, name := range compact {
			if name == strings.ToLower(h.Name) {
				h.Name = letter
			}
		}
		short.Headers = append(short.Headers, h)
	}
	if !m.Has("Content-Length") {
		short.Add("l", strconv.Itoa(len(m.Body)))
	}
	return &short
}

// String is the message as it stands on the wire.
func (m *Message) String() string { return string(m.Bytes()) }

// Clone returns a message that may be changed, and that has been neither received nor sent.
func (m *Message) Clone() *Message {
	return &Message{Start: m.Start, Headers: append([]Header(nil), m.Headers...), Body: bytes.Clone(m.Body)}
}

// Get returns the first value of a header under any of its names; "" without one.
func (m *Message) Get(name string) string {
	for _, h := range m.Headers {
		if headerKey(h.Name) == headerKey(name) {
			return h.Value
		}
	}
	return ""
}

// Has reports whether there is such a header.
func (m *Message) Has(name string) bool { return len(m.All(name)) > 0 }

// All returns the values of all header lines of that name, in order, each as it stands.
func (m *Message) All(name string) []string {
	var all []string
	for _, h := range m.Headers {
		if headerKey(h.Name) == headerKey(name) {
			all = append(all, h.Value)
		}
	}
	return all
}

// Set replaces the first header of that name, or adds one, and returns m.
func (m *Message) Set(name, value string) *Message {
	for i, h := range m.Headers {
		if headerKey(h.Name) == headerKey(name) {
			m.Headers[i].Value = value
			return m
		}
	}
	return m.Add(name, value)
}

// Add adds a header at the end and returns m.
func (m *Message) Add(name, value string) *Message {
	m.Headers = append(m.Headers, Header{name, value})
	return m
}

// Del removes all headers of that name and returns m.
func (m *Message) Del(name string) *Message {
	var kept []Header
	for _, h := range m.Headers {
		if headerKey(h.Name) != headerKey(name) {
			kept = append(kept, h)
		}
	}
	m.Headers = kept
	return m
}

// With sets headers, whichever are there already, and returns m. Several of one name are added if there was none.
func (m *Message) With(headers ...Header) *Message {
	seen := map[string]bool{}
	for _, h := range headers {
		if !seen[headerKey(h.Name)] {
			m.Del(h.Name)
			seen[headerKey(h.Name)] = true
		}
		m.Add(h.Name, h.Value)
	}
	return m
}

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return !strings.HasPrefix(m.Start, "SIP/") }

// Method returns the method of a request, or of the request that a response answers.
func (m *Message) Method() string {
	if m.IsRequest() {
		method, _, _ := strings.Cut(m.Start, " ")
		return method
	}
	_, method := m.CSeq()
	return method
}

// RequestURI returns the Request-URI of a request.
func (m *Message) RequestURI() string {
	if f := strings.Fields(m.Start); m.IsRequest() && len(f) > 1 {
		return f[1]
	}
	return ""
}

// Code returns the status code of a response; 0 for a request.
func (m *Message) Code() int {
	if m.IsRequest() {
		return 0
	}
	f := strings.Fields(m.Start)
	if len(f) < 2 {
		return 0
	}
	code, err := strconv.Atoi(f[1])
	if err != nil {
		return 0
	}
	return code
}

// CSeq returns number and method of the CSeq header.
func (m *Message) CSeq() (uint32, string) {
	number, method, _ := strings.Cut(m.Get("CSeq"), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, ""
	}
	return uint32(n), strings.TrimSpace(method)
}

// Tag returns the tag of a From or To header; "" without one.
func (m *Message) Tag(name string) string { return param(afterURI(m.Get(name)), "tag") }

// Branch returns the branch of the topmost Via.
func (m *Message) Branch() string {
	top, _, _ := strings.Cut(m.Get("Via"), ",")
	return param(top, "branch")
}

// CallID returns the Call-ID.
func (m *Message) CallID() string { return m.Get("Call-ID") }

// afterURI returns the parameters of a From, To or Contact value that follow its URI.
func afterURI(value string) string {
	if _, rest, ok := strings.Cut(value, ">"); ok {
		return rest
	}
	if i := strings.IndexByte(value, ';'); i >= 0 {
		return value[i:]
	}
	return ""
}

// uriOf returns the URI of a From, To, Contact, Route or Refer-To value.
func uriOf(value string) string {
	if _, rest, ok := strings.Cut(value, "<"); ok {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(value, ";")
	return textproto.TrimString(uri)
}

// param returns a parameter of a header value without its quotes; "" if it is not there.
func param(value, name string) string {
	for part := range strings.SplitSeq(value, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}
