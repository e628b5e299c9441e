package sipstack

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// isSecure reports whether a URI is a SIPS URI.
func isSecure(u sip.Uri) bool { return strings.EqualFold(u.Scheme, "sips") }

// secureContact reports whether our Contact in the answers to a request has to be a SIPS URI (RFC 3261 section 12.1.1).
func secureContact(req *sip.Request) bool {
	if isSecure(req.Recipient) {
		return true
	}
	if rr := req.RecordRoute(); rr != nil {
		return isSecure(rr.Address)
	}
	c := req.Contact()
	return c != nil && isSecure(c.Address)
}

// secured makes our Contact a SIPS URI, which says what its transport is. Where there is no TLS it stays as it is.
func (s *Stack) secured(contact sip.Uri, on *listener) sip.Uri {
	if on.network != "tls" {
		if on = find(s.bound(), func(l *listener) bool { return l.network == "tls" }); on == nil {
			return contact
		}
		contact.Host, contact.Port = on.host, on.port
	}
	contact.Scheme, contact.UriParams = "sips", nil
	return contact
}

// downgraded returns the response to a call to a SIPS URI that has come in the clear, nil to others: somebody on the way
// has broken the caller's trust (RFC 5630 sections 5.3 and 5.4 give the answer).
func (s *Stack) downgraded(req *sip.Request, on *listener) *sip.Response {
	if !isSecure(req.Recipient) || on == nil || on.network == "tls" {
		return nil
	}
	return s.response(req, sip.StatusTemporarilyUnavailable, "", sip.NewHeader("Warning", "380 "+product+` "SIPS Not Allowed"`))
}
