package sipstack

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const plainOPTIONS = "OPTIONS sip:node.example SIP/2.0\r\nv: SIP/2.0/UDP proxy.example:5070;branch=z9hG4bK1, SIP/2.0/UDP a.example;branch=z9hG4bK0\r\n" +
	"Via: SIP/2.0/UDP b.example;branch=z9hG4bK9\r\nf: \"A\" <sip:a@b>;tag=1\r\nt: <sip:node.example>\r\ni: c1\r\nCSeq: 7 OPTIONS\r\nl: 0\r\n\r\n"

func TestStatelessResponses(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.1:40000")
	secret := []byte("secret")
	res, to, ok := unavailable(3).write([]byte(plainOPTIONS), "udp", from, secret)
	require.True(t, ok)
	assert.Equal(t, netip.MustParseAddrPort("192.0.2.1:5070"), to, "no rport: where the Via says (RFC 3261 section 18.2.2)")
	parsed, err := sip.ParseMessage(res)
	require.NoError(t, err)
	m := parsed.(*sip.Response)
	assert.Equal(t, 503, m.StatusCode)
	assert.Equal(t, "c1", m.CallID().Value())
	assert.Equal(t, "7 OPTIONS", m.CSeq().Value())
	assert.Contains(t, string(res), "Via: SIP/2.0/UDP proxy.example:5070;branch=z9hG4bK1;received=192.0.2.1, SIP/2.0/UDP a.example;branch=z9hG4bK0\r\nVia: SIP/2.0/UDP b.example;branch=z9hG4bK9\r\n")
	assert.True(t, isStateless(tagOf(m.To().Params)))
	again, _, _ := unavailable(3).write([]byte(plainOPTIONS), "udp", from, secret)
	assert.Equal(t, res, again)

	symmetric := strings.Replace(plainOPTIONS, ";branch=z9hG4bK1", ";rport;branch=z9hG4bK1;received=1.2.3.4", 1)
	res, to, ok = unavailable(3).write([]byte(symmetric), "udp", from, secret)
	require.True(t, ok)
	assert.Equal(t, from, to)
	assert.Contains(t, string(res), "Via: SIP/2.0/UDP proxy.example:5070;rport=40000;branch=z9hG4bK1;received=192.0.2.1, ")
}

func TestWhatIsNotPlainIsLeftToTheParser(t *testing.T) {
	for name, replace := range map[string][2]string{
		"folded line":          {"f: \"A\"", "f:\r\n \"A\""},
		"From twice":           {"t: ", "From: <sip:x@y>\r\nt: "},
		"no To":                {"t: <sip:node.example>\r\n", ""},
		"no Via":               {"v: ", "x: "},
		"another method":       {"7 OPTIONS", "7 INVITE"},
		"no number":            {"7 OPTIONS", "x OPTIONS"},
		"another version":      {"example SIP/2.0", "example SIP/3.0"},
		"another scheme":       {"sip:node.example SIP", "http://node.example SIP"},
		"an unfinished head":   {"l: 0\r\n\r\n", "l: 0\r\n"},
		"a line without colon": {"l: 0", "l 0"},
		"a bare line feed":     {"l: 0", "l: 0\nx: y"},
		"Proxy-Require":        {"l: 0", "Proxy-Require: x"},
		"over TCP, it says":    {"SIP/2.0/UDP proxy", "SIP/2.0/TCP proxy"},
		"multicast":            {";branch=z9hG4bK1,", ";maddr=224.0.0.1;branch=z9hG4bK1,"},
		"quotes in the Via":    {";branch=z9hG4bK1,", `;branch=z9hG4bK1;x=";",`},
		"no branch":            {";branch=z9hG4bK1,", ","},
		"a bad port":           {":5070", ":99999"},
		"half an address":      {"<sip:node.example>", "<sip:node.example"},
	} {
		t.Run(name, func(t *testing.T) {
			raw := strings.Replace(plainOPTIONS, replace[0], replace[1], 1)
			if name == "no Via" {
				raw = strings.Replace(raw, "Via: ", "x: ", 1)
			}
			require.NotEqual(t, plainOPTIONS, raw)
			_, _, ok := unavailable(3).write([]byte(raw), "udp", netip.MustParseAddrPort("192.0.2.1:40000"), nil)
			assert.False(t, ok)
		})
	}
}

// FuzzStatelessResponse: whatever is answered is a response that the parser reads, to the address that it came from.
func FuzzStatelessResponse(f *testing.F) {
	f.Add([]byte(plainOPTIONS))
	f.Add([]byte(strings.Replace(plainOPTIONS, ";branch=z9hG4bK1", ";rport;branch=z9hG4bK1", 1)))
	from := netip.MustParseAddrPort("192.0.2.1:40000")
	f.Fuzz(func(t *testing.T, raw []byte) {
		res, to, ok := unavailable(3).write(raw, "udp", from, []byte("x"))
		if !ok {
			return
		}
		if to.Addr() != from.Addr() {
			t.Fatalf("sent to %v", to)
		}
		if strings.Count(string(res), "\r\n\r\n") != 1 || !strings.HasSuffix(string(res), "\r\n\r\n") {
			t.Fatalf("%q", res)
		}
	})
}
