package sipstack

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// sniffed is what the tap reads off a message's bytes, without parsing it as the stack does: an observer has to see what
// the parser would refuse, too.
type sniffed struct {
	Message
	initial bool // an INVITE without a To tag: it may start a call
}

// sniff reads the start line, Call-ID, CSeq and what a ladder shows. raw is copied. ok is false for what is no SIP
// message at all, such as the keep-alives of RFC 5626.
func sniff(raw []byte) (m sniffed, ok bool) {
	line, rest, _ := bytes.Cut(raw, []byte("\n"))
	m.Time = time.Now()
	first, second, third := startLine(strings.TrimRight(string(line), "\r"))
	switch {
	case strings.HasPrefix(first, "SIP/"):
		code, err := strconv.Atoi(second)
		if err != nil {
			return sniffed{}, false
		}
		m.Code, m.Reason = code, third
	case strings.HasPrefix(third, "SIP/"):
		m.Method = strings.ToUpper(first)
	default:
		return sniffed{}, false
	}
	m.Raw = bytes.Clone(raw)
	m.readHeaders(rest)
	return m, true
}

func startLine(line string) (first, second, third string) {
	first, line, _ = strings.Cut(line, " ")
	second, third, _ = strings.Cut(line, " ")
	return first, second, third
}

func (m *sniffed) readHeaders(rest []byte) {
	toTag, sipfrag := false, false
	var method, referTo, retryAfter string
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "call-id", "i":
			m.SIPCallID = value
		case "cseq":
			var number string
			number, method, _ = strings.Cut(value, " ")
			n, _ := strconv.ParseUint(number, 10, 32) // what is no number is shown as 0
			m.CSeq = uint32(n)
			method = strings.TrimSpace(method)
		case "to", "t":
			toTag = strings.Contains(strings.ToLower(value), "tag=")
		case "content-type", "c":
			sipfrag = strings.HasPrefix(strings.ToLower(value), "message/sipfrag")
		case "refer-to", "r":
			referTo = value
		case "retry-after":
			retryAfter = value
		}
	}
	if m.Code != 0 {
		m.Method = method
	}
	m.initial = m.Method == "INVITE" && m.Code == 0 && !toTag
	switch {
	case sipfrag:
		body, _, _ := strings.Cut(strings.TrimLeft(string(rest), "\r\n"), "\n")
		m.Summary = strings.TrimSpace(body)
	case referTo != "":
		m.Summary = "Refer-To: " + referTo
	case retryAfter != "":
		m.Summary = "Retry-After: " + retryAfter
	}
}
