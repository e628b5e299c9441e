package state

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// maskedText stands for what is not shown.
const maskedText = "***"

var (
	// urlUser matches the user information of a URL (RFC 3986 section 3.2.1), in a text or alone. All of it is a secret: a
	// token may stand in the user's place.
	urlUser = regexp.MustCompile(`(//)[^/?#"<>\s]*@`)

	// sipPassword matches the password of a SIP URI (RFC 3261 section 19.1.1). The user stays: it names whom to call.
	sipPassword = regexp.MustCompile(`(?i)(\bsips?:[^:@"<>\s]*:)[^@"<>\s]*@`)

	// srtpKey matches the keys of SRTP in a session description (RFC 4568 section 9.1).
	srtpKey = regexp.MustCompile(`(?i)(\binline:)[^\s|;"\\]+`)

	// uriAuthorization matches credentials that a SIP URI carries as a header (RFC 3261 section 19.1.1, "headers"). In
	// JSON an ampersand may be written \u0026.
	uriAuthorization = regexp.MustCompile(`(?i)((?:[?&]|\\u0026)(?:proxy-)?authorization=)[^&\\>"\s]*`)

	// sipAuthorization matches the header fields with credentials of a SIP message, or of one inside of another's body,
	// with the lines that they are folded onto (RFC 3261 section 7.3.1). They have no compact form.
	sipAuthorization = regexp.MustCompile(`(?i)((?:^|[\r\n])[ \t]*(?:proxy-)?authorization[ \t]*:)[^\r\n]*(?:(?:\r\n|\r|\n)[ \t]+[^\r\n]*)*`)
)

// MaskText masks the secrets of URIs, wherever in a text they are, as it may leave the process.
func MaskText(s string) string { return maskText(s) }

// maskText masks the secrets of URIs, wherever in a text they are.
func maskText(s string) string {
	// Most texts have no secret, and regular expressions are slow to see it.
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		before := s[:at]
		if strings.Contains(before, "//") {
			s = urlUser.ReplaceAllString(s, "${1}"+maskedText+"@")
		}
		if strings.Count(before, ":") > 1 { // the scheme's, and the password's
			s = sipPassword.ReplaceAllString(s, "${1}"+maskedText+"@")
		}
	}
	if strings.Contains(s, "=") && strings.Contains(strings.ToLower(s), "authorization=") {
		s = uriAuthorization.ReplaceAllString(s, "${1}"+maskedText)
	}
	return s
}

func maskSIP(raw string) string {
	if strings.Contains(strings.ToLower(raw), "inline:") {
		raw = srtpKey.ReplaceAllString(raw, "${1}"+maskedText)
	}
	return maskText(sipAuthorization.ReplaceAllString(raw, "${1} "+maskedText))
}

// Masked returns the entry as it may leave the process: without the passwords in its document, user information in
// URLs, passwords in SIP URIs, credentials in SIP messages, and the credentials of what is owed. The entry itself is
// left as it is.
//
// maskDocument masks the text of a BXML document; nil leaves the text of documents out.
func (e Entry) Masked(maskDocument func(string) string) Entry {
	switch {
	case e.SIP != nil:
		s := *e.SIP
		s.Reason, s.Summary, s.Raw = maskText(s.Reason), maskText(s.Summary), maskSIP(s.Raw)
		e.SIP = &s
	case e.Webhook != nil:
		w := *e.Webhook
		w.URL, w.Error = maskText(w.URL), maskText(w.Error)
		w.Body, w.Owed = maskJSON(w.Body), withoutCredentials(w.Owed)
		e.Webhook = &w
	case e.Document != nil:
		d := *e.Document
		if maskDocument == nil {
			d.Body = ""
		} else {
			d.Body = maskText(maskDocument(d.Body))
		}
		d.URL, d.Error = maskText(d.URL), maskText(d.Error)
		d.Warnings = maskAll(d.Warnings)
		e.Document = &d
	case e.Verb != nil:
		v := *e.Verb
		v.Error = maskText(v.Error)
		if v.Refer != nil {
			r := *v.Refer
			r.Target = maskText(r.Target)
			v.Refer = &r
		}
		e.Verb = &v
	case e.Call != nil:
		c := *e.Call
		c.From, c.To, c.ErrorMessage = maskText(c.From), maskText(c.To), maskText(c.ErrorMessage)
		c.URL, c.Follow = maskText(c.URL), nil
		e.Call = &c
	case e.Dialog != nil:
		e.Dialog = &Dialog{}
	case e.Media != nil:
		m := *e.Media
		m.Detail = maskText(m.Detail)
		e.Media = &m
	}
	return e
}

func maskAll(texts []string) []string {
	if len(texts) == 0 {
		return texts
	}
	masked := make([]string, len(texts))
	for i, s := range texts {
		masked[i] = maskText(s)
	}
	return masked
}

// maskJSON masks the URIs in the strings of a JSON text. The delimiters of what is replaced can't be inside of an escape
// sequence, so that the text stays JSON.
func maskJSON(b json.RawMessage) json.RawMessage {
	if len(b) == 0 {
		return b
	}
	return json.RawMessage(maskText(string(b)))
}

// withoutCredentials leaves the credentials out of an owed event's envelope; what is not JSON is left out whole.
func withoutCredentials(envelope json.RawMessage) json.RawMessage {
	if len(envelope) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(envelope))
	decoder.UseNumber() // numbers stay as they are written
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil
	}
	stripped, err := json.Marshal(stripped(v))
	if err != nil {
		return nil
	}
	return maskJSON(stripped)
}

func stripped(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch strings.ToLower(name) {
			case "auth", "username", "password", "authorization":
				delete(v, name)
			default:
				v[name] = stripped(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = stripped(v[i])
		}
	}
	return v
}
