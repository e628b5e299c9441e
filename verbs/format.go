package verbs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// format is a rule for a value beyond its type. check returns what the value "must be", a phrase that follows its name.
type format struct {
	name  string // in the specification's tables
	check func(value string) error
}

// maxTag is the length in characters up to which a tag may be (docs/bxml.md).
const maxTag = 256

var (
	formatE164          = format{"e164", checkE164}
	formatE164OrSIP     = format{"e164-or-sip", checkE164OrSIP}
	formatE164OrKeyword = format{"e164-or-keyword", checkE164OrKeyword}
	formatSIPURI        = format{"sip-uri", checkSIPURI}
	formatURL           = format{"url", checkURL}
	formatCallID        = format{"call-id", checkID}
	formatCallIDs       = format{"call-id-list", checkCallIDs}
	formatEndpointID    = format{"endpoint-id", checkID}
	formatConference    = pattern(`[A-Za-z0-9_.-]{1,100}`, "must be 1 to 100 letters, digits, '-', '_' and '.'")
	formatDTMF          = pattern(`[0-9*#a-dA-DwW,]{1,50}`, "must be 1 to 50 of 0-9, *, #, a-d, A-D, and the pauses ',', w and W")
	formatDigits        = format{"", pattern(`[0-9*#a-dA-D]*`, "must be of 0-9, *, # and A-D").check}
	formatLanguage      = format{"", pattern(`[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*`, "must be a language such as en-US").check}
	formatTag           = format{"max 256 chars, trimmed; empty clears", checkTag}
	formatDisplayName   = format{"", checkDisplayName}
	formatUUI           = format{"uui", checkUUI}
)

// pattern is the format of values that match expr as a whole.
func pattern(expr, must string) format {
	whole := regexp.MustCompile(`^(?:` + expr + `)$`)
	return format{expr, func(value string) error {
		if !whole.MatchString(value) {
			return fmt.Errorf("%s, not %s", must, quote(value))
		}
		return nil
	}}
}

var e164 = regexp.MustCompile(`^\+[0-9]{1,15}$`)

func checkE164(value string) error {
	if !e164.MatchString(value) {
		return fmt.Errorf("must be a telephone number as + and up to 15 digits, not %s", quote(value))
	}
	return nil
}

func checkE164OrSIP(value string) error {
	if strings.Contains(value, ":") {
		return checkSIPURI(value)
	}
	if checkE164(value) != nil {
		return fmt.Errorf("must be a SIP URI or a telephone number as + and up to 15 digits, not %s", quote(value))
	}
	return nil
}

func checkE164OrKeyword(value string) error {
	keywords := []string{"Restricted", "Anonymous", "Private", "Unavailable"}
	for _, k := range keywords {
		if value == k {
			return nil
		}
	}
	if checkE164(value) != nil {
		return fmt.Errorf("must be a telephone number as + and up to 15 digits, or %s, not %s%s",
			alternatives(keywords), quote(value), didYouMean(value, keywords))
	}
	return nil
}

// checkID takes any word for an id: which ids there are is known when the verb runs.
func checkID(value string) error {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fmt.Errorf("must be one id, not %s", quote(value))
	}
	return nil
}

// checkCallIDs takes ids separated by commas; an empty list is one, too.
func checkCallIDs(value string) error {
	if strings.Trim(value, xmlSpace) == "" {
		return nil
	}
	for id := range strings.SplitSeq(value, ",") {
		if checkID(strings.Trim(id, xmlSpace)) != nil {
			return fmt.Errorf("must be call ids separated by commas, not %s", quote(value))
		}
	}
	return nil
}

func checkTag(value string) error {
	if n := utf8.RuneCountInString(value); n > maxTag {
		return fmt.Errorf("must have at most %d characters, not %d", maxTag, n)
	}
	return nil
}

func checkDisplayName(value string) error {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("may not hold control characters")
	}
	return nil
}

// uuiEncodings are the values that the parameter "encoding" of User-To-User may have (RFC 7433 section 4.1).
var uuiEncodings = []string{"base64", "jwt", "hex"}

// checkUUI takes values of the header User-To-User, separated by commas, each of the form data;encoding=base64. Whether
// the data is what the encoding says is for whoever reads it: the header carries it as it is.
func checkUUI(value string) error {
	for one := range strings.SplitSeq(value, ",") {
		data, params, _ := strings.Cut(strings.Trim(one, xmlSpace), ";")
		if data == "" || strings.ContainsFunc(data, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == '"' }) {
			return fmt.Errorf("must be data with an encoding such as aGk=;encoding=base64, not %s", quote(value))
		}
		encoding, ok := strings.CutPrefix(params[strings.LastIndex(params, ";")+1:], "encoding=")
		if !ok {
			return fmt.Errorf("must end with ;encoding= and %s, not %s", alternatives(uuiEncodings), quote(value))
		}
		if err := oneOf(encoding, uuiEncodings); err != nil {
			return fmt.Errorf("must have the encoding %s, not %w", alternatives(uuiEncodings), err)
		}
	}
	return nil
}

// oneOf returns nil when value is one of values, else the value quoted, with what was probably meant.
func oneOf(value string, values []string) error {
	for _, v := range values {
		if v == value {
			return nil
		}
	}
	return errors.New(quote(value) + didYouMean(value, values))
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
