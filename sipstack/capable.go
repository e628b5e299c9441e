package sipstack

import (
	"mime"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// incapable returns the response to an INVITE that cannot be served as it asks to be: we do not understand it, or it wants
// an answer of a type that we cannot give. nil: to neither of these.
func (s *Stack) incapable(req *sip.Request) *sip.Response {
	if refused := s.beyond(req); refused != nil {
		return refused
	}
	if !takesSDP(req) {
		return s.response(req, sip.StatusNotAcceptable, "")
	}
	return nil
}

// beyond returns the response to a request that cannot be understood: it requires extensions that we do not have (RFC 3261
// section 8.2.2.3), or its body is packed in a way that we do not know (section 8.2.3). nil: to none of these.
func (s *Stack) beyond(req *sip.Request) *sip.Response {
	if refused := s.unsupported(req); refused != nil {
		return refused
	}
	if packed(req) && !optionalBody(req) {
		return s.response(req, sip.StatusUnsupportedMediaType, "", sip.NewHeader("Accept-Encoding", "identity"))
	}
	return nil
}

// packed reports whether the body of a message is packed in a way that we do not know (RFC 3261 section 20.12).
func packed(msg sip.Message) bool {
	encoding, ok := headerValue(msg, "Content-Encoding", "e")
	return ok && len(msg.Body()) > 0 && !strings.EqualFold(encoding, "identity")
}

// optionalBody reports whether the sender of a message takes it that we ignore a body that we do not understand (RFC 3261
// section 20.11).
func optionalBody(msg sip.Message) bool {
	disposition, _ := headerValue(msg, "Content-Disposition")
	_, params, err := mime.ParseMediaType(disposition)
	return err == nil && strings.EqualFold(params["handling"], "optional")
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
