package sipstack

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// User may place calls once it has shown that it knows the password.
type User struct{ Username, Password string }

// Why the credentials of an INVITE were refused; see [Door].
const (
	AuthWrong     = "wrong"     // the user is unknown or the password wrong; which of them nobody is told
	AuthStale     = "stale"     // right, but with a nonce that is too old, or of the time before a restart
	AuthReplay    = "replay"    // right, but with a nonce count that was used before
	AuthURI       = "uri"       // right, but signed for another Request-URI
	AuthMalformed = "malformed" // they cannot be read, or ask for what was not offered
)

// defaultNonceLifetime is that of [Config.NonceLifetime].
const defaultNonceLifetime = 5 * time.Minute

// defaultRealm is that of a stack that advertises no host.
const defaultRealm = product

// algorithms are those of our challenges, the one that we like best first (RFC 8760 section 2.4).
var algorithms = []struct {
	name string
	hash func() hash.Hash
}{{"SHA-256", sha256.New}, {"MD5", md5.New}}

// authenticator asks callers who they are (RFC 3261 section 22, RFC 7616, RFC 8760).
type authenticator struct {
	realm   string
	secrets map[string]secrets // by user name
	nobody  secrets            // of a password that nobody has: an unknown user costs as much time as a known one
	nonces  *nonces
}

// secrets are H(A1) of a user, one per algorithm.
type secrets []string

// newAuthenticator returns nil when there are no users: everybody may call then.
func newAuthenticator(realm string, users []User, lifetime time.Duration) *authenticator {
	if len(users) == 0 {
		return nil
	}
	a := &authenticator{realm: realm, secrets: map[string]secrets{}, nobody: newSecrets("", realm, rand.Text()), nonces: newNonces(lifetime)}
	for _, u := range users {
		a.secrets[u.Username] = newSecrets(u.Username, realm, u.Password)
	}
	return a
}

func newSecrets(username, realm, password string) secrets {
	var s secrets
	for _, alg := range algorithms {
		s = append(s, hashed(alg.hash, username, realm, password))
	}
	return s
}

func hashed(h func() hash.Hash, parts ...string) string {
	sum := h()
	_, _ = sum.Write([]byte(strings.Join(parts, ":"))) // never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// challenges returns the values of WWW-Authenticate.
func (a *authenticator) challenges(stale bool, now time.Time) []string {
	nonce := a.nonces.make(now)
	var values []string
	for _, alg := range algorithms {
		v := fmt.Sprintf(`Digest realm=%s, nonce="%s", algorithm=%s, qop="auth"`, quotedString(a.realm), nonce, alg.name)
		if stale {
			v += ", stale=true"
		}
		values = append(values, v)
	}
	return values
}

// quotedString writes a quoted-string (RFC 3261 section 25.1).
func quotedString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// judgement is what comes of a request's credentials: code is its final response, 0 if it may go on.
type judgement struct {
	code   int
	stale  bool
	reason string // one of the Auth constants; "" if nothing was wrong, or there were no credentials at all
}

// judge looks at the Authorization values of a request. Whoever has none for our realm is challenged (401); whoever's are
// wrong gets 403; whoever's are right but too old, or were used before, is challenged with stale=true, which a phone
// answers without asking its user.
func (a *authenticator) judge(values []string, method string, uri sip.Uri, now time.Time) judgement {
	found := judgement{code: sip.StatusUnauthorized}
	for _, value := range values {
		if !digest.IsDigest(value) {
			continue
		}
		creds, err := digest.ParseCredentials(tidyDigest(value))
		if err != nil {
			found.reason = AuthMalformed
			continue
		}
		if creds.Realm == a.realm { // others are for other servers on the way (RFC 3261 section 22.3)
			return a.check(creds, method, uri, now)
		}
	}
	return found
}

func (a *authenticator) check(c *digest.Credentials, method string, uri sip.Uri, now time.Time) judgement {
	alg := algorithmOf(c.Algorithm)
	if alg < 0 || c.Userhash || c.Nonce == "" || c.QOP != "" && (!strings.EqualFold(c.QOP, "auth") || c.Nc <= 0 || c.Cnonce == "") {
		return judgement{code: sip.StatusUnauthorized, reason: AuthMalformed}
	}
	secret, known := a.secrets[c.Username]
	if !known {
		secret = a.nobody
	}
	h := algorithms[alg].hash
	signed := []string{secret[alg], c.Nonce, fmt.Sprintf("%08x", c.Nc), c.Cnonce, c.QOP, hashed(h, method, c.URI)}
	count := uint64(c.Nc)
	if c.QOP == "" { // RFC 3261 section 22.4: clients of RFC 2069 are still served; their nonce is good for one request
		signed = []string{secret[alg], c.Nonce, hashed(h, method, c.URI)}
		count = 1
	}
	right := subtle.ConstantTimeCompare([]byte(hashed(h, signed...)), []byte(strings.ToLower(c.Response))) == 1
	switch {
	case !right || !known:
		return judgement{code: sip.StatusForbidden, reason: AuthWrong}
	case !sameResource(c.URI, uri):
		return judgement{code: sip.StatusForbidden, reason: AuthURI}
	}
	if reason := a.nonces.use(c.Nonce, count, now); reason != "" {
		return judgement{code: sip.StatusUnauthorized, stale: true, reason: reason}
	}
	return judgement{}
}

// algorithmOf returns the place of an algorithm, by its name as credentials have it, -1 for one that was not offered. No
// name means MD5 (RFC 7616 section 3.4).
func algorithmOf(name string) int {
	if name == "" {
		name = "MD5"
	}
	for i, alg := range algorithms {
		if strings.EqualFold(alg.name, name) {
			return i
		}
	}
	return -1
}

// sameResource reports whether a signed URI means the Request-URI: the same user, host and port. Parameters do not count,
// nor does the scheme: many clients sign the URI that they were given, and send it with parameters of the transport.
func sameResource(signed string, uri sip.Uri) bool {
	var s sip.Uri
	if err := sip.ParseUri(signed, &s); err != nil {
		return false
	}
	port := func(u sip.Uri) int {
		switch {
		case u.Port != 0:
			return u.Port
		case strings.EqualFold(u.Scheme, "sips"):
			return sip.DefaultTlsPort
		}
		return sip.DefaultUdpPort
	}
	return userPart(s) == userPart(uri) && strings.EqualFold(s.Host, uri.Host) && port(s) == port(uri)
}

// authenticated reports whether an initial INVITE may go on; else it has been answered.
func (s *Stack) authenticated(i *invite) bool {
	if s.auth == nil {
		return true
	}
	var values []string
	for _, h := range i.req.GetHeaders("Authorization") {
		values = append(values, h.Value())
	}
	now, source := time.Now(), sourceOf(i.req).Addr()
	v := s.auth.judge(values, string(i.req.Method), i.req.Recipient, now)
	if v.code == 0 {
		return true
	}
	s.door.unauthenticated(source, v.reason, now)
	var challenges []sip.Header
	if v.code == sip.StatusUnauthorized {
		for _, c := range s.auth.challenges(v.stale, now) {
			challenges = append(challenges, sip.NewHeader("WWW-Authenticate", c))
		}
	}
	_ = i.respond(s.response(i.req, v.code, "", challenges...))
	return false
}
