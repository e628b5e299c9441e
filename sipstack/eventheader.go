package sipstack

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// stateTerminated is the state of a subscription that is over (RFC 6665 section 4.1.3).
const stateTerminated = "terminated"

// eventHeader is the value of an Event header field (RFC 6665 section 8.2.1).
type eventHeader struct {
	name string // the event package, as written
	id   string // empty: none
}

// cseq returns the id as the CSeq of a REFER, which it is in the refer package (RFC 3515 section 2.4.6).
func (e eventHeader) cseq() (uint32, bool) {
	n, err := strconv.ParseUint(e.id, 10, 32)
	return uint32(n), err == nil
}

// readEvent reads the Event of a message; false: it has none, or an empty one.
func readEvent(msg sip.Message) (eventHeader, bool) {
	value, ok := headerValue(msg, "Event", "o")
	if !ok {
		return eventHeader{}, false
	}
	return parseEvent(value)
}

func parseEvent(value string) (eventHeader, bool) {
	name, params := cutParams(value)
	return eventHeader{name: name, id: params["id"]}, name != ""
}

// readSubscriptionState returns the state that a NOTIFY gives its subscription (RFC 6665 section 8.2.3), in lower case:
// "active", "pending", "terminated" or an extension. Where it says nothing the subscription is taken as active.
func readSubscriptionState(msg sip.Message) string {
	value, _ := headerValue(msg, "Subscription-State")
	return parseSubscriptionState(value)
}

func parseSubscriptionState(value string) string {
	state, _ := cutParams(value)
	if state == "" {
		return "active"
	}
	return strings.ToLower(state)
}

// readContentType returns the media type of a message's body in lower case, without its parameters; false: none is given.
func readContentType(msg sip.Message) (string, bool) {
	value, ok := headerValue(msg, "Content-Type", "c")
	if !ok {
		return "", false
	}
	mediaType, _ := cutParams(value)
	return strings.ToLower(mediaType), mediaType != ""
}

// cutParams cuts a header field's value into what comes before its parameters, which can't be quoted, and these, by name in
// lower case. The first of two with the same name counts. Values are without their quotes.
func cutParams(value string) (head string, params map[string]string) {
	head, rest, _ := strings.Cut(value, ";")
	head = strings.TrimSpace(head)
	for _, part := range splitQuoted(rest, ';') {
		name, val, _ := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, known := params[name]; known || name == "" {
			continue
		}
		if params == nil {
			params = map[string]string{}
		}
		params[name] = unquote(strings.TrimSpace(val))
	}
	return head, params
}

// splitQuoted splits s at each sep that is not inside a quoted string (RFC 3261 section 25.1).
func splitQuoted(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote takes the quotes and escapes off a quoted string; anything else it returns as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
