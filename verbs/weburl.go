package verbs

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxURL is the length in characters up to which a URL may be (docs/bxml.md).
const maxURL = 2048

// checkURL takes what a webhook or an audio file may have: http, https, or relative to the URL that returned the
// document (docs/bxml.md).
func checkURL(value string) error {
	_, err := parseURL(value, "http", "https")
	return err
}

// checkWSURL takes the absolute URL of a WebSocket.
func checkWSURL(value string) error {
	u, err := parseURL(value, "ws", "wss")
	if err == nil && !u.IsAbs() {
		return fmt.Errorf("must be an absolute ws or wss URL, not %s", quote(value))
	}
	return err
}

func parseURL(value string, schemes ...string) (*url.URL, error) {
	if n := utf8.RuneCountInString(value); n > maxURL {
		return nil, fmt.Errorf("must have at most %d characters, not %d", maxURL, n)
	}
	if value == "" {
		return nil, errors.New("must be a URL, and is empty")
	}
	// net/url lets spaces through, which no request line may hold (RFC 3986 section 2).
	if strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, fmt.Errorf("must be a URL without white space (a space is %%20), not %s", quote(value))
	}
	u, err := url.Parse(value)
	if err != nil {
		// The reason is left out: net/url quotes parts of the value in it, perhaps of a password.
		return nil, fmt.Errorf("must be a URL, not %s", quote(value))
	}
	if !u.IsAbs() {
		if u.Host == "" && strings.HasPrefix(value, "//") {
			return nil, fmt.Errorf("must be a URL, not %s: it has no host", quote(value))
		}
		return u, checkPort(u)
	}
	if u.Scheme != schemes[0] && u.Scheme != schemes[1] {
		return nil, fmt.Errorf("must be a URL with %s, not %s", alternatives(schemes), quote(value))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("must be a URL, not %s: it has no host", quote(value))
	}
	return u, checkPort(u)
}

func checkPort(u *url.URL) error {
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("must be a URL, not one with the port %s", shorten(p))
		}
	}
	return nil
}

// resolve returns a URL of the document as it will be used; a relative one stays so when nobody knows its base.
func (c *checker) resolve(value string) *url.URL {
	u, err := url.Parse(value)
	if err != nil {
		return nil
	}
	if c.base != nil {
		u = c.base.ResolveReference(u)
	}
	return u
}

// insecure reports whether a URL is known to be unencrypted.
func insecure(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "ws" }
