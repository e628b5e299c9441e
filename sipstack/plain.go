package sipstack

import "strings"

// Most messages are written so plainly that the parser behind us reads them rightly for sure: nothing in them is tidied, and they
// need not be parsed twice. One look at each octet tells these values. Others may be right as well.

// isPlainStart tells a Request-Line with a plain URI, and a Status-Line that nobody takes for one. Either was found to be well-formed.
func isPlainStart(line string) bool {
	first, second, third := startLine(line)
	if first == "SIP/2.0" {
		return len(third) < 3 || !strings.EqualFold(third[:3], "SIP")
	}
	return third == "SIP/2.0" && isPlainURI(second)
}

// isPlainAddress tells a name-addr with a plain URI and plain parameters. Its display name, if it has one, is words or a quoted
// string of words.
func isPlainAddress(s string) bool {
	open := strings.IndexByte(s, '<')
	end := strings.IndexByte(s, '>')
	return open >= 0 && end > open && isPlainName(s[:open]) && isPlainURI(s[open+1:end]) && isPlainParams(s[end+1:])
}

// isPlainName tells the part of a name-addr before its URI.
func isPlainName(s string) bool {
	if s == "" {
		return true
	}
	name, spaced := strings.CutSuffix(s, " ")
	if len(name) > 2 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	for i := range len(name) {
		if c := name[i]; !isPlain(c) && c != ' ' {
			return false
		}
	}
	return spaced && name != "" && name[0] != ' ' && name[len(name)-1] != ' '
}

// isPlainURI tells a SIP or SIPS URI without a password or headers.
func isPlainURI(s string) bool {
	rest, ok := strings.CutPrefix(s, "sip:")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "sips:"); !ok {
			return false
		}
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		if !isPlainToken(rest[:at]) {
			return false
		}
		rest = rest[at+1:]
	}
	host := plainHost(rest)
	return host > 0 && isPlainParams(rest[host:])
}

// isPlainVia tells a Via of one value.
func isPlainVia(s string) bool {
	const protocol = "SIP/2.0/UDP "
	if len(s) < len(protocol) || s[:8] != protocol[:8] || s[11] != ' ' {
		return false
	}
	if t := s[8:11]; t != "UDP" && t != "TCP" && t != "TLS" {
		return false
	}
	host := plainHost(s[len(protocol):])
	return host > 0 && isPlainParams(s[len(protocol)+host:])
}

// plainHost is the length of the host at the beginning of s, which is a name or an IPv4 address, and of its port if it has one; 0:
// there is none.
func plainHost(s string) int {
	n := 0
	for n < len(s) && (isAlphanumeric(s[n]) || s[n] == '.' || s[n] == '-') {
		n++
	}
	if n == 0 || n == len(s) || s[n] != ':' {
		return n
	}
	port, digits := 0, n+1
	for n = digits; n < len(s) && '0' <= s[n] && s[n] <= '9' && n < digits+5; n++ {
		port = 10*port + int(s[n]-'0')
	}
	if port == 0 || port > 65535 {
		return 0
	}
	return n
}

// isPlainParams tells parameters whose names are in lower case and whose values are not quoted.
func isPlainParams(s string) bool {
	for s != "" {
		if s[0] != ';' {
			return false
		}
		n := 1
		for n < len(s) && ('a' <= s[n] && s[n] <= 'z' || '0' <= s[n] && s[n] <= '9' || s[n] == '-') {
			n++
		}
		if n == 1 {
			return false
		}
		if n < len(s) && s[n] == '=' {
			begin := n + 1
			for n = begin; n < len(s) && isPlain(s[n]); n++ {
			}
			if n == begin {
				return false
			}
		}
		s = s[n:]
	}
	return true
}

func isPlainToken(s string) bool {
	for i := range len(s) {
		if !isPlain(s[i]) {
			return false
		}
	}
	return s != ""
}

// isPlain tells the characters that mean nothing wherever they stand.
func isPlain(c byte) bool {
	return isAlphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '!' || c == '*' || c == '%'
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z'
}
