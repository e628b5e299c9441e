package sipstack

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// incapable returns the response to an INVITE that cannot be served as it asks to be: with extensions that we do
// not have (RFC 3261 section 8.2.2.3), with a body packed in a way that we do not know (section 8.2.3), or with an answer
// of a type that we cannot give. nil: to none of these.
func (s *Stack) incapable(req *sip.Request) *sip.Response {
	if refused := s.unsupported(req); refused != nil {
		return refused
	}
	if packed, ok := headerValue(req, "Content-Encoding", "e"); ok && len(req.Body()) > 0 && !strings.EqualFold(packed, "identity") {
		return s.response(req, sip.StatusUnsupportedMediaType, "", sip.NewHeader("Accept-Encoding", "identity"))
	}
	if !takesSDP(req) {
		return s.response(req, sip.StatusNotAcceptable, "")
	}
	return nil
}

// takesSDP reports whether the sender of an INVITE wants a session description in the answer (RFC 3261 section 20.1).
func takesSDP(req *sip.Request) bool {
	given := false
	for _, h := range req.GetHeaders("Accept") {
		for kind := range strings.SplitSeq(h.Value(), ",") {
			kind, _, _ = strings.Cut(kind, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "application/sdp", "application/*", "*/*":
				return true
			case "":
			default:
				given = true
			}
		}
	}
	return !given
}
