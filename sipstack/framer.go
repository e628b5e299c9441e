package sipstack

import (
	"bytes"
	"strings"
)

// framer cuts a stream into SIP messages (RFC 3261 section 18.3). The zero value is ready.
type framer struct {
	buf   []byte
	lost  bool // the boundaries are lost, and with them the connection
	blank int  // octets of CR and LF that came between messages and make no ping yet
	pings int  // CRLF CRLF between messages (RFC 5626 section 3.5.1) that wait for their pong
}

// maxFrame is the longest message that is taken, as in sipgo's parser.
const maxFrame = 65535

// write adds what was read and calls message with each message that is complete, and with the head of one whose end
// nobody can tell. The bytes are valid during the call.
func (f *framer) write(b []byte, message func(raw []byte)) {
	if f.lost {
		return
	}
	f.buf = append(f.buf, b...)
	rest := f.buf
	for {
		rest = f.between(rest)
		end := bytes.Index(rest, []byte("\r\n\r\n"))
		if end < 0 {
			f.lost = len(rest) > maxFrame
			break
		}
		length, ok := contentLength(rest[:end])
		if !ok {
			message(rest[:end+4])
			f.lost = true
			break
		}
		size := end + 4 + length
		if size > maxFrame {
			f.lost = true
			break
		}
		if len(rest) < size {
			break
		}
		message(rest[:size])
		rest = rest[size:]
	}
	if f.lost {
		f.buf = nil
		return
	}
	f.buf = append(f.buf[:0], rest...)
}

// between takes off what may stand between messages, and counts the pings in it. They come in pieces, too, and right
// before and behind messages.
func (f *framer) between(b []byte) []byte {
	for i, c := range b {
		switch c {
		case '\r', '\n':
			if f.blank++; f.blank == len("\r\n\r\n") {
				f.blank = 0
				f.pings++
			}
		case 0:
		default:
			f.blank = 0
			return b[i:]
		}
	}
	return nil
}

// partial reports whether a message has begun to come.
func (f *framer) partial() bool { return len(f.buf) > 0 || f.lost }

// contentLength returns the Content-Length of a message's head; false: it has none, or none that can be relied on, and
// nobody knows where the message ends.
func contentLength(head []byte) (length int, ok bool) {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "content-length", "l":
			n, valid := digits(strings.TrimSpace(value))
			if !valid || ok && int(n) != length {
				return 0, false
			}
			length, ok = int(min(n, maxFrame+1)), true
		}
	}
	return length, ok
}
