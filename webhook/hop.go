package webhook

import (
	"errors"
	"net/http"
	"net/url"
)

// maxHops is how many redirects are followed (docs/webhooks.md).
const maxHops = 3

var errTooManyHops = errors.New("more than 3 redirects")

// checkHop prepares the next request of a chain of redirects, or ends the chain. [gate] checks where it leads.
func checkHop(next *http.Request, via []*http.Request) error {
	if len(via) > maxHops {
		return errTooManyHops
	}
	// The URL before may hold the properties of an event, and secrets of the application.
	next.Header.Del("Referer")
	// http.Client would let credentials pass to a subdomain, and to another port.
	if !sameServer(via[0].URL, next.URL) {
		next.Header.Del("Authorization")
	}
	if user := next.URL.User; user != nil {
		if next.Header.Get("Authorization") == "" {
			password, _ := user.Password()
			next.SetBasicAuth(user.Username(), password)
		}
		next.URL.User = nil
	}
	return nil
}

// sameServer reports whether credentials meant for one URL may be sent to another: same scheme, host and port. The step
// from plain HTTP to TLS on the default ports of one host is allowed.
func sameServer(a, b *url.URL) bool {
	if a.Hostname() != b.Hostname() {
		return false
	}
	upgrade := a.Scheme == "http" && b.Scheme == "https" && port(a) == "80" && port(b) == "443"
	return upgrade || a.Scheme == b.Scheme && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
