package api

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/callengine/callengine/interpreter"
)

// Limits in characters (docs/api.md).
const (
	maxURL        = 2048
	maxCredential = 1024
	maxTag        = 4096
)

// modification is the body of POST …/calls/{callId}.
type modification struct {
	completed bool
	redirect  interpreter.Redirection
}

// readModification reads a body (docs/api.md). Unknown fields are ignored, and so are, when the call is to end, the
// fallback URL and all credentials.
func readModification(body []byte) (modification, *failure) {
	f, bad := readFields(body)
	if bad != nil {
		return modification{}, bad
	}
	state := f.choice("state", "Invalid state. Supported states: [active, completed]", "active", "completed")
	to := interpreter.Redirection{
		URL:              f.url("redirectUrl"),
		Method:           f.method("redirectMethod", "redirectUrl"),
		Username:         f.text("username", maxCredential),
		Password:         f.text("password", maxCredential),
		FallbackURL:      f.url("redirectFallbackUrl"),
		FallbackMethod:   f.method("redirectFallbackMethod", "redirectFallbackUrl"),
		FallbackUsername: f.text("fallbackUsername", maxCredential),
		FallbackPassword: f.text("fallbackPassword", maxCredential),
	}
	if tag := f.text("tag", maxTag); f.has("tag") {
		to.Tag = &tag
	}
	if state == "completed" {
		for _, name := range []string{"redirectUrl", "redirectMethod", "redirectFallbackMethod", "tag"} {
			if f.has(name) {
				f.reject("Invalid %s: not allowed when state is completed", name)
			}
		}
		return modification{completed: true}, f.bad
	}
	if !f.has("redirectUrl") {
		f.reject("Missing at least one required field. Required fields are [redirectUrl]")
	}
	return modification{redirect: to}, f.bad
}

// fields are those of a JSON object, by their exact names. The first thing that is wrong with them stays in bad.
type fields struct {
	given map[string]json.RawMessage
	bad   *failure
}

func readFields(body []byte) (*fields, *failure) {
	f := &fields{}
	if err := json.Unmarshal(body, &f.given); err != nil || f.given == nil {
		if !json.Valid(body) {
			return nil, invalid("Invalid body: it is not JSON")
		}
		return nil, invalid("Invalid body: must be a JSON object")
	}
	return f, nil
}

func (f *fields) reject(format string, args ...any) {
	if f.bad == nil {
		f.bad = invalid(format, args...)
	}
}

// has reports whether a field is there; one that is null is not (docs/api.md).
func (f *fields) has(name string) bool {
	value, given := f.given[name]
	return given && !bytes.Equal(value, []byte("null"))
}

// text returns a string of at most so many characters; "" when it is not there.
func (f *fields) text(name string, most int) string {
	if !f.has(name) {
		return ""
	}
	var s string
	if json.Unmarshal(f.given[name], &s) != nil {
		f.reject("Invalid %s: must be a string", name)
		return ""
	}
	if n := utf8.RuneCountInString(s); n > most {
		f.reject("Invalid %s: must have at most %d characters, but has %d", name, most, n)
	}
	return s
}

// choice returns one of these strings; the first when it is not there.
func (f *fields) choice(name, complaint string, of ...string) string {
	if !f.has(name) {
		return of[0]
	}
	var s string
	if json.Unmarshal(f.given[name], &s) == nil {
		for _, one := range of {
			if s == one {
				return s
			}
		}
	}
	f.reject("%s", complaint)
	return of[0]
}

func (f *fields) method(name, of string) string {
	return f.choice(name, "Invalid "+of+" method. Supported methods: [POST, GET]", "POST", "GET")
}

// url returns an absolute URL; "" when it is not there.
func (f *fields) url(name string) string {
	s := f.text(name, maxURL)
	if f.has(name) && f.bad == nil {
		if complaint := checkURL(s); complaint != "" {
			f.reject("Invalid %s: %s", name, complaint)
		}
	}
	return s
}

// checkURL says what is wrong with the URL of a webhook; "": nothing.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil, strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "must be a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "only http and https are allowed"
	case u.Hostname() == "":
		return "must have a host"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return "must have a port from 1 to 65535"
		}
	}
	return ""
}
