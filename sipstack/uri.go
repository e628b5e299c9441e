package sipstack

import (
	"strings"

	"github.com/emiago/sipgo/sip"
)

// param returns a parameter's value. Names are compared in any letter case (RFC 3261 section 7.3.1), which sipgo's own
// look-up does not.
func param(params sip.HeaderParams, name string) (string, bool) {
	for _, p := range params {
		if strings.EqualFold(p.K, name) {
			return p.V, true
		}
	}
	return "", false
}

// tagOf returns the tag among the parameters of a From or To; "": none.
func tagOf(params sip.HeaderParams) string {
	tag, _ := param(params, "tag")
	return tag
}

// bare writes a URI without its parameters, headers and password; the port is kept.
func bare(u sip.Uri) string {
	if raw := u.Raw(); raw != "" { // tel: and the like
		raw, _, _ = strings.Cut(raw, ";")
		return u.Scheme + ":" + raw
	}
	short := sip.Uri{Scheme: u.Scheme, User: u.User, Host: u.Host, Port: u.Port}
	return short.String()
}

// userPart returns the number or name in a URI: the user part, or what a tel: URI holds, without its parameters.
func userPart(u sip.Uri) string {
	user := u.User
	if raw := u.Raw(); raw != "" {
		user = raw
	}
	user, _, _ = strings.Cut(user, ";")
	return user
}

// requestURI returns a URI that a request may be sent to: what only a Contact may hold is left out (RFC 3261 section
// 19.1.1).
func requestURI(u sip.Uri) sip.Uri {
	c := u.Clone()
	c.Headers = nil
	var params sip.HeaderParams
	for _, p := range c.UriParams {
		if !strings.EqualFold(p.K, "method") {
			params = append(params, p)
		}
	}
	c.UriParams = params
	return *c
}

// routed returns how a request is addressed by a route set (RFC 3261 section 12.2.1.1): its Request-URI, its Route
// headers in order, and the URI whose host it is sent to.
func routed(target sip.Uri, set []sip.Uri) (uri sip.Uri, routes []sip.Uri, hop sip.Uri) {
	switch {
	case len(set) == 0:
		return target, nil, target
	case isLoose(set[0]):
		return target, set, set[0]
	default: // A strict router finds the next hop in the Request-URI, and the remote target at the end of the Route.
		routes = append(routes, set[1:]...)
		return requestURI(set[0]), append(routes, target), set[0]
	}
}

func isLoose(route sip.Uri) bool {
	_, lr := param(route.UriParams, "lr")
	return lr
}

// hostOf returns the host that a request to a URI is sent to, without brackets.
func hostOf(u sip.Uri) string {
	host := u.Host
	if maddr, ok := param(u.UriParams, "maddr"); ok && maddr != "" {
		host = maddr
	}
	return strings.Trim(host, "[]")
}
