package sipstack

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func testGate() *gate { return newGate([]byte("secret"), newTap(&recorder{}), zap.NewNop()) }

// ask writes an OPTIONS whose lines are replaced or added by these, by the name before the colon.
func ask(lines ...string) string {
	head := []string{
		"OPTIONS sip:x SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK1", "From: <sip:a@b>;tag=1", "To: <sip:x>", "Call-ID: 1",
		"CSeq: 1 OPTIONS", "Max-Forwards: 70", "Content-Length: 0",
	}
	for _, l := range lines {
		name, _, _ := strings.Cut(l, ":")
		known := false
		for i, h := range head[1:] {
			if n, _, _ := strings.Cut(h, ":"); n == name && !known {
				head[i+1], known = l, true
			}
		}
		if !known {
			head = append(head, l)
		}
	}
	return strings.Join(head, "\r\n") + "\r\n\r\n"
}

func TestGateRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ raw, want string }{
		"another version":             {strings.Replace(ask(), "SIP/2.0\r", "SIP/3.0\r", 1), "505 Version Not Supported"},
		"no version of SIP":           {strings.Replace(ask(), "SIP/2.0\r", "SIP/2.0 x\r", 1), ""},
		"an unknown scheme":           {strings.Replace(ask(), "sip:x", "http://x/", 1), "416 Unsupported URI Scheme"},
		"a URI without a scheme":      {strings.Replace(ask(), "sip:x", "x", 1), "400 Malformed Request-URI"},
		"a wildcard":                  {strings.Replace(ask(), "sip:x", "*", 1), "400 Malformed Request-URI"},
		"a port out of range":         {strings.Replace(ask(), "sip:x", "sip:x:65536", 1), "400 Malformed Request-URI"},
		"a negative port":             {strings.Replace(ask(), "sip:x", "sip:x:-1", 1), "400 Malformed Request-URI"},
		"lines that end in LF":        {strings.ReplaceAll(ask(), "\r\n", "\n"), "400 Lines Must End In CRLF"},
		"a line within a line":        {ask("Subject: a\nb"), "400 Lines Must End In CRLF"},
		"no end of the head":          {strings.TrimSuffix(ask(), "\r\n"), "400 Missing End Of Header"},
		"a zero octet":                {ask("Subject: a\x00b"), "400 Control Character In Header Field"},
		"no colon":                    {ask("Subject"), "400 Malformed Header Field"},
		"a blank in a name":           {ask("Sub ject: x"), "400 Malformed Header Field"},
		"a CSeq of 2**31":             {ask("CSeq: 2147483648 OPTIONS"), "400 Malformed CSeq"},
		"a negative CSeq":             {ask("CSeq: -1 OPTIONS"), "400 Malformed CSeq"},
		"a CSeq without a method":     {ask("CSeq: 1"), "400 Malformed CSeq"},
		"another method in CSeq":      {ask("CSeq: 1 BYE"), "400 CSeq Does Not Match Method"},
		"Max-Forwards of 256":         {ask("Max-Forwards: 256"), "400 Malformed Max-Forwards"},
		"a negative Max-Forwards":     {ask("Max-Forwards: -1"), "400 Malformed Max-Forwards"},
		"a length above the rest":     {ask("Content-Length: 1"), "400 Content-Length Exceeds Message"},
		"a huge length":               {ask("Content-Length: 99999999999999999999"), "400 Malformed Content-Length"},
		"two lengths":                 {ask("l: 0"), "400 Repeated Header Field"},
		"two Froms":                   {ask("f: <sip:a@b>;tag=1"), "400 Repeated Header Field"},
		"no From":                     {strings.Replace(ask(), "From:", "X:", 1), "400 Missing Mandatory Header Field"},
		"no Call-ID":                  {strings.Replace(ask(), "Call-ID:", "X:", 1), "400 Missing Mandatory Header Field"},
		"no CSeq":                     {strings.Replace(ask(), "CSeq:", "X:", 1), "400 Missing Mandatory Header Field"},
		"no Via":                      {strings.Replace(ask(), "Via:", "X:", 1), ""},
		"a Via that is none":          {ask("Via: x"), ""},
		"a Via with a port of 0":      {ask("Via: SIP/2.0/UDP x:0;branch=z9hG4bK1"), ""},
		"an open quote":               {ask(`From: "a <sip:a@b>;tag=1`), "400 Malformed Header Field"},
		"an open bracket":             {ask(`To: <sip:a@b`), "400 Malformed Header Field"},
		"two addresses in To":         {ask(`To: <sip:a@b>, <sip:c@d>`), "400 Malformed Header Field"},
		"an empty To":                 {ask("To:"), "400 Malformed Header Field"},
		"a Contact with headers":      {ask("Contact: sip:a@b?x=y"), "400 Malformed Header Field"},
		"an empty Call-ID":            {ask("Call-ID: "), "400 Malformed Call-ID"},
		"an ACK is never answered":    {strings.ReplaceAll(ask("CSeq: -1 OPTIONS"), "OPTIONS", "ACK"), ""},
		"noise":                       {"\x16\x03\x01\x02", ""},
		"nothing":                     {"", "passes"},
		"a keep-alive":                {"\r\n\r\n", "passes"},
		"a response of code 70":       {"SIP/2.0 70 x" + ask()[len("OPTIONS sip:x SIP/2.0"):], ""},
		"a response of code 700":      {"SIP/2.0 700 x" + ask()[len("OPTIONS sip:x SIP/2.0"):], ""},
		"a response":                  {"SIP/2.0 200 OK" + ask()[len("OPTIONS sip:x SIP/2.0"):], "passes"},
		"a response without a phrase": {"SIP/2.0 200" + ask()[len("OPTIONS sip:x SIP/2.0"):], "passes"},
		"what is right":               {ask(), "passes"},
	} {
		t.Run(name, func(t *testing.T) {
			message, answer := testGate().pass([]byte(tc.raw), theirs, false)
			got := ""
			if answer != nil {
				got = strings.TrimPrefix(startOf(string(answer)), "SIP/2.0 ")
			} else if message != nil {
				got = "passes"
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestGateWritesAnew(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"blanks in a Via":      {"Via: SIP / 2.0 / UDP  a : 5 ; BRANCH = z9hG4bK1 ;rport", "Via: SIP/2.0/UDP a:5;branch=z9hG4bK1;rport"},
		"two Vias in a field":  {"Via: SIP/2.0/UDP a, SIP/2.0/UDP b;branch=z", "Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b;branch=z"},
		"a folded tag":         {"From: <sip:a@b> ;\r\n TAG\t=\r\n 1", "From: <sip:a@b>;tag=1"},
		"a last semicolon":     {"Contact: <sip:a@b>;", "Contact: <sip:a@b>"},
		"a quote in a quote":   {`Contact: "a\"b" <sip:a@b>`, "Contact: <sip:a@b>"},
		"a comma in a bracket": {"Contact: <sip:a,b@c>;x=\"y;z\"", "Contact: <sip:a,b@c>;x=\"y;z\""},
		"a tab in CSeq":        {"CSeq: 1\t OPTIONS", "CSeq: 1 OPTIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			message, answer := testGate().pass([]byte(ask(tc.line)), theirs, false)
			require.Nil(t, answer, "%s", answer)
			assert.Contains(t, string(message), "\r\n"+tc.want+"\r\n")
		})
	}
	right := []byte(ask())
	message, _ := testGate().pass(right, theirs, false)
	assert.Same(t, &right[0], &message[0], "what needs no change is not copied")
}

func TestRefusalGoesWhereTheViaSays(t *testing.T) {
	source := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1000}
	for via, want := range map[string]struct{ to, via string }{
		"SIP/2.0/UDP 127.0.0.1;branch=z":                           {"127.0.0.1:5060", "SIP/2.0/UDP 127.0.0.1;branch=z"},
		"SIP/2.0/UDP a.example:5070;branch=z":                      {"127.0.0.1:5070", "SIP/2.0/UDP a.example:5070;branch=z;received=127.0.0.1"},
		"SIP/2.0/UDP [2001:db8::1]:5071;branch=z;received=9.9.9.9": {"127.0.0.1:5071", "SIP/2.0/UDP [2001:db8::1]:5071;branch=z;received=127.0.0.1"},
		"SIP/2.0/UDP 127.0.0.1;rport;branch=z":                     {"127.0.0.1:1000", "SIP/2.0/UDP 127.0.0.1;rport=1000;branch=z;received=127.0.0.1"},
	} {
		_, answer := testGate().pass([]byte(ask("Via: "+via, "CSeq: x")), source, false)
		require.NotNil(t, answer, via)
		assert.Equal(t, want.to, answerTo(answer, source).String())
		assert.Equal(t, want.via, field(string(answer), "Via"))
		_, again := testGate().pass([]byte(ask("Via: "+via, "CSeq: x")), source, false)
		assert.Equal(t, string(answer), string(again), "the same for the same request, its tag too")
	}
}

// corpus is every message of the torture tests.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../testdata/torture/*/*.dat")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]byte{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		all[name] = raw
	}
	return all
}

// FuzzGate holds what goes through the gate to the parser, and what is answered to the grammar.
func FuzzGate(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add(raw, false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, stream bool) {
		g := testGate()
		message, answer := g.pass(raw, theirs, stream)
		require.Empty(t, g.tap.observer.(*recorder).panics)
		if message != nil && !isCRLF(message) {
			require.Nil(t, answer)
			msg, err := sip.ParseMessage(message)
			require.NoError(t, err)
			again, refused := g.pass(message, theirs, stream)
			require.Nil(t, refused, "%q", message)
			require.Equal(t, string(message), string(again), "once is enough")
			if req, ok := msg.(*sip.Request); ok {
				require.Zero(t, unacceptable(req))
			}
		}
		if answer != nil {
			res := readRaw(answer)
			require.False(t, res.broken || !res.ended, "%q", answer)
			require.NotNil(t, answerTo(answer, theirs))
			require.False(t, bytes.Contains(bytes.ReplaceAll(answer, []byte("\r\n"), nil), []byte("\n")))
			for _, field := range res.fields {
				require.NotEmpty(t, field.name, "%q", answer)
			}
		}
	})
}

// FuzzStream holds what is read off a stream: the parser behind the gate takes all of it, however it comes in pieces, and nothing
// is kept of what has been read.
func FuzzStream(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add(append(raw, raw...), uint16(100))
	}
	f.Add([]byte("\r\n\r\n"+ask()+"\r\n"+ask("Content-Length: 4")+"abcd"+ask()), uint16(3))
	f.Fuzz(func(t *testing.T, raw []byte, piece uint16) {
		g := testGate()
		var frames framer
		parser := sip.NewParser().NewSIPStream()
		defer parser.Close()
		for len(raw) > 0 && !frames.lost {
			n := min(max(1, int(piece)), len(raw))
			frames.write(raw[:n], func(raw []byte) {
				message, _ := g.pass(raw, theirs, true)
				if message == nil || isCRLF(message) {
					return
				}
				got := 0
				require.NoError(t, parser.ParseSIPStream(message, func(sip.Message) { got++ }), "%q", message)
				require.Equal(t, 1, got, "%q", message)
			})
			raw = raw[n:]
			require.LessOrEqual(t, len(frames.buf), maxFrame+int(piece))
		}
		require.Empty(t, g.tap.observer.(*recorder).panics)
	})
}
