package scenario

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The values of the examples in RFC 2617 section 3.5 and RFC 7616 section 3.9.1, whose method and URI a SIP request can have.
func TestVerifyDigest(t *testing.T) {
	t.Parallel()
	const (
		rfc2617 = `Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", ` +
			`uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1"`
		rfc7616 = `Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, ` +
			`nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", ` +
			`qop=auth, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"`
		// Computed with md5sum from "Mufasa:r:Circle Of Life", "n" and "GET:/dir/index.html".
		withoutQOP = `Digest username="Mufasa",realm="r",nonce="n",uri="/dir/index.html",response="e2f9f8bed08c50a66181679ee5b58085"`
	)
	for name, tc := range map[string]struct {
		value, nonce, user, password string
		wrong                        string // part of the error
	}{
		"MD5":            {rfc2617, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "Mufasa", "Circle Of Life", ""},
		"SHA-256":        {rfc7616, "", "Mufasa", "Circle of Life", ""},
		"wrong password": {rfc2617, "", "Mufasa", "hakuna", "response is wrong"},
		"wrong user":     {rfc2617, "", "Simba", "Circle Of Life", "user"},
		"wrong nonce":    {rfc2617, "other", "Mufasa", "Circle Of Life", "nonce"},
		"without qop":    {withoutQOP, "n", "Mufasa", "Circle Of Life", ""},
		"no header":      {"", "", "Mufasa", "Circle Of Life", "no Authorization"},
		"algorithm":      {`Digest username="u", uri="/dir/index.html", algorithm=rot13`, "", "u", "", "algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := &Message{Start: "GET /dir/index.html SIP/2.0", Headers: []Header{{"Authorization", tc.value}}}
			err := VerifyDigest(req, "Authorization", tc.nonce, tc.user, tc.password)
			if tc.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.wrong)
		})
	}
	req := &Message{Start: "GET /dir SIP/2.0", Headers: []Header{{"Authorization", rfc2617}}}
	require.ErrorContains(t, VerifyDigest(req, "Authorization", "", "Mufasa", "Circle Of Life"), "Request-URI")
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	p := digestParams(Challenge{Realm: "here, there", Nonce: "n=1", Algorithm: "SHA-256", QOP: "auth", Stale: true}.value()[len("Digest "):])
	assert.Equal(t, map[string]string{
		"realm": "here, there", "nonce": "n=1", "algorithm": "SHA-256", "qop": "auth", "stale": "true",
	}, p)
	assert.NotEqual(t, Challenge{}.value(), Challenge{}.value(), "a new nonce each time")
}
