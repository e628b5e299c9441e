package sipstack

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const realm = `the "realm"`

var alice = []User{{"alice", "wonder:land"}, {"bob", "builder"}}

func requestTo(t testing.TB, uri string) sip.Uri {
	t.Helper()
	var u sip.Uri
	require.NoError(t, sip.ParseUri(uri, &u))
	return u
}

// signed answers a challenge as a phone does.
func signed(t testing.TB, challenge, username, password, uri string, count int, change func(*digest.Credentials)) string {
	t.Helper()
	chal, err := digest.ParseChallenge(challenge)
	require.NoError(t, err)
	c, err := digest.Digest(chal, digest.Options{Method: "INVITE", URI: uri, Username: username, Password: password, Count: count})
	require.NoError(t, err)
	if change != nil {
		change(c)
	}
	return c.String()
}

func TestChallengesOfferSHA256BeforeMD5WithAuthOnly(t *testing.T) {
	a := newAuthenticator(realm, alice, time.Minute)
	values := a.challenges(false, time.Now())
	require.Len(t, values, 2)
	for i, want := range []string{"SHA-256", "MD5"} {
		chal, err := digest.ParseChallenge(values[i])
		require.NoError(t, err)
		assert.Equal(t, want, chal.Algorithm)
		assert.Equal(t, realm, chal.Realm)
		assert.Equal(t, []string{"auth"}, chal.QOP)
		assert.False(t, chal.Stale)
	}
	stale, err := digest.ParseChallenge(a.challenges(true, time.Now())[1])
	require.NoError(t, err)
	assert.True(t, stale.Stale)
}

func TestCredentials(t *testing.T) {
	const uri = "sip:desk@node.example;transport=udp"
	for name, tc := range map[string]struct {
		username, password, uri string
		change                  func(*digest.Credentials)
		want                    judgement
	}{
		"right":                        {username: "alice", password: "wonder:land"},
		"another user":                 {username: "bob", password: "builder"},
		"wrong password":               {username: "alice", password: "x", want: judgement{code: 403, reason: AuthWrong}},
		"another one's password":       {username: "alice", password: "builder", want: judgement{code: 403, reason: AuthWrong}},
		"unknown user":                 {username: "carol", password: "wonder:land", want: judgement{code: 403, reason: AuthWrong}},
		"no user":                      {username: "", password: "", want: judgement{code: 403, reason: AuthWrong}},
		"without parameters":           {username: "alice", password: "wonder:land", uri: "sip:desk@NODE.example"},
		"with the usual port":          {username: "alice", password: "wonder:land", uri: "sip:desk@node.example:5060"},
		"another number":               {username: "alice", password: "wonder:land", uri: "sip:+1900@node.example", want: judgement{code: 403, reason: AuthURI}},
		"another host":                 {username: "alice", password: "wonder:land", uri: "sip:desk@other.example", want: judgement{code: 403, reason: AuthURI}},
		"another port":                 {username: "alice", password: "wonder:land", uri: "sip:desk@node.example:5070", want: judgement{code: 403, reason: AuthURI}},
		"no URI":                       {username: "alice", password: "wonder:land", uri: "*", want: judgement{code: 403, reason: AuthURI}},
		"a response in capitals":       {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Response = strings.ToUpper(c.Response) }},
		"a response that is cut":       {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Response = c.Response[:8] }, want: judgement{code: 403, reason: AuthWrong}},
		"a nonce of somebody else":     {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Nonce = "x" }, want: judgement{code: 403, reason: AuthWrong}},
		"another realm":                {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Realm = "x" }, want: judgement{code: 401}},
		"an algorithm not offered":     {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Algorithm = "SHA-512-256" }, want: judgement{code: 401, reason: AuthMalformed}},
		"auth-int":                     {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.QOP = "auth-int" }, want: judgement{code: 401, reason: AuthMalformed}},
		"a nonce count of 0":           {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Nc = 0 }, want: judgement{code: 401, reason: AuthMalformed}},
		"a hashed user":                {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Userhash = true }, want: judgement{code: 401, reason: AuthMalformed}},
		"an algorithm that is MD5-ish": {username: "alice", password: "wonder:land", change: func(c *digest.Credentials) { c.Algorithm = "" }, want: judgement{code: 403, reason: AuthWrong}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.uri == "" {
				tc.uri = uri
			}
			a, now := newAuthenticator(realm, alice, time.Minute), time.Now()
			challenge := a.challenges(false, now)[0] // SHA-256
			value := signed(t, challenge, tc.username, tc.password, tc.uri, 1, tc.change)
			assert.Equal(t, tc.want, a.judge([]string{value}, "INVITE", requestTo(t, uri), now))
		})
	}
}

func TestCredentialsOfEachAlgorithmAndOfOldClients(t *testing.T) {
	const uri = "sip:desk@node.example"
	a, now := newAuthenticator(realm, alice, time.Minute), time.Now()
	for i, alg := range algorithms {
		value := signed(t, a.challenges(false, now)[i], "alice", "wonder:land", uri, 1, nil)
		assert.Zero(t, a.judge([]string{"Basic YTpi", value}, "INVITE", requestTo(t, uri), now), alg.name)
		assert.Equal(t, AuthWrong, a.judge([]string{value}, "BYE", requestTo(t, uri), now).reason, "signed for another method")
	}
	// RFC 2069: neither qop nor algorithm.
	old := strings.Replace(strings.Replace(a.challenges(false, now)[1], `, qop="auth"`, "", 1), ", algorithm=MD5", "", 1)
	value := signed(t, old, "alice", "wonder:land", uri, 0, nil)
	assert.NotContains(t, value, "nc=")
	assert.Zero(t, a.judge([]string{value}, "INVITE", requestTo(t, uri), now))
	assert.Equal(t, judgement{code: 401, stale: true, reason: AuthReplay}, a.judge([]string{value}, "INVITE", requestTo(t, uri), now))
}

func TestCredentialsAreReadHoweverTheyAreSpelled(t *testing.T) {
	const uri = "sip:desk@node.example"
	for name, spell := range map[string]func(string) string{
		"names in capitals": strings.NewReplacer("username=", "UserName=", "realm=", "REALM=", "nonce=", "Nonce=", "nc=", "NC=",
			"response=", "Response=", "Digest", "DIGEST").Replace,
		"blanks around =":        strings.NewReplacer("username=", "username =\t", "qop=", "qop= ").Replace,
		"no blank behind commas": func(s string) string { return strings.ReplaceAll(s, ", ", ",") },
		"empty elements":         func(s string) string { return strings.Replace(s, ", ", ", ,", 1) + "," },
		"all quoted":             strings.NewReplacer("qop=auth", `qop="auth"`, "nc=00000001", `nc="00000001"`, "algorithm=SHA-256", `algorithm="sha-256"`).Replace,
		"an extension":           func(s string) string { return s + `, x_hint=a.b_c, x="1,2=\"3"` },
		"a response that is not quoted": func(s string) string {
			return regexp.MustCompile(`response="(\w+)"`).ReplaceAllString(s, "response=$1")
		},
		"a nonce that is not quoted": func(s string) string { return regexp.MustCompile(`nonce="([^"]+)"`).ReplaceAllString(s, "nonce=$1") },
		"another with commas":        func(s string) string { return strings.Replace(s, "Digest ", `Digest x="a=b, c", `, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			a, now := newAuthenticator(realm, alice, time.Minute), time.Now()
			value := signed(t, a.challenges(false, now)[0], "alice", "wonder:land", uri, 1, nil)
			spelled := spell(value)
			require.NotEqual(t, value, spelled)
			assert.Zero(t, a.judge([]string{spelled}, "INVITE", requestTo(t, uri), now), spelled)
		})
	}
}

func TestCredentialsThatCannotBeReadAreChallenged(t *testing.T) {
	a := newAuthenticator(realm, alice, time.Minute)
	for value, reason := range map[string]string{
		"": "", "Basic YWxpY2U6eA==": "", "Digest": "", "Digest x": AuthMalformed, `Digest realm="a"b`: AuthMalformed, `Digest username="alice`: AuthMalformed,
		`Digest realm="the \"realm\""`: AuthMalformed, `Digest realm="other"`: "",
	} {
		assert.Equal(t, judgement{code: 401, reason: reason}, a.judge([]string{value}, "INVITE", requestTo(t, "sip:a@b"), time.Now()), value)
	}
	assert.Equal(t, judgement{code: 401}, a.judge(nil, "INVITE", requestTo(t, "sip:a@b"), time.Now()))
}

func TestNonceCountMustRise(t *testing.T) {
	const uri = "sip:desk@node.example"
	a, now := newAuthenticator(realm, alice, time.Minute), time.Now()
	challenge := a.challenges(false, now)[0]
	for _, step := range []struct {
		count  int
		reason string
	}{{1, ""}, {1, AuthReplay}, {2, ""}, {7, ""}, {3, AuthReplay}, {7, AuthReplay}, {8, ""}} {
		value := signed(t, challenge, "alice", "wonder:land", uri, step.count, nil)
		assert.Equal(t, step.reason, a.judge([]string{value}, "INVITE", requestTo(t, uri), now).reason, step.count)
	}
	wrong := signed(t, challenge, "alice", "x", uri, 9, nil)
	assert.Equal(t, AuthWrong, a.judge([]string{wrong}, "INVITE", requestTo(t, uri), now).reason)
	right := signed(t, challenge, "alice", "wonder:land", uri, 9, nil)
	assert.Zero(t, a.judge([]string{right}, "INVITE", requestTo(t, uri), now), "a wrong one uses nothing up")
}

func TestAnOldNonceIsStaleForWhoKnowsThePasswordOnly(t *testing.T) {
	const uri = "sip:desk@node.example"
	a, now := newAuthenticator(realm, alice, time.Minute), time.Now()
	challenge := a.challenges(false, now)[0]
	right, wrong := signed(t, challenge, "alice", "wonder:land", uri, 1, nil), signed(t, challenge, "alice", "x", uri, 1, nil)
	later := now.Add(time.Minute + time.Millisecond)
	assert.Equal(t, judgement{code: 401, stale: true, reason: AuthStale}, a.judge([]string{right}, "INVITE", requestTo(t, uri), later))
	assert.Equal(t, judgement{code: 403, reason: AuthWrong}, a.judge([]string{wrong}, "INVITE", requestTo(t, uri), later))
	assert.Zero(t, a.judge([]string{right}, "INVITE", requestTo(t, uri), now.Add(time.Minute)))

	restarted := newAuthenticator(realm, alice, time.Minute)
	assert.Equal(t, judgement{code: 401, stale: true, reason: AuthStale}, restarted.judge([]string{right}, "INVITE", requestTo(t, uri), now))
}

func TestNoncesAreRememberedWithinBounds(t *testing.T) {
	n, now := newNonces(time.Hour), time.Now()
	first := n.make(now)
	require.Empty(t, n.use(first, 1, now))
	for i := range maxNonces {
		now = now.Add(time.Millisecond)
		require.Empty(t, n.use(n.make(now), 1, now), i)
	}
	assert.Len(t, n.used, maxNonces)
	assert.Len(t, n.order, maxNonces)
	assert.Equal(t, AuthStale, n.use(first, 1, now), "what is forgotten cannot be used again")
	now = now.Add(2 * time.Hour)
	require.Empty(t, n.use(n.make(now), 1, now))
	assert.Len(t, n.used, 1, "old ones are forgotten")
}

// FuzzAuthorization reads what strangers send. Whatever it is, nobody comes in without the password.
func FuzzAuthorization(f *testing.F) {
	const uri = "sip:desk@node.example"
	a, now := newAuthenticator("r", []User{{"alice", "secret"}}, time.Minute), time.Now()
	f.Add(`Digest username="alice", realm="r", nonce="`+a.nonces.make(now)+`", uri="sip:desk@node.example", algorithm=MD5, qop=auth, nc=00000001, cnonce="x", response="00"`, uri)
	f.Add(`Digest realm="r",nonce=x,response=`, "sip:")
	f.Add(`digest a=b,`, `sip:"@[::1`)
	f.Fuzz(func(t *testing.T, value, signed string) {
		got := a.judge([]string{value}, "INVITE", sip.Uri{Scheme: "sip", User: "desk", Host: "node.example"}, now)
		if got.code != 401 && got.code != 403 {
			t.Fatalf("%d %s", got.code, value)
		}
		sameResource(signed, sip.Uri{Scheme: "sip", Host: "node.example"})
	})
}

func withUsers() Config {
	return Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}}, Users: alice, Realm: realm, NonceLifetime: time.Minute}
}

func TestINVITEsOfStrangersAreChallenged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		door := &testDoor{}
		n := startNode(t, newHub(), withUsers(), WithDoor(door)).answering()
		p := n.udpPhone()
		defer func() {
			n.stop()
			p.close()
			time.Sleep(time.Minute + 10*time.Second)
		}()
		c := p.newCall()
		c.sendInvite("", offerLine)
		res := p.next()
		require.Equal(t, "SIP/2.0 401 Unauthorized", startOf(res), "and no 100: there is no transaction")
		challenges := fields(res, "WWW-Authenticate")
		require.Len(t, challenges, 2)
		assert.Contains(t, challenges[0], "algorithm=SHA-256")
		assert.Contains(t, challenges[1], "algorithm=MD5")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))

		c.cseq++
		c.sendInvite("Authorization: "+signed(t, challenges[0], "alice", "x", c.uri, 1, nil)+"\r\n", offerLine)
		c.expect("SIP/2.0 403")
		c.cseq++
		c.sendInvite("Authorization: "+signed(t, challenges[1], "alice", "wonder:land", c.uri, 1, nil)+"\r\n", offerLine)
		c.established(c.expect("SIP/2.0 200"))
		c.ack("")
		l := n.leg()
		assert.NoError(t, l.Err())
		c.inDialog("INVITE", "", offerLine) // nothing in the dialog is challenged
		c.expect("SIP/2.0 200")
		c.ack("")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		assert.Equal(t, []string{"authentication wrong"}, door.refusals())

		repeated := p.newCall()
		repeated.sendInvite("Authorization: "+signed(t, challenges[1], "alice", "wonder:land", c.uri, 1, nil)+"\r\n", offerLine)
		res = repeated.expect("SIP/2.0 401")
		assert.Contains(t, field(res, "WWW-Authenticate"), "stale=true")
		assert.Equal(t, []string{"authentication wrong", "authentication replay"}, door.refusals())
	})
}

func TestINVITEsOverTCPAreChallenged(t *testing.T) {
	cfg := withUsers()
	cfg.Listeners = []Listener{{"tcp", "127.0.0.1:0"}}
	n := startNode(t, nil, cfg).answering()
	defer n.stop()
	p := n.tcpPhone(0)
	defer p.close()
	c := p.newCall()
	c.sendInvite("", offerLine)
	challenge := field(c.expect("SIP/2.0 401"), "WWW-Authenticate")
	c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
	c.cseq++
	c.sendInvite("Authorization: "+signed(t, challenge, "alice", "wonder:land", c.uri, 1, nil)+"\r\n", offerLine)
	c.established(c.expect("SIP/2.0 200"))
	c.ack("")
	c.inDialog("BYE", "", "")
	c.expect("SIP/2.0 200")
}

func TestTheRealmIsTheAdvertisedHostByDefault(t *testing.T) {
	for advertise, want := range map[string]string{"": "callengine", "sip.example.com:5070": "sip.example.com"} {
		cfg := Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}}, Advertise: advertise}
		require.NoError(t, cfg.check())
		assert.Equal(t, want, cfg.Realm, fmt.Sprint(advertise))
		assert.Equal(t, 5*time.Minute, cfg.NonceLifetime)
	}
}
