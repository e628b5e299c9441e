package media

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// freshness returns until when a reply received at now may be used without asking again, and whether it may be kept at
// all (RFC 7234 sections 3 and 4.2). What says nothing of its age is not kept. The cache serves all calls of the node, so
// it is a shared one.
func freshness(h http.Header, now time.Time) (until time.Time, keep bool) {
	control := cacheControl(h)
	_, noStore := control["no-store"]
	_, private := control["private"]
	if noStore || private || strings.Contains(h.Get("Vary"), "*") {
		return time.Time{}, false
	}
	lifetime, ok := explicitLifetime(h, control, now)
	if !ok {
		return time.Time{}, false
	}
	if _, always := control["no-cache"]; always { // kept, but asked about each time
		lifetime = 0
	}
	if age, err := strconv.Atoi(h.Get("Age")); err == nil && age > 0 {
		lifetime -= time.Duration(min(age, maxAge)) * time.Second
	}
	if lifetime <= 0 && h.Get("ETag") == "" && h.Get("Last-Modified") == "" {
		return time.Time{}, false // there would be nothing to ask with
	}
	return now.Add(lifetime), true
}

// maxAge bounds ages in seconds: RFC 7234 section 1.2.1 has 2^31 as good as infinite.
const maxAge = 1 << 31

// explicitLifetime returns how long the server allows, counted from when the reply was made.
func explicitLifetime(h http.Header, control map[string]string, now time.Time) (time.Duration, bool) {
	for _, directive := range []string{"s-maxage", "max-age"} {
		if value, ok := control[directive]; ok {
			seconds, err := strconv.Atoi(value)
			if err != nil || seconds < 0 {
				return 0, true // section 4.2.1: what cannot be read is stale
			}
			return time.Duration(min(seconds, maxAge)) * time.Second, true
		}
	}
	if h.Get("Expires") == "" {
		return 0, false
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0, true // section 5.3: "0" and the like are in the past
	}
	made, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		made = now
	}
	return expires.Sub(made), true
}

// cacheControl returns the directives of Cache-Control, names in lower case.
func cacheControl(h http.Header) map[string]string {
	directives := map[string]string{}
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			directives[strings.ToLower(name)] = strings.Trim(value, `"`)
		}
	}
	return directives
}
