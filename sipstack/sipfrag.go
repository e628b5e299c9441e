package sipstack

import (
	"bytes"
	"errors"
	"strings"
)

// typeSipfrag is the media type of a NOTIFY's body (RFC 3420 section 2).
const typeSipfrag = "message/sipfrag"

// errNoStatusLine is returned for a sipfrag that doesn't start with a status line.
var errNoStatusLine = errors.New("sipfrag: no status line")

// parseSipfrag reads the status line at the start of a message fragment (RFC 3420). The reason may be empty.
//
// It takes what phones send: any letter case, no reason phrase, LF or CR alone as the end of a line, no end of the line at
// all, blank lines and spaces before it, and any header lines after it.
func parseSipfrag(body []byte) (code int, reason string, err error) {
	line, _, _ := strings.Cut(strings.ReplaceAll(string(bytes.TrimSpace(body)), "\r", "\n"), "\n")
	version, rest, ok := cutSpace(line)
	if !ok || !strings.EqualFold(version, "SIP/2.0") {
		return 0, "", errNoStatusLine
	}
	status, reason, _ := cutSpace(rest)
	if len(status) != 3 {
		return 0, "", errNoStatusLine
	}
	for _, digit := range []byte(status) {
		if digit < '0' || digit > '9' {
			return 0, "", errNoStatusLine
		}
		code = 10*code + int(digit-'0')
	}
	if code < 100 || code > 699 {
		return 0, "", errNoStatusLine
	}
	return code, reason, nil
}

// cutSpace cuts s around its first run of blanks; found tells that there was one.
func cutSpace(s string) (before, after string, found bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}
