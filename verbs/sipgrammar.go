package verbs

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// What the parts of a SIP URI may hold besides letters, digits and escapes (RFC 3261 section 25.1).
const (
	sipMark     = "-_.!~*'()"
	sipUser     = sipMark + "&=+$,;?/"
	sipPass     = sipMark + "&=+$,"
	sipParam    = sipMark + "[]/:&+$"
	sipHeader   = sipMark + "[]/?:+$"
	sipAlphanum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// sipHost is a host name: labels of letters, digits and inner hyphens, the last one with a letter in front.
var sipHost = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?$`)

// checkSIPURI reports why a value is not exactly one sip: or sips: URI by the grammar of RFC 3261 section 25.1: no
// display name, no angle brackets, no second URI, no control characters. The error is a phrase that follows the name of
// what holds the value. A URI that passes can stand between "<" and ">" in a header as it is.
func checkSIPURI(value string) error {
	if strings.ContainsAny(value, "<>\"") {
		return fmt.Errorf("must be a bare SIP URI, without display name and angle brackets, not %s", quote(value))
	}
	for _, r := range value {
		if r <= ' ' || r >= 0x7F && r < 0xA1 {
			return fmt.Errorf("must be one SIP URI without white space and control characters, not %s", quote(value))
		}
	}
	scheme, rest, ok := strings.Cut(value, ":")
	if !ok || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return fmt.Errorf("must be a SIP URI, with sip: or sips: in front, not %s", quote(value))
	}
	if err := checkSIPBody(rest); err != nil {
		return fmt.Errorf("must be one SIP URI, not %s: %w", quote(value), err)
	}
	return nil
}

// checkSIPBody checks what follows the scheme.
func checkSIPBody(rest string) error {
	user, address, hasUser := strings.Cut(rest, "@")
	if !hasUser {
		address = rest
	} else if host, headers, ok := strings.Cut(user, "?"); ok && checkSIPAddress(host) == nil && hasSIPHeader(headers) {
		// By the letter of the grammar all of it is a user name, which nobody means.
		name, _, _ := strings.Cut(headers[strings.LastIndex(headers, "&")+1:], "=")
		return fmt.Errorf(`the header %s holds an unescaped "@"; write %%40 (a "?" in a user name is %%3F)`, name)
	} else if err := checkSIPUser(user); err != nil {
		return err
	}
	address, headers, hasHeaders := strings.Cut(address, "?")
	if strings.Contains(address, "@") {
		return errors.New(`it holds more than one "@"; write %40 in a user name, and one URI only`)
	}
	if err := checkSIPAddress(address); err != nil {
		return err
	}
	if !hasHeaders {
		return nil
	}
	for header := range strings.SplitSeq(headers, "&") {
		if err := checkSIPHeader(header); err != nil {
			return err
		}
	}
	return nil
}

func checkSIPUser(userinfo string) error {
	user, password, _ := strings.Cut(userinfo, ":")
	if user == "" {
		return errors.New("the user before the @ is empty")
	}
	if err := checkSIPChars("the user", user, sipUser); err != nil {
		return err
	}
	if err := checkSIPChars("the password", password, sipPass); err != nil {
		return errors.New("the password holds a character that must be escaped") // which one is nobody's business
	}
	return nil
}

// hasSIPHeader reports whether what follows a "?" looks like headers. What follows a colon may be a password.
func hasSIPHeader(s string) bool {
	first, _, _ := strings.Cut(s, ":")
	return strings.Contains(first, "=")
}

// checkSIPAddress checks host, port and parameters.
func checkSIPAddress(address string) error {
	host, params, hasParams := strings.Cut(address, ";")
	if err := checkSIPHostPort(host); err != nil {
		return err
	}
	if !hasParams {
		return nil
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, hasValue := strings.Cut(param, "=")
		switch {
		case name == "":
			return errors.New("a parameter has no name")
		case hasValue && value == "":
			return fmt.Errorf("the parameter %s has no value", name)
		}
		if err := checkSIPChars("the parameter "+name, name+value, sipParam); err != nil {
			return err
		}
	}
	return nil
}

func checkSIPHostPort(hostport string) error {
	host, port, hasPort := hostport, "", false
	if end := strings.LastIndex(hostport, "]"); strings.HasPrefix(hostport, "[") && end > 0 {
		host, port = hostport[:end+1], hostport[end+1:]
		if port != "" {
			if port, hasPort = strings.CutPrefix(port, ":"); !hasPort {
				return errors.New("something stands between ] and the port")
			}
		}
	} else {
		host, port, hasPort = strings.Cut(hostport, ":")
	}
	if hasPort {
		if n, err := strconv.Atoi(port); !isDigits(port) || err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("%s is no port", quote(port))
		}
	}
	if host == "" {
		return errors.New("it has no host")
	}
	if !isSIPHost(host) {
		return fmt.Errorf("%s is no host", quote(host))
	}
	return nil
}

func isSIPHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Is4()
	}
	return sipHost.MatchString(host)
}

func checkSIPHeader(header string) error {
	name, value, ok := strings.Cut(header, "=")
	if name == "" || !ok {
		return fmt.Errorf("after the ? must follow headers as name=value, separated by &, not %s", quote(header))
	}
	if err := checkSIPChars("the header "+name, name, sipHeader); err != nil {
		return err
	}
	return checkSIPChars("the header "+name, value, sipHeader)
}

// checkSIPChars takes letters, digits, escapes (% and two hexadecimal digits) and the characters of also.
func checkSIPChars(what, text, also string) error {
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch {
		case b == '%':
			if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
				return fmt.Errorf(`%s holds a "%%" that begins no escape; write %%25`, what)
			}
			i += 2
		case strings.IndexByte(sipAlphanum, b) >= 0 || strings.IndexByte(also, b) >= 0:
		case b >= 0x80:
			r := runeAt(text[i:])
			return fmt.Errorf(`%s holds an unescaped "%c"; write %s`, what, r, percent(string(r)))
		default:
			return fmt.Errorf(`%s holds an unescaped "%c"; write %s`, what, b, percent(string(rune(b))))
		}
	}
	return nil
}

func percent(text string) string {
	var escaped strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&escaped, "%%%02X", text[i])
	}
	return escaped.String()
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}
