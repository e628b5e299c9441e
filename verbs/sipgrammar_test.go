package verbs

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// abnf is the grammar of RFC 3261 section 25.1 written as an expression of its own, with IPv6 as anything in brackets.
var abnf = func() *regexp.Regexp {
	const (
		escaped = `%[0-9A-Fa-f]{2}`
		chars   = `A-Za-z0-9\-_.!~*'()`
		label   = `[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?`
		top     = `[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?`
		user    = `(?:[` + chars + `&=+$,;?/]|` + escaped + `)+`
		pass    = `(?:[` + chars + `&=+$,]|` + escaped + `)*`
		param   = `(?:[` + chars + `\[\]/:&+$]|` + escaped + `)+`
		hnv     = `(?:[` + chars + `\[\]/?:+$]|` + escaped + `)`
		host    = `(?:(?:` + label + `\.)*` + top + `\.?|\d+\.\d+\.\d+\.\d+|\[[0-9A-Fa-f:.]+\])`
		header  = hnv + `+=` + hnv + `*`
	)
	return regexp.MustCompile(`^(?i:sips?):(?:(` + user + `)(?::` + pass + `)?@)?(` + host + `)(?::(\d+))?(?:;` + param + `(?:=` + param + `)?)*(?:\?` +
		header + `(?:&` + header + `)*)?$`)
}()

// byGrammar is the oracle: the expression, and what an expression cannot say.
func byGrammar(value string) bool {
	m := abnf.FindStringSubmatch(value)
	if m == nil {
		return false
	}
	user, host, port := m[1], m[2], m[3]
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return false
	}
	if host[0] == '[' || strings.Trim(host, "0123456789.") == "" {
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
			return false
		}
	}
	// What looks like a host with headers is not a user, although the grammar has it so.
	before, after, ok := strings.Cut(user, "?")
	return !ok || !strings.Contains(after, "=") || checkSIPAddress(before) != nil
}

func TestSIPURIErrorsSayHowToEscape(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"sip:a@b?Replaces=x@y":      `the header Replaces holds an unescaped "@"; write %40`,
		"sip:a@b?Replaces=x;y":      `the header Replaces holds an unescaped ";"; write %3B`,
		"sip:a@b?Replaces=x=y":      `the header Replaces holds an unescaped "="; write %3D`,
		"sip:a@b?Subject=x;y&To=z@": `the header Subject holds an unescaped ";"; write %3B`,
		"sip:b?Replaces=x@y":        `the header Replaces holds an unescaped "@"; write %40 (a "?" in a user name is %3F)`,
		"sip:b;lr?A=1&Replaces=x@y": `the header Replaces holds an unescaped "@"; write %40 (a "?" in a user name is %3F)`,
		"sip:a#b@c":                 `the user holds an unescaped "#"; write %23`,
		"sip:é@c":                   `the user holds an unescaped "é"; write %C3%A9`,
		"sip:a@b;x=é":               `the parameter x holds an unescaped "é"; write %C3%A9`,
		"sip:a@b@c":                 `it holds more than one "@"; write %40 in a user name, and one URI only`,
		"sip:a@b,sip:c@d":           `it holds more than one "@"; write %40 in a user name, and one URI only`,
	} {
		err := checkSIPURI(value)
		require.Error(t, err, value)
		assert.True(t, strings.HasSuffix(err.Error(), ": "+want), "%s: %v", value, err)
	}
}

func TestSIPURIHosts(t *testing.T) {
	t.Parallel()
	for host, valid := range map[string]bool{
		"a": true, "a.b": true, "a.b.": true, "A-1.b-2": true, "1.a": true, "xn--a.example": true,
		"1": false, "a.1": false, "-a": false, "a-": false, "a..b": false, ".a": false, "a_b": false, "": false, ".": false,
		"1.2.3.4": true, "1.2.3": false, "1.2.3.256": false, "01.2.3.4": false, "1.2.3.4.": false,
		"[::1]": true, "[2001:DB8::1.2.3.4]": true, "::1": false, "[::1": false, "[1.2.3.4]": false, "[::1%25a]": false, "[]": false, "[::1]x": false,
		"a:1": true, "a:65535": true, "a:65536": false, "a:0": false, "a:": false, "a:+1": false, "a:1:2": false, "[::1]:5060": true, "[::1]:": false,
	} {
		assert.Equal(t, valid, checkSIPURI("sip:u@"+host) == nil, host)
		assert.Equal(t, valid, checkSIPURI("sips:"+host) == nil, host)
	}
}

func FuzzSIPURI(f *testing.F) {
	for _, seed := range []string{
		"sip:alice:secret@pbx.example:5060;transport=tcp;lr?Subject=x&Replaces=a%40b", "SIPS:[::1]", "sip:+1;phone-context=x@1.2.3.4",
		"sip:b?Replaces=x@y", "sip:a@b@c", "<sip:a@b>", "tel:+1", "sip:a?b=c@d;e=f?g=h",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		err := checkSIPURI(value)
		require.Equal(t, byGrammar(value), err == nil, "%q: %v", value, err)
		if err == nil {
			assert.NotContains(t, strings.Map(func(r rune) rune {
				if r <= ' ' || r >= 0x7F || r == '<' || r == '>' || r == '"' {
					return '!'
				}
				return 'x'
			}, value), "!", "it can stand in angle brackets")
		}
	})
}
