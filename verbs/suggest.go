package verbs

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// suggest returns which of the known names was probably meant by one that is not known; "" when none is near.
func suggest(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	best, allowed := "", typos(name)
	for _, k := range known {
		if d := utf8.RuneCountInString(k) - utf8.RuneCountInString(name); d > allowed || -d > allowed {
			continue
		}
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(k)); d <= allowed {
			best, allowed = k, d-1
		}
	}
	if best == "" && len(name) >= 4 { // "Speak"
		for _, k := range known {
			if len(k) > len(name) && strings.EqualFold(k[:len(name)], name) {
				return k
			}
		}
	}
	return best
}

// typos is how many letters may be wrong in a name for it to be recognised.
func typos(name string) int {
	switch n := utf8.RuneCountInString(name); {
	case n < 3:
		return 0
	case n == 3:
		return 1
	case n < 9:
		return 2
	default:
		return 3
	}
}

// didYouMean is the tail of a message about a name that is not known; "" when none is near.
func didYouMean(name string, known []string) string {
	if s := suggest(name, known); s != "" {
		return "; did you mean " + s
	}
	return ""
}

// shorten keeps a name or value of the document from flooding a message.
func shorten(text string) string {
	const limit = 60
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}

// beforeAt is what may be user information in something that failed to be a URL.
var beforeAt = regexp.MustCompile(`//.*@`)

// quote quotes a value for a message, with user information in URLs masked.
func quote(value string) string {
	value = beforeAt.ReplaceAllString(strings.Map(printable, value), "//"+masked+"@")
	return `"` + shorten(maskURLs(value)) + `"`
}

// alternatives joins names as a sentence does: "GET or POST".
func alternatives(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

func printable(r rune) rune {
	if r < 0x20 || r >= 0x7F && r < 0xA0 {
		return '\uFFFD'
	}
	return r
}
