package sipstack

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// authorize answers a digest challenge (RFC 3261 section 22, RFC 8760): it returns the header field with which a request
// of this method to this Request-URI is to be sent once more. Prior is the number of times that the request has been sent
// with credentials already.
//
// Of several challenges the first counts whose realm is among creds and whose algorithm is known (MD5, SHA-256, SHA-512,
// SHA-512-256). After an attempt with credentials only one that calls the nonce stale is answered, and that once: any
// other means that they were refused. False: the response is final.
//
// The URI must be the one on the wire, with all its parameters: strict servers compare it with the Request-URI.
func authorize(creds []Credential, res *sip.Response, method string, uri sip.Uri, prior int) (hdr sip.Header, ok bool) {
	challenge, answer, ok := challengeFields(res.StatusCode)
	if !ok || prior > 1 {
		return nil, false
	}
	for _, h := range res.GetHeaders(challenge) {
		chal, ok := readChallenge(h.Value())
		if !ok || prior == 1 && !chal.Stale {
			continue
		}
		i := slices.IndexFunc(creds, func(c Credential) bool { return c.Realm == chal.Realm })
		if i < 0 {
			continue
		}
		signed, err := sign(chal, creds[i], method, uri.String(), "")
		if err != nil {
			continue
		}
		return sip.NewHeader(answer, signed), true
	}
	return nil, false
}

// challengeFields returns the names of the header fields with a challenge and with its answer.
func challengeFields(code int) (challenge, answer string, ok bool) {
	switch code {
	case sip.StatusUnauthorized:
		return "WWW-Authenticate", "Authorization", true
	case sip.StatusProxyAuthRequired:
		return "Proxy-Authenticate", "Proxy-Authorization", true
	}
	return "", "", false
}

// tidyDigest writes anew what is allowed in a challenge or in credentials, but not known to the library: names in capitals
// (RFC 3261 section 7.3.1), tokens of any characters that a token may have, empty elements of the list. What breaks the
// grammar stays as it is.
func tidyDigest(value string) string {
	list, ok := digest.CutPrefix(value)
	if !ok {
		return value
	}
	var params []string
	for _, param := range splitQuoted(list, ',') {
		if param = strings.TrimSpace(param); param == "" {
			continue
		}
		name, text, found := strings.Cut(param, "=")
		name, text = strings.TrimSpace(name), strings.TrimSpace(text)
		if !found || !isToken(name) {
			return value
		}
		if strings.ContainsAny(name, "_.!%*+`'~") { // an extension's, and more than the library can pass over
			continue
		}
		if isToken(text) {
			text = `"` + text + `"`
		}
		params = append(params, strings.ToLower(name)+"="+text)
	}
	return digest.Prefix + strings.Join(params, ", ")
}

// readChallenge reads a challenge that can be answered.
func readChallenge(value string) (*digest.Challenge, bool) {
	chal, err := digest.ParseChallenge(tidyDigest(value))
	if err != nil {
		return nil, false
	}
	var qop []string // blanks around the comma are legal, and the library keeps them
	for _, option := range chal.QOP {
		if option = strings.ToLower(strings.TrimSpace(option)); option != "" {
			qop = append(qop, option)
		}
	}
	chal.QOP = qop
	return chal, digest.CanDigest(chal)
}

// sign returns credentials for a request without a body. The nonce count is 1: each challenge brings a nonce of its own,
// which is used once. An empty cnonce: a random one.
func sign(chal *digest.Challenge, c Credential, method, uri, cnonce string) (string, error) {
	signed, err := digest.Digest(chal, digest.Options{
		Method: method, URI: uri, Username: c.Username, Password: c.Password, Count: 1, Cnonce: cnonce,
	})
	if err != nil {
		return "", err
	}
	return signed.String(), nil
}
