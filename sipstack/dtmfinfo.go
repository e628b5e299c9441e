package sipstack

import (
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/media"
)

const (
	typeDTMF      = "application/dtmf"
	typeDTMFRelay = "application/dtmf-relay"
	acceptInfo    = typeDTMFRelay + ", " + typeDTMF
)

// tellsKeys reports whether the body of an INFO is of a type that keys are told in.
func tellsKeys(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == typeDTMFRelay || kind == typeDTMF)
}

// infoDigit reads the key that an INFO tells of. There is no standard for it, only what phones do: application/dtmf-relay
// has lines Signal= and Duration= (milliseconds), application/dtmf the key alone, with some the same lines. A key is
// written as itself or as its code (RFC 4733 section 3.2), "10" for *. False: it tells of none.
func infoDigit(contentType string, body []byte) (media.Digit, bool) {
	if !tellsKeys(contentType) {
		return media.Digit{}, false
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	d, found := media.Digit{Way: media.ByINFO}, false
	for line := range strings.FieldsFuncSeq(string(body), func(c rune) bool { return c == '\r' || c == '\n' }) {
		name, value, paired := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch name = strings.ToLower(strings.TrimSpace(name)); {
		case paired && name == "signal":
			d.Key, found = dtmfKey(value)
		case paired && name == "duration":
			if ms, err := strconv.ParseUint(value, 10, 16); err == nil {
				d.Length = time.Duration(ms) * time.Millisecond
			}
		case !paired && !found && kind == typeDTMF:
			d.Key, found = dtmfKey(strings.TrimSpace(line))
		}
	}
	return d, found
}

// dtmfKey reads a key.
func dtmfKey(s string) (byte, bool) {
	if len(s) == 1 {
		if i := strings.Index(media.Digits, strings.ToUpper(s)); i >= 0 {
			return media.Digits[i], true
		}
		return 0, false
	}
	code, err := strconv.ParseUint(s, 10, 8)
	if err != nil || code >= uint64(len(media.Digits)) {
		return 0, false
	}
	return media.Digits[code], true
}
