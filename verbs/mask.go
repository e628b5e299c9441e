package verbs

import (
	"regexp"
	"strings"
)

const masked = "***"

var (
	// secretAttribute matches an attribute whose name tells of a password, misspelt or not, and its value: quoted, with
	// the closing quote missing, or bare.
	secretAttribute = regexp.MustCompile(`(?i)([\p{L}\d_.:-]*(?:pass|pasw|pwd)[\p{L}\d_.-]*\s*=\s*)("[^"]*"?|'[^']*'?|[^ \t\r\n"'<>]+)`)

	// userInformation matches "//user:password@" of a URL. Each of the characters that count may be written as a
	// character reference; "#" counts only outside of one.
	userInformation = regexp.MustCompile(`(?i)((?:/|&#0*47;|&#x0*2f;){2})(?:[^/?#"<> \t\r\n]|&#)*(?:@|&#0*64;|&#x0*40;)`)

	// spacedInformation is the same where white space was forgotten in a value that begins with a URL.
	spacedInformation = regexp.MustCompile(`(?i)("\s*[a-z]+://)[^/?#"<>]*@|('\s*[a-z]+://)[^/?#'<>]*@|(>\s*[a-z]+://)[^/?#<>]*@`)

	// sipPassword matches "sip:user:password@": a SIP user names whom to call, so that it stays.
	sipPassword = regexp.MustCompile(`(?i)(\bsips?:[^:@"<> \t\r\n]*:)[^@"<> \t\r\n]*@`)
)

// Mask returns a document, valid or not, with its secrets replaced by "***": the values of attributes that hold
// passwords and the user information in URLs. The result is UTF-8; it is for printing, not for parsing.
func Mask(body string) string {
	body = maskText(body) // before the conversion, too: a declaration may lie about the encoding
	if converted, err := convert([]byte(body)); err == nil {
		body = converted
	}
	// UTF-16 that is not marked as such shows as ASCII with zeros between.
	body = strings.ReplaceAll(body, "\x00", "")
	return maskText(strings.ToValidUTF8(body, "\uFFFD"))
}

func maskText(text string) string {
	return maskURLs(secretAttribute.ReplaceAllStringFunc(text, func(found string) string {
		name := secretAttribute.FindStringSubmatch(found)[1]
		switch value := found[len(name):]; {
		case len(value) > 1 && strings.HasSuffix(value, value[:1]) && (value[0] == '"' || value[0] == '\''):
			return name + value[:1] + masked + value[:1]
		case value[0] == '"' || value[0] == '\'':
			return name + value[:1] + masked
		default:
			return name + masked
		}
	}))
}

func maskURLs(text string) string {
	text = userInformation.ReplaceAllString(text, "${1}"+masked+"@")
	text = spacedInformation.ReplaceAllString(text, "${1}${2}${3}"+masked+"@")
	return sipPassword.ReplaceAllString(text, "${1}"+masked+"@")
}
