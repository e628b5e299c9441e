package sipstack

import (
	"iter"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// headerValues yields the values of the header fields with one of these names, in any letter case, those of the first name first. The
// compact name has to be among them: sipgo keeps a field under the name that it came with (RFC 3261 section 7.3.3). Its own
// look-up makes a copy in lower case of nearly every name that it passes.
func headerValues(msg sip.Message, names ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		all := msg.(interface{ Headers() []sip.Header }).Headers() // requests and responses have it
		for _, name := range names {
			for _, h := range all {
				if strings.EqualFold(h.Name(), name) && !yield(h.Value()) {
					return
				}
			}
		}
	}
}

// headerValue returns the value of the first header field with one of these names.
func headerValue(msg sip.Message, names ...string) (string, bool) {
	for value := range headerValues(msg, names...) {
		return strings.TrimSpace(value), true
	}
	return "", false
}
