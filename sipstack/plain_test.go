package sipstack

import (
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUsualValuesArePlain(t *testing.T) {
	for value, plain := range map[string]bool{
		"<sip:a@b>":           true,
		"<sip:a@b>;tag=1-2_3": true,
		`"Bob Smith" <sips:+1555@b.example:5061;transport=tls;lr>;tag=x`: true,
		"Bob <sip:10.0.0.1>":   true,
		"sip:a@b":              false,
		"<sip:a@b> ;tag=1":     false,
		"<sip:a@b>;TAG=1":      false,
		"<sip:a@b>;tag=":       false,
		"<sip:a@b>;":           false,
		"<sip:a@b>, <sip:c@d>": false,
		"<sip:a@b:0>":          false,
		"<sip:a@b:65536>":      false,
		"<sip:a:b@c>":          false,
		"<sip:a@b?x=y>":        false,
		"<tel:+1555>":          false,
		"<sip:a@[::1]>":        false,
		`"a\"b" <sip:a@b>`:     false,
		`"" <sip:a@b>`:         false,
		"Bob<sip:a@b>":         false,
		"":                     false,
		"*":                    false,
	} {
		assert.Equal(t, plain, isPlainAddress(value), value)
	}
	for value, plain := range map[string]bool{
		"SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK-1;rport": true,
		"SIP/2.0/TLS a.example;branch=z9hG4bK1":             true,
		"SIP/2.0/UDP a:0;branch=z9hG4bK1":                   false,
		"SIP / 2.0/UDP a;branch=z9hG4bK1":                   false,
		"SIP/2.0/SCTP a;branch=z9hG4bK1":                    false,
		"SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b":      false,
		"SIP/2.0/UDP": false,
	} {
		assert.Equal(t, plain, isPlainVia(value), value)
	}
	for line, plain := range map[string]bool{
		"INVITE sip:a@b:5070;transport=udp SIP/2.0": true,
		"SIP/2.0 200 OK":         true,
		"SIP/2.0 200 ":           true,
		"SIP/2.0 200 sip:x":      false,
		"INVITE tel:1 SIP/2.0":   false,
		"INVITE sip:a@b sip/2.0": false,
	} {
		assert.Equal(t, plain, isPlainStart(line), line)
	}
}

// FuzzPlain holds what is plain to be what tidying leaves alone, and what the parser reads.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{
		`"Bob Smith" <sips:+1555@b.example:5061;transport=tls;lr>;tag=x`, "<sip:a@b>;tag=1", "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if isPlainAddress(value) {
			for _, named := range []bool{false, true} {
				tidied, ok := tidyAddress(value, named)
				require.True(t, ok)
				require.Equal(t, value, tidied)
			}
			var uri sip.Uri
			var params sip.HeaderParams
			_, err := sip.ParseAddressValue(value, &uri, &params)
			require.NoError(t, err)
			require.NotEmpty(t, uri.Host)
		}
		if isPlainVia(value) {
			tidied, ok := tidyVia(value)
			require.True(t, ok)
			require.Equal(t, []string{value}, tidied)
		}
		if isPlainURI(value) {
			require.True(t, isURI(value))
			var uri sip.Uri
			require.NoError(t, sip.ParseUri(value, &uri))
			require.NotEmpty(t, uri.Host)
			require.False(t, uri.Wildcard)
		}
	})
}
