package node_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// probe writes a request; lines replace those of the same name, or come in addition when they begin with a plus sign.
func probe(method, uri string, number int, lines ...string) string {
	head := []string{
		fmt.Sprintf("Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKprobe%d", number), fmt.Sprintf("From: <sip:a@b>;tag=%d", number),
		"To: <sip:desk@node>", fmt.Sprintf("Call-ID: probe-%d", number), "CSeq: 1 " + method, "Max-Forwards: 70", "Contact: <sip:a@127.0.0.1>",
	}
	body := ""
	if method == "INVITE" {
		body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 16384 RTP/AVP 0\r\n"
		head = append(head, "Content-Type: application/sdp")
	}
	head = append(head, fmt.Sprintf("Content-Length: %d", len(body)))
	for _, l := range lines {
		if added, ok := strings.CutPrefix(l, "+"); ok {
			head = append(head, added)
			continue
		}
		name, value, _ := strings.Cut(l, ":")
		for i, h := range head {
			if n, _, _ := strings.Cut(h, ":"); n == name {
				head[i] = l
				if value == "" {
					head = append(head[:i:i], head[i+1:]...)
				}
				break
			}
		}
	}
	return method + " " + uri + " SIP/2.0\r\n" + strings.Join(head, "\r\n") + "\r\n\r\n" + body
}

// TestHostileRequestsGetTheirStatus sends what the test suites for robustness send: each field too long, too large, negative,
// missing, repeated, in another encoding, or asking for what there is not.
func TestHostileRequestsGetTheirStatus(t *testing.T) {
	l := onLoopback(t, nil, node.WithNetwork(nameless{phones: &sync.Map{}}))
	l.app.On("initiate", scenario.BXML(response(`<Pause duration="60"/>`)))
	long := strings.Repeat("a", 25_000)
	const options, invite = "OPTIONS", "INVITE"
	cases := map[string]struct {
		method, uri string
		lines       []string
		want        string // "": nothing, or anything: the node lives on
		header      string
	}{
		"plain":                        {options, "sip:node", nil, "200", "Accept"},
		"a long user":                  {options, "sip:" + long + "@node", nil, "200", ""},
		"a long display name":          {options, "sip:node", []string{"From: \"" + long + "\" <sip:a@b>;tag=1"}, "200", ""},
		"a long tag":                   {options, "sip:node", []string{"From: <sip:a@b>;tag=" + long}, "200", ""},
		"a long branch":                {options, "sip:node", []string{"Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK" + long}, "200", ""},
		"a long name of a field":       {options, "sip:node", []string{"+" + long + ": x"}, "200", ""},
		"a long unknown value":         {options, "sip:node", []string{"+X: " + long}, "200", ""},
		"5,000 fields":                 {options, "sip:node", []string{"+X: 1" + strings.Repeat("\r\nX: 1", 5000)}, "200", ""},
		"5,000 parameters":             {options, "sip:node", []string{"From: <sip:a@b>;tag=1" + strings.Repeat(";p=1", 5000)}, "200", ""},
		"5,000 parameters of a URI":    {options, "sip:node" + strings.Repeat(";p=1", 5000), nil, "200", ""},
		"1,000 Vias":                   {options, "sip:node", []string{"+Via: SIP/2.0/UDP a" + strings.Repeat(", SIP/2.0/UDP a", 999)}, "200", ""},
		"1,000 routes":                 {invite, "sip:desk@node", []string{"+Record-Route: <sip:a;lr>" + strings.Repeat(", <sip:a;lr>", 999)}, "200", ""},
		"nested quotes and brackets":   {options, "sip:node", []string{"Contact: " + strings.Repeat("<\"", 5000)}, "400", ""},
		"format strings":               {options, "sip:%25n%25s@node", []string{"From: \"%n%s%x%d\" <sip:%25n@b>;tag=%n", "+Subject: %n%n%s"}, "200", ""},
		"octets that are no UTF-8":     {options, "sip:node", []string{"+Subject: \xff\xfe\x80", "From: \"\xc3\x28\" <sip:a@b>;tag=1"}, "200", ""},
		"a zero octet":                 {options, "sip:node", []string{"+Subject: \x00"}, "400", ""},
		"a huge Expires":               {options, "sip:node", []string{"+Expires: 99999999999999999999"}, "200", ""},
		"a negative Expires":           {invite, "sip:desk@node", []string{"+Expires: -1"}, "200", ""},
		"a huge Max-Forwards":          {options, "sip:node", []string{"Max-Forwards: 99999999999999999999"}, "400", ""},
		"Max-Forwards of 0":            {invite, "sip:desk@node", []string{"Max-Forwards: 0"}, "200", ""},
		"no Max-Forwards":              {invite, "sip:desk@node", []string{"Max-Forwards:"}, "200", ""},
		"a huge CSeq":                  {options, "sip:node", []string{"CSeq: 4294967296 OPTIONS"}, "400", ""},
		"a negative CSeq":              {options, "sip:node", []string{"CSeq: -1 OPTIONS"}, "400", ""},
		"a CSeq of letters":            {options, "sip:node", []string{"CSeq: x OPTIONS"}, "400", ""},
		"a negative length":            {options, "sip:node", []string{"Content-Length: -1"}, "400", ""},
		"a length above the datagram":  {options, "sip:node", []string{"Content-Length: 65535"}, "400", ""},
		"a port of letters":            {options, "sip:node:x", nil, "400", ""},
		"a huge port":                  {options, "sip:node:99999", nil, "400", ""},
		"no From":                      {options, "sip:node", []string{"From:"}, "400", ""},
		"no To":                        {options, "sip:node", []string{"To:"}, "400", ""},
		"no Call-ID":                   {options, "sip:node", []string{"Call-ID:"}, "400", ""},
		"no CSeq":                      {options, "sip:node", []string{"CSeq:"}, "400", ""},
		"no Via":                       {options, "sip:node", []string{"Via:"}, "", ""},
		"two Call-IDs":                 {options, "sip:node", []string{"+Call-ID: x"}, "400", ""},
		"an unknown method":            {"DANCE", "sip:node", nil, "405", "Allow"},
		"REGISTER":                     {"REGISTER", "sip:node", nil, "405", "Allow"},
		"SUBSCRIBE":                    {"SUBSCRIBE", "sip:node", nil, "405", "Allow"},
		"an unknown extension":         {invite, "sip:desk@node", []string{"+Require: 100rel, teleport"}, "420", "Unsupported: teleport"},
		"one for proxies":              {options, "sip:node", []string{"+Proxy-Require: teleport"}, "200", ""},
		"an unknown scheme":            {invite, "mailto:desk@node", nil, "416", ""},
		"a tag that we never gave":     {invite, "sip:desk@node", []string{"To: <sip:desk@node>;tag=x"}, "481", ""},
		"a BYE out of the blue":        {"BYE", "sip:desk@node", []string{"To: <sip:desk@node>;tag=x"}, "481", ""},
		"a CANCEL out of the blue":     {"CANCEL", "sip:desk@node", nil, "481", ""},
		"an ACK out of the blue":       {"ACK", "sip:desk@node", nil, "", ""},
		"a body of another type":       {invite, "sip:desk@node", []string{"Content-Type: text/plain"}, "415", "Accept: "},
		"a packed body":                {invite, "sip:desk@node", []string{"+Content-Encoding: gzip"}, "415", "Accept-Encoding: identity"},
		"an answer of another type":    {invite, "sip:desk@node", []string{"+Accept: text/plain"}, "406", ""},
		"an answer of any type":        {invite, "sip:desk@node", []string{"+Accept: text/plain, */*;q=0.1"}, "200", ""},
		"an SDP that is none":          {invite, "sip:desk@node", []string{"Content-Length: 3"}, "488", ""},
		"more than is read":            {options, "sip:node", []string{"+X: " + long + long}, "513", ""},
		"a Contact that leads nowhere": {invite, "sip:desk@node", []string{"Contact: <sip:a@0.0.0.0:0>"}, "200", ""},
		"no Contact":                   {invite, "sip:desk@node", []string{"Contact:"}, "200", ""},
	}
	number := 0
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			number++
			w := newWire(t, "udp", l.address("udp"), &sync.Map{})
			w.send([]byte(probe(c.method, c.uri, number, c.lines...)))
			if c.want != "" {
				res := w.final()
				require.Equal(t, c.want, strings.Fields(res)[1], "%.300s", res)
				if c.header != "" {
					assert.Contains(t, res, "\r\n"+c.header)
				}
				if c.want == "200" && c.method == invite {
					w.send(w.inDialog("ACK", 0, res))
					w.send(w.inDialog("BYE", 1, res))
					w.final()
				}
			}
			w.asks()
		})
	}
	t.Run("the same call by two ways", func(t *testing.T) {
		w := newWire(t, "udp", l.address("udp"), &sync.Map{})
		w.send([]byte(probe(invite, "sip:desk@node", 1000)))
		ok := w.final()
		w.send([]byte(probe(invite, "sip:desk@node", 1000, "Via: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKother")))
		res := w.final()
		require.Equal(t, "482", strings.Fields(res)[1], res)
		w.send(w.inDialog("ACK", 0, ok))
		w.send(w.inDialog("BYE", 1, ok))
		w.final()
		w.asks()
	})
	l.goodCall("udp")
	l.goodCall("tcp")
}
