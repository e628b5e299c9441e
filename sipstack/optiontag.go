package sipstack

import (
	"iter"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Extensions of SIP, by their option tags (RFC 3261 section 19.2).
const (
	tagReliable = "100rel" // RFC 3262
	tagTimer    = "timer"  // RFC 4028
)

// extensions returns the option tags of what we understand.
func (s *Stack) extensions() []string {
	if s.cfg.SessionExpires == 0 {
		return []string{tagReliable}
	}
	return []string{tagReliable, tagTimer}
}

// supported is the value of Supported in whatever we send.
func (s *Stack) supported() string {
	if s.cfg.SessionExpires == 0 {
		return tagReliable
	}
	return tagReliable + ", " + tagTimer
}

// unsupported returns the response to a request that requires extensions which we do not have, nil to others (RFC 3261
// section 8.2.2.3).
func (s *Stack) unsupported(req *sip.Request) *sip.Response {
	var unknown []string
	for tag := range optionTags(req, "Require") {
		if !slices.Contains(s.extensions(), strings.ToLower(tag)) {
			unknown = append(unknown, tag)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return s.response(req, sip.StatusBadExtension, "", sip.NewHeader("Unsupported", strings.Join(unknown, ", ")))
}

// understands reports whether the sender of a message has an extension.
func understands(msg sip.Message, tag string) bool {
	return isListed(tag, optionTags(msg, "Supported", "k", "Require"))
}

// requires reports whether a message can be handled by nobody who does not have an extension.
func requires(msg sip.Message, tag string) bool { return isListed(tag, optionTags(msg, "Require")) }

func isListed(tag string, tags iter.Seq[string]) bool {
	for t := range tags {
		if strings.EqualFold(t, tag) {
			return true
		}
	}
	return false
}

// allows reports whether a message lists a method in Allow (RFC 3261 section 20.5); known: it lists any.
func allows(msg sip.Message, method sip.RequestMethod) (listed, known bool) {
	for allowed := range optionTags(msg, "Allow") {
		listed, known = listed || allowed == string(method), true
	}
	return listed, known
}

// optionTags yields the members of the lists in header fields with these names.
func optionTags(msg sip.Message, names ...string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for value := range headerValues(msg, names...) {
			for tag := range strings.SplitSeq(value, ",") {
				if tag = strings.TrimSpace(tag); tag != "" && !yield(tag) {
					return
				}
			}
		}
	}
}
