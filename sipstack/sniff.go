package sipstack

import (
	"strconv"
	"strings"
	"time"
)

// sniffed is what the tap reads off a message's bytes, without parsing it as the stack does: an observer has to see what
// the parser would refuse, too.
type sniffed struct {
	Message
	initial    bool   // an INVITE without a To tag: it may start a call
	toTag      string // of a request
	via        string // the first Via, which may have more than one value
	cseqMethod string // the method in CSeq
	authorized bool   // it has an Authorization
	requires   bool   // it has a Require
}

// sniff reads what the tap and the door want to know of a message; false: it is no SIP message at all, such as the keep-alives of
// RFC 5626.
func sniff(raw []byte) (m sniffed, ok bool) { return readRaw(raw).sniff() }

// sniff reads the start line, Call-ID, CSeq and what a ladder shows off a message that was cut. All of it are parts of its text.
func (m *rawMessage) sniff() (s sniffed, ok bool) {
	s.Raw, s.Time = m.text, time.Now()
	first, second, third := startLine(m.start)
	switch {
	case strings.HasPrefix(first, "SIP/"):
		code, err := strconv.Atoi(second)
		if err != nil {
			return sniffed{}, false
		}
		s.Code, s.Reason = code, third
	case strings.HasPrefix(third, "SIP/"):
		s.Method = strings.ToUpper(first)
	default:
		return sniffed{}, false
	}
	s.readFields(m)
	return s, true
}

func startLine(line string) (first, second, third string) {
	first, line, _ = strings.Cut(line, " ")
	second, third, _ = strings.Cut(line, " ")
	return first, second, third
}

func (m *sniffed) readFields(raw *rawMessage) {
	tagged, sipfrag := false, false
	var referTo, retryAfter string
	for _, f := range raw.fields {
		value := f.value
		switch f.name {
		case "call-id":
			m.SIPCallID = value
		case "via":
			if m.via == "" {
				m.via = value
			}
		case "cseq":
			var number string
			number, m.cseqMethod, _ = strings.Cut(value, " ")
			n, _ := strconv.ParseUint(number, 10, 32) // what is no number is shown as 0
			m.CSeq = uint32(n)
			m.cseqMethod = strings.TrimSpace(m.cseqMethod)
		case "to":
			_, tag, ok := strings.Cut(value, "tag=")
			if !ok {
				_, tag, ok = strings.Cut(strings.ToLower(value), "tag=")
			}
			if ok {
				m.toTag, _, _ = strings.Cut(tag, ";")
				tagged = true
			}
		case "authorization":
			m.authorized = true
		case "require":
			m.requires = true
		case "content-type":
			const kind = "message/sipfrag"
			sipfrag = len(value) >= len(kind) && strings.EqualFold(value[:len(kind)], kind)
		case "refer-to":
			referTo = value
		case "retry-after":
			retryAfter = value
		}
	}
	if m.Code != 0 {
		m.Method = m.cseqMethod
	}
	m.initial = m.Method == "INVITE" && m.Code == 0 && !tagged
	switch {
	case sipfrag:
		body := raw.text[len(raw.text)-len(raw.body):]
		line, _, _ := strings.Cut(strings.TrimLeft(body, "\r\n"), "\n")
		m.Summary = strings.TrimSpace(line)
	case referTo != "":
		m.Summary = "Refer-To: " + referTo
	case retryAfter != "":
		m.Summary = "Retry-After: " + retryAfter
	}
}
