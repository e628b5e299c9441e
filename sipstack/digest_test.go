package sipstack

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDigestVectors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		challenge         string
		credential        Credential
		uri, cnonce, want string
	}{
		"RFC 2617 section 3.5": {
			`Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"`,
			Credential{"testrealm@host.com", "Mufasa", "Circle Of Life"},
			"/dir/index.html", "0a4f113b", "6629fae49393a05397450978507c4ef1",
		},
		"RFC 7616 section 3.9.1, MD5": {
			`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			Credential{"http-auth@example.org", "Mufasa", "Circle of Life"},
			"/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "8ca523f5e9506fed4657c9700eebdbec",
		},
		"RFC 7616 section 3.9.1, SHA-256": {
			`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			Credential{"http-auth@example.org", "Mufasa", "Circle of Life"},
			"/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chal, ok := readChallenge(tc.challenge)
			require.True(t, ok)
			header, err := sign(chal, tc.credential, "GET", tc.uri, tc.cnonce)
			require.NoError(t, err)
			signed, err := digest.ParseCredentials(header)
			require.NoError(t, err)
			assert.Equal(t, tc.want, signed.Response)
			assert.Equal(t, "auth", signed.QOP)
			assert.Equal(t, 1, signed.Nc)
			assert.Equal(t, chal.Opaque, signed.Opaque)
		})
	}
}

const (
	referURI   = "sip:caller@198.51.100.7:5066;transport=udp;ob"
	challenge  = `Digest realm="pbx", nonce="n1", qop="auth"`
	challenge2 = `Digest realm="pbx", nonce="n2", qop="auth", stale=true`
)

var known = []Credential{{"other", "o", "op"}, {"pbx", "node", "secret"}}

func challengedWith(code int, lines ...string) *sip.Response {
	res := sip.NewResponse(code, "Unauthorized")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		res.AppendHeader(sip.NewHeader(name, value))
	}
	return res
}

// verify computes the response anew (RFC 7616 section 3.4) and returns what was sent.
func verify(t *testing.T, hdr sip.Header, hash func(string) string, secret string) *digest.Credentials {
	t.Helper()
	c, err := digest.ParseCredentials(hdr.Value())
	require.NoError(t, err)
	ha1, ha2 := hash(c.Username+":"+c.Realm+":"+secret), hash("REFER:"+c.URI)
	want := hash(ha1 + ":" + c.Nonce + ":" + ha2)
	if c.QOP != "" {
		want = hash(ha1 + ":" + c.Nonce + ":00000001:" + c.Cnonce + ":" + c.QOP + ":" + ha2)
	}
	require.Equal(t, want, c.Response)
	return c
}

func md5Hex(s string) string { h := md5.Sum([]byte(s)); return hex.EncodeToString(h[:]) }

func sha256Hex(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }

func TestAuthorizeSignsTheWholeRequestURI(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code           int
		field, answer  string
		algorithm, qop string
		hash           func(string) string
	}{
		"401, MD5":          {401, "WWW-Authenticate", "Authorization", "MD5", "auth", md5Hex},
		"401, no algorithm": {401, "WWW-Authenticate", "Authorization", "", "auth", md5Hex},
		"401, SHA-256":      {401, "WWW-Authenticate", "Authorization", "SHA-256", "auth", sha256Hex},
		"407":               {407, "Proxy-Authenticate", "Proxy-Authorization", "MD5", "auth", md5Hex},
		"407, letter case":  {407, "proxy-authenticate", "Proxy-Authorization", "md5", "auth", md5Hex},
		"without qop":       {401, "WWW-Authenticate", "Authorization", "MD5", "", md5Hex},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value := `Digest realm="pbx", nonce="a/b+c=="`
			if tc.algorithm != "" {
				value += ", algorithm=" + tc.algorithm
			}
			if tc.qop != "" {
				value += `, qop="` + tc.qop + `"`
			}
			hdr, ok := authorize(known, challengedWith(tc.code, tc.field+": "+value), "REFER", uriOf(t, referURI), 0)
			require.True(t, ok)
			assert.Equal(t, tc.answer, hdr.Name())
			c := verify(t, hdr, tc.hash, "secret")
			assert.Equal(t, referURI, c.URI)
			assert.Equal(t, "node", c.Username)
			assert.Equal(t, "a/b+c==", c.Nonce)
			assert.Equal(t, tc.qop, c.QOP)
		})
	}
}

func TestAuthorizeUsesANewCnonceEachTime(t *testing.T) {
	t.Parallel()
	res := challengedWith(401, "WWW-Authenticate: "+challenge)
	first, ok := authorize(known, res, "REFER", uriOf(t, referURI), 0)
	require.True(t, ok)
	second, ok := authorize(known, res, "REFER", uriOf(t, referURI), 0)
	require.True(t, ok)
	assert.NotEqual(t, first.Value(), second.Value())
}

func TestAuthorizeChoosesAmongChallenges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines []string
		nonce string
	}{
		"the first it can":      {[]string{`Digest realm="pbx", nonce="a", algorithm=SHA-256`, `Digest realm="pbx", nonce="b"`}, "a"},
		"past an unknown realm": {[]string{`Digest realm="elsewhere", nonce="a"`, `Digest realm="pbx", nonce="b"`}, "b"},
		"past an unknown algorithm": {
			[]string{`Digest realm="pbx", nonce="a", algorithm=MD5-sess, qop="auth"`, `Digest realm="pbx", nonce="b"`}, "b",
		},
		"past an unknown quality": {[]string{`Digest realm="pbx", nonce="a", qop="auth-x"`, `Digest realm="pbx", nonce="b"`}, "b"},
		"past another scheme":     {[]string{`Bearer realm="pbx"`, `Digest realm="pbx", nonce="b"`}, "b"},
		"past one that is broken": {[]string{`Digest realm=`, `Digest realm="pbx", nonce="b"`}, "b"},
		"blanks in the qualities": {[]string{`Digest realm="pbx", nonce="b", qop="auth-int , auth"`}, "b"},
		"an empty list of them":   {[]string{`Digest realm="pbx", nonce="b", qop=""`}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for _, l := range tc.lines {
				lines = append(lines, "WWW-Authenticate: "+l)
			}
			hdr, ok := authorize(known, challengedWith(401, lines...), "REFER", uriOf(t, referURI), 0)
			require.True(t, ok)
			c, err := digest.ParseCredentials(hdr.Value())
			require.NoError(t, err)
			assert.Equal(t, tc.nonce, c.Nonce)
			assert.NotEqual(t, "auth-int", c.QOP)
		})
	}
}

func TestAuthorizeGivesUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		creds []Credential
		res   *sip.Response
		prior int
	}{
		"not challenged":             {known, challengedWith(403, "WWW-Authenticate: "+challenge), 0},
		"no challenge in it":         {known, challengedWith(401), 0},
		"the other kind's challenge": {known, challengedWith(401, "Proxy-Authenticate: "+challenge), 0},
		"no credentials":             {nil, challengedWith(401, "WWW-Authenticate: "+challenge), 0},
		"realm mismatch":             {known[:1], challengedWith(401, "WWW-Authenticate: "+challenge), 0},
		"realm in another case":      {[]Credential{{"PBX", "node", "secret"}}, challengedWith(401, "WWW-Authenticate: "+challenge), 0},
		"refused":                    {known, challengedWith(401, "WWW-Authenticate: "+challenge), 1},
		"stale a second time":        {known, challengedWith(401, "WWW-Authenticate: "+challenge2), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ok := authorize(tc.creds, tc.res, "REFER", uriOf(t, referURI), tc.prior)
			assert.False(t, ok)
		})
	}
}

func TestAuthorizeAnswersAStaleNonceOnceMore(t *testing.T) {
	t.Parallel()
	// Another realm's challenge beside it isn't stale, and so not for us.
	res := challengedWith(407, `Proxy-Authenticate: Digest realm="other", nonce="x"`, "Proxy-Authenticate: "+challenge2)
	hdr, ok := authorize(known, res, "REFER", uriOf(t, referURI), 1)
	require.True(t, ok)
	c := verify(t, hdr, md5Hex, "secret")
	assert.Equal(t, "n2", c.Nonce)
	assert.Equal(t, 1, c.Nc, "the count is the nonce's")
}

// FuzzChallenge holds that a challenge is answered in one line that says what was asked for, or not at all.
func FuzzChallenge(f *testing.F) {
	for _, value := range []string{
		challenge, challenge2, `Digest realm="pbx",nonce=n,algorithm=SHA-256,qop="auth,auth-int",opaque="o"`, `digest REALM="pbx", nonce="a\"b", qop=`,
		`Digest realm="pbx"`, `Basic realm="pbx"`, `Digest realm="\`, `Digest`,
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n\x00") {
			return // the parser ends the field there, or does not take it
		}
		var to sip.Uri
		require.NoError(t, sip.ParseUri(referURI, &to))
		hdr, ok := authorize([]Credential{{"pbx", "alice", "s3cr3t"}}, challengedWith(401, "WWW-Authenticate: "+value), "REFER", to, 0)
		if !ok {
			return
		}
		require.NotContains(t, hdr.Value(), "\n")
		c, err := digest.ParseCredentials(hdr.Value())
		require.NoError(t, err, hdr.Value())
		require.Equal(t, "pbx", c.Realm)
		require.Equal(t, referURI, c.URI)
		require.NotContains(t, hdr.Value(), "s3cr3t")
	})
}
