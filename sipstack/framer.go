package sipstack

import (
	"bytes"
	"strconv"
	"strings"
)

// framer cuts a stream into SIP messages (RFC 3261 section 18.3). The zero value is ready.
type framer struct {
	buf  []byte
	lost bool // the boundaries are lost; sipgo ends such a connection
}

// maxFrame is the longest message that is taken, as in sipgo's parser.
const maxFrame = 65535

// write adds what was read and calls message with each message that is complete. The bytes are valid during the call.
func (f *framer) write(b []byte, message func(raw []byte)) {
	if f.lost {
		return
	}
	f.buf = append(f.buf, b...)
	rest := f.buf
	for {
		rest = bytes.TrimLeft(rest, "\r\n\x00") // keep-alives (RFC 5626 section 3.5.1)
		end := bytes.Index(rest, []byte("\r\n\r\n"))
		if end < 0 {
			f.lost = len(rest) > maxFrame
			break
		}
		size := end + 4 + contentLength(rest[:end])
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

// partial reports whether a message has begun to come.
func (f *framer) partial() bool { return len(f.buf) > 0 || f.lost }

// contentLength returns the Content-Length of a message's head, 0 when there is none.
func contentLength(head []byte) int {
	for line := range strings.SplitSeq(string(head), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "content-length", "l":
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
			if err != nil {
				return 0
			}
			return int(n)
		}
	}
	return 0
}
