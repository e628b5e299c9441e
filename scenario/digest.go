package scenario

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Challenge is a digest challenge (RFC 3261 section 22, RFC 8760).
type Challenge struct {
	Proxy     bool   // 407 in place of 401
	Realm     string // "": "phone"
	Nonce     string // "": a new one
	Algorithm string // "": not said, which means MD5; "MD5", "SHA-256"
	QOP       string // "": not offered; "auth"
	Stale     bool
}

// Challenge answers the REFER with a challenge.
func (r *Refer) Challenge(c Challenge) error {
	code, name := 401, "WWW-Authenticate"
	if c.Proxy {
		code, name = 407, "Proxy-Authenticate"
	}
	return r.Respond(code, Header{name, c.value()})
}

func (c Challenge) value() string {
	if c.Realm == "" {
		c.Realm = "phone"
	}
	if c.Nonce == "" {
		c.Nonce = token()
	}
	v := fmt.Sprintf("Digest realm=%q, nonce=%q", c.Realm, c.Nonce)
	if c.Algorithm != "" {
		v += ", algorithm=" + c.Algorithm
	}
	if c.QOP != "" {
		v += fmt.Sprintf(", qop=%q", c.QOP)
	}
	if c.Stale {
		v += ", stale=true"
	}
	return v
}

// VerifyDigest checks the credentials of a request, which are in the named header (Authorization or Proxy-Authorization),
// against a challenge's nonce, if it is given, and against a user's name and password.
func VerifyDigest(req *Message, header, nonce, username, password string) error {
	value, ok := strings.CutPrefix(req.Get(header), "Digest ")
	if !ok {
		return fmt.Errorf("%s has no %s with a digest", short(req), header)
	}
	p := digestParams(value)
	switch {
	case p["username"] != username:
		return fmt.Errorf("digest of user %q, want %q", p["username"], username)
	case nonce != "" && p["nonce"] != nonce:
		return fmt.Errorf("digest of nonce %q, want %q", p["nonce"], nonce)
	case p["uri"] != req.RequestURI(): // RFC 3261 section 22.4: the whole Request-URI
		return fmt.Errorf("digest of URI %q, want the Request-URI %q", p["uri"], req.RequestURI())
	}
	var digest func() hash.Hash
	switch strings.ToUpper(p["algorithm"]) {
	case "", "MD5":
		digest = md5.New
	case "SHA-256":
		digest = sha256.New
	default:
		return fmt.Errorf("digest algorithm %q", p["algorithm"])
	}
	sum := func(parts ...string) string {
		h := digest()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	ha1, ha2 := sum(username, p["realm"], password), sum(req.Method(), p["uri"])
	want := sum(ha1, p["nonce"], ha2)
	if p["qop"] != "" {
		want = sum(ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], ha2)
	}
	if p["response"] != want {
		return errors.New("the digest's response is wrong")
	}
	return nil
}

// digestParams reads the comma-separated parameters of a challenge or credentials; names in lower case.
func digestParams(s string) map[string]string {
	params := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name = strings.ToLower(strings.Trim(name, " ,\t"))
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			value, s, _ = strings.Cut(quoted, `"`)
		} else {
			value, s, _ = strings.Cut(rest, ",")
			value = strings.TrimSpace(value)
		}
		params[name] = value
	}
	return params
}
