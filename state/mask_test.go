package state

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecretsInTextsAreMasked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"no secret":                      {"sip:alice@host:5060;transport=udp?Subject=x", "sip:alice@host:5060;transport=udp?Subject=x"},
		"user and password of a URL":     {"https://u:geheim@host/p?a=b", "https://***@host/p?a=b"},
		"a token in the user's place":    {"https://geheim@host/p", "https://***@host/p"},
		"an unescaped at sign within":    {"https://u:ge@heim@host/p", "https://***@host/p"},
		"a query string stays":           {"https://host/p?mail=a@b", "https://host/p?mail=a@b"},
		"an at sign in the path stays":   {"https://host/@alice", "https://host/@alice"},
		"a SIP password":                 {"sip:alice:geheim@host", "sip:alice:***@host"},
		"a SIPS password":                {"SIPS:alice:geheim@host:5061", "SIPS:alice:***@host:5061"},
		"a SIP user with parameters":     {"sip:+1555;isub=1:geheim@host", "sip:+1555;isub=1:***@host"},
		"a port is no password":          {"sip:host:5060", "sip:host:5060"},
		"two of them":                    {"<sip:a:geheim@h>, <sip:b:geheim@h>", "<sip:a:***@h>, <sip:b:***@h>"},
		"within a sentence":              {`POST "http://u:geheim@h/": refused`, `POST "http://***@h/": refused`},
		"Authorization as a URI header":  {"sip:a@b?Authorization=Digest%20geheim&Subject=x", "sip:a@b?Authorization=***&Subject=x"},
		"Proxy-Authorization after that": {"sip:a@b?Subject=x&proxy-authorization=geheim", "sip:a@b?Subject=x&proxy-authorization=***"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, maskText(tc.text))
		})
	}
}

func TestCredentialsInSIPMessagesAreMasked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ raw, want string }{
		"Authorization": {
			"REFER sip:a@b SIP/2.0\r\nAuthorization: Digest username=\"u\", response=\"geheim\"\r\nCSeq: 1 REFER\r\n\r\n",
			"REFER sip:a@b SIP/2.0\r\nAuthorization: ***\r\nCSeq: 1 REFER\r\n\r\n",
		},
		"Proxy-Authorization in mixed case, with space before the colon": {
			"X sip:a@b SIP/2.0\r\npRoXy-aUTHorization \t: Digest geheim\r\n\r\n",
			"X sip:a@b SIP/2.0\r\npRoXy-aUTHorization \t: ***\r\n\r\n",
		},
		"folded": {
			"X sip:a@b SIP/2.0\r\nAuthorization:\r\n Digest geheim,\r\n\tresponse=geheim\r\nCSeq: 1 X\r\n\r\n",
			"X sip:a@b SIP/2.0\r\nAuthorization: ***\r\nCSeq: 1 X\r\n\r\n",
		},
		"several": {
			"X sip:a@b SIP/2.0\r\nAuthorization: geheim\r\nAuthorization: geheim\r\nProxy-Authorization: geheim\r\n\r\n",
			"X sip:a@b SIP/2.0\r\nAuthorization: ***\r\nAuthorization: ***\r\nProxy-Authorization: ***\r\n\r\n",
		},
		"lines that end with a newline alone": {
			"X sip:a@b SIP/2.0\nAuthorization: geheim\n geheim\nCSeq: 1 X\n\n",
			"X sip:a@b SIP/2.0\nAuthorization: ***\nCSeq: 1 X\n\n",
		},
		"in the message within a body": {
			"NOTIFY sip:a@b SIP/2.0\r\n\r\nSIP/2.0 200 OK\r\nAuthorization: geheim\r\n",
			"NOTIFY sip:a@b SIP/2.0\r\n\r\nSIP/2.0 200 OK\r\nAuthorization: ***\r\n",
		},
		"a challenge is no secret": {
			"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n",
			"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest nonce=\"n\"\r\n\r\n",
		},
		"keys of SRTP": {
			"INVITE sip:a@b SIP/2.0\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:Z2Vo/ZWlt+==|2^20|1:4;inline:Z2Vo WSH=64\r\na=sendrecv\r\n",
			"INVITE sip:a@b SIP/2.0\r\n\r\nv=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:4;inline:*** WSH=64\r\na=sendrecv\r\n",
		},
		"passwords of URIs": {
			"REFER sip:a:geheim@b SIP/2.0\r\nr: <sip:x:geheim@y>\r\nf: <sip:a:geheim@b>;tag=1\r\nCall-Info: <https://u:geheim@h/i>\r\n\r\n",
			"REFER sip:a:***@b SIP/2.0\r\nr: <sip:x:***@y>\r\nf: <sip:a:***@b>;tag=1\r\nCall-Info: <https://***@h/i>\r\n\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Entry{Type: TypeSIP, SIP: &SIP{Raw: tc.raw, Summary: "Refer-To: <sip:x:geheim@y>"}}
			masked := e.Masked(nil)
			assert.Equal(t, tc.want, masked.SIP.Raw)
			assert.Equal(t, "Refer-To: <sip:x:***@y>", masked.SIP.Summary)
			assert.Equal(t, tc.raw, e.SIP.Raw, "the entry itself is left as it is")
		})
	}
}

// secretive are entries with the secret "geheim" in every text that leaves the process.
func secretive() map[string]Entry {
	const webURL, sipURI = "https://u:geheim@h/p", "sip:u:geheim@h"
	return map[string]Entry{
		"sip": {SIP: &SIP{Reason: webURL, Summary: sipURI, Raw: "Authorization: geheim\r\nTo: " + sipURI + "\r\n\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:geheim\r\n"}},
		"webhook": {Webhook: &Webhook{
			URL: webURL, Error: "GET " + webURL + ": refused", Body: json.RawMessage(`{"to":"` + sipURI + `"}`),
			Owed: json.RawMessage(`{"id":"1","target":{"url":"` + webURL + `","auth":{"username":"u","password":"geheim"},"fallback":{"url":"` + webURL + `","Auth":{"password":"geheim"}}},"body":{"to":"` + sipURI + `"}}`),
		}},
		"not JSON": {Webhook: &Webhook{Owed: json.RawMessage(`{"password":"geheim"`)}},
		"document": {Document: &Document{URL: webURL, Body: `<X password="geheim"/>`, Error: webURL, Warnings: []string{sipURI}}},
		"verb":     {Verb: &Verb{Error: webURL, Refer: &Refer{Target: sipURI}}},
		"call":     {Call: &Call{From: sipURI, To: sipURI, ErrorMessage: webURL}},
		"media":    {Media: &Media{Detail: webURL}},
	}
}

func TestNoSecretLeavesTheProcess(t *testing.T) {
	t.Parallel()
	hide := func(document string) string { return strings.ReplaceAll(document, "geheim", "***") }
	for name, e := range secretive() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, err := json.Marshal(e.SIP)
			require.NoError(t, err)
			for _, mask := range []func(string) string{hide, nil} {
				text, err := json.Marshal(e.Masked(mask))
				require.NoError(t, err)
				assert.NotContains(t, string(text), "geheim")
			}
			unchanged, err := json.Marshal(e.SIP)
			require.NoError(t, err)
			assert.Equal(t, before, unchanged)
		})
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	t.Parallel()
	e := Entry{Webhook: &Webhook{
		Body: json.RawMessage(`{"eventType":"disconnect","n":12345678901234567890}`),
		Owed: json.RawMessage(`{"id":"1","target":{"url":"https://h/p?a=b","timeout":15000000000,"auth":{"username":"u"}}}`),
	}}.Masked(nil)
	assert.JSONEq(t, `{"eventType":"disconnect","n":12345678901234567890}`, string(e.Webhook.Body))
	assert.JSONEq(t, `{"id":"1","target":{"url":"https://h/p?a=b","timeout":15000000000}}`, string(e.Webhook.Owed))
	d := Entry{Document: &Document{Body: "<Response/>", Verbs: []string{"Refer"}}}
	assert.Equal(t, "<Response/>", d.Masked(func(s string) string { return s }).Document.Body)
	assert.Empty(t, d.Masked(nil).Document.Body, "nobody says how to mask it")
	for _, failing := range failingAndRecovering() {
		if failing.Webhook == nil {
			assert.Equal(t, failing, failing.Masked(func(s string) string { return s }))
		}
	}
}

// FuzzMaskedJSON holds that masking keeps JSON JSON: the bodies of events are embedded as they are.
func FuzzMaskedJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":"sip:u:p@h"}`, `{"a":"http:\/\/u:p@h"}`, `{"a":"\"//x@y"}`, `{"a":"?authorization=\u0026\"x"}`, `"sip:\\u0041:x@y"`, `"\u0026authorization=a\\b"`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if json.Valid([]byte(s)) {
			require.True(t, json.Valid(maskJSON(json.RawMessage(s))), "%s became %s", s, maskJSON(json.RawMessage(s)))
		}
	})
}
