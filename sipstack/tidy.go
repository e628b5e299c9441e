package sipstack

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// What the parser behind us reads wrongly although it is allowed is written in another way: blanks around separators,
// several Vias in a field, names of parameters in capitals, quotes within quotes.

// tidyVia returns the values of a Via field, each without blanks; false: it is malformed (RFC 3261 section 20.42).
func tidyVia(value string) ([]string, bool) {
	values, ok := splitTop(value, ',')
	for i, v := range values {
		parts, closed := splitTop(v, ';')
		hop, valid := tidyHop(parts[0])
		params, proper := tidyParams(parts[1:])
		ok = ok && closed && valid && proper
		values[i] = hop + params
	}
	return values, ok
}

// tidyHop is the sent-protocol and the sent-by of a Via.
func tidyHop(s string) (string, bool) {
	name, rest, _ := strings.Cut(s, "/")
	version, rest, ok := strings.Cut(rest, "/")
	rest = trimBlank(rest)
	end := strings.IndexAny(rest, " \t")
	if !ok || end < 0 {
		return s, false
	}
	name, version = trimBlank(name), trimBlank(version)
	transport, by := rest[:end], trimBlank(rest[end:])
	if strings.ContainsFunc(by, unicode.IsSpace) {
		by = strings.Join(strings.Fields(by), "")
	}
	return name + "/" + version + "/" + transport + " " + by,
		isToken(name) && isToken(version) && isToken(transport) && isHostPort(by)
}

// isHostPort reports whether s is a sent-by.
func isHostPort(s string) bool {
	host, port, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		if _, err := netip.ParseAddr(s[1:end]); err != nil {
			return false
		}
		host, port = "v6", s[end+1:]
		if port != "" {
			hasPort = true
			if port[0] != ':' {
				return false
			}
			port = port[1:]
		}
	} else {
		host, port, hasPort = strings.Cut(s, ":")
	}
	if hasPort {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	return isToken(host)
}

// knownParams are parameters that the parser, or we, look for by name.
var knownParams = map[string]bool{"branch": true, "received": true, "rport": true, "maddr": true, "ttl": true, "tag": true}

// tidyParams writes parameters without blanks. An empty one is malformed, but for a last one.
func tidyParams(params []string) (string, bool) {
	var b strings.Builder
	length := 0
	for _, p := range params {
		length += len(";") + len(p)
	}
	b.Grow(length)
	for i, p := range params {
		name, value, hasValue := strings.Cut(p, "=")
		name, value = trimBlank(name), trimBlank(value)
		if name == "" && !hasValue && i == len(params)-1 && len(params) < 3 {
			break
		}
		if !isToken(name) {
			return b.String(), false
		}
		if lower := strings.ToLower(name); knownParams[lower] {
			name = lower
		}
		b.WriteByte(';')
		b.WriteString(name)
		if hasValue {
			b.WriteByte('=')
			b.WriteString(value)
		}
	}
	return b.String(), true
}

// tidyAddress returns a name-addr or addr-spec with its parameters; false: it is malformed (RFC 3261 section 20.10). named
// says that its display name is of use to us.
func tidyAddress(value string, named bool) (string, bool) {
	parts, ok := splitTop(value, ';')
	if !ok {
		return value, false
	}
	params, ok := tidyParams(parts[1:])
	if !ok {
		return value, false
	}
	address := trimBlank(parts[0])
	open := indexTop(address, '<')
	if open < 0 {
		// Without brackets what follows would be taken for the header's: RFC 3261 section 20.
		return address + params, isURI(address) && !strings.ContainsAny(address, ",?")
	}
	name, uri := trimBlank(address[:open]), address[open+1:]
	if !strings.HasSuffix(uri, ">") || !isDisplayName(name) {
		return value, false
	}
	uri = strings.TrimSuffix(uri, ">")
	if !named && strings.Contains(name, `\`) || name == `""` {
		name = ""
	}
	if name != "" {
		name += " "
	}
	return name + "<" + uri + ">" + params, isURI(uri)
}

// isDisplayName tells a quoted string, or words. Of words we take more than the grammar does: many phones forget the
// quotes.
func isDisplayName(s string) bool {
	if !strings.HasPrefix(s, `"`) {
		return !strings.ContainsAny(s, `"<>`)
	}
	end := 1
	for end < len(s) && s[end] != '"' {
		if s[end] == '\\' {
			end++
		}
		end++
	}
	return end == len(s)-1
}

// indexTop is the index of a character that does not stand in quotes; -1: there is none.
func indexTop(s string, c byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// isURI reports whether s has a scheme and something behind it, and no character that a URI cannot have.
func isURI(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" || !isScheme(scheme) {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`<>"`, c) >= 0 {
			return false
		}
	}
	return true
}

func isScheme(s string) bool {
	if s == "" || !('a' <= s[0]|0x20 && s[0]|0x20 <= 'z') {
		return false
	}
	return isToken(s) && !strings.ContainsAny(s, "!%*_`'~")
}

// addressFields are the header fields with addresses that the parser reads: whether there may be several, and whether the
// names in them are of use.
var addressFields = map[string]struct{ list, named bool }{
	"from": {named: true}, "to": {named: true}, "contact": {list: true}, "route": {list: true}, "record-route": {list: true},
	"refer-to": {}, "referred-by": {},
}

// tidyAddresses is [tidyAddress] for what may be a list.
func tidyAddresses(name, value string) (string, bool) {
	kind := addressFields[name]
	if name == "contact" && value == "*" {
		return value, true
	}
	if !kind.list {
		return tidyAddress(value, kind.named)
	}
	values, ok := splitTop(value, ',')
	for i, v := range values {
		tidied, valid := tidyAddress(trimBlank(v), kind.named)
		values[i], ok = tidied, ok && valid
	}
	return strings.Join(values, ", "), ok
}

// tidied is what came of tidying a message.
type tidied int

const (
	malformedField tidied = iota
	rewritten             // something was changed
	unchanged             // nothing was
	plainly               // nothing was, and the parser need not be asked whether it can read it
)

// tidy writes what the parser would read wrongly in another way.
func (m *rawMessage) tidy() tidied {
	result, several := plainly, false
	if m.folded {
		result = unchanged
	}
	for i := range m.fields {
		f := &m.fields[i]
		if f.isPlain() {
			continue
		}
		value, valid := f.value, true
		switch {
		case f.name == "via":
			var values []string
			values, valid = tidyVia(f.value)
			several = several || len(values) > 1
			value = strings.Join(values, ",")
		case f.name == "cseq":
			number, method, _ := strings.Cut(strings.ReplaceAll(f.value, "\t", " "), " ")
			value = number + " " + trimBlank(method)
		case isAddressField(f.name):
			value, valid = tidyAddresses(f.name, f.value)
		}
		if !valid {
			return malformedField
		}
		result = min(result, unchanged)
		if value != f.value {
			f.value, result = value, rewritten
		}
	}
	if several {
		m.splitVias()
		result = rewritten
	}
	return result
}

// isPlain reports whether a field that is not malformed is as the parser wants it, for sure.
func (f *rawField) isPlain() bool {
	switch f.name {
	case "via":
		return isPlainVia(f.value)
	case "cseq":
		number, method, _ := strings.Cut(f.value, " ")
		return isPlainToken(number) && isPlainToken(method)
	case "from", "to", "contact", "route", "record-route", "refer-to", "referred-by":
		return isPlainAddress(f.value)
	case "content-type":
		return f.value != ""
	}
	return true
}

// splitVias gives each value of a Via field, which is tidy, a field of its own.
func (m *rawMessage) splitVias() {
	var fields []rawField
	for _, f := range m.fields {
		if f.name != "via" {
			fields = append(fields, f)
			continue
		}
		values, _ := splitTop(f.value, ',')
		for _, v := range values {
			fields = append(fields, rawField{f.label, f.name, v})
		}
	}
	m.fields = fields
}

func isAddressField(name string) bool {
	_, ok := addressFields[name]
	return ok
}
