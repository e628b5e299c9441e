package sipstack

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequestsInTheDialog(t *testing.T) {
	for name, tc := range map[string]struct {
		method, extra, body string
		want                string
		headers             map[string]string
	}{
		"OPTIONS": {method: "OPTIONS", want: "200 OK", headers: map[string]string{
			"Allow": allow, "Accept": accept, "Supported": "100rel", "Allow-Events": "refer",
		}},
		"INFO":              {method: "INFO", extra: "Content-Type: application/dtmf-relay\r\n", body: "Signal=1", want: "200 OK"},
		"INFO without body": {method: "INFO", want: "200 OK"},
		"INFO of no key":    {method: "INFO", extra: "Content-Type: application/dtmf-relay\r\n", body: "Signal=x", want: "200 OK"},
		"INFO with another body": {
			method: "INFO", extra: "Content-Type: application/media_control+xml\r\n", body: "<media_control/>", want: "415 Unsupported Media Type",
			headers: map[string]string{"Accept": "application/dtmf-relay, application/dtmf"},
		},
		"INFO with a body of no type": {
			method: "INFO", body: "hello", want: "415 Unsupported Media Type", headers: map[string]string{"Accept": "application/dtmf-relay, application/dtmf"},
		},
		"INFO with a body that may be ignored": {
			method: "INFO", extra: "Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n", body: "hello", want: "200 OK",
		},
		"INFO of a package": {
			method: "INFO", extra: "Info-Package: conference\r\nContent-Type: text/plain\r\n", body: "hello", want: "469 Bad Info Package",
			headers: map[string]string{"Recv-Info": ""},
		},
		"INFO of a package, with a key": {
			method: "INFO", extra: "Info-Package: dtmf\r\nContent-Type: application/dtmf-relay\r\n", body: "Signal=1", want: "200 OK",
		},
		"UPDATE":             {method: "UPDATE", want: "200 OK", headers: map[string]string{"Allow": allow, "Supported": "100rel"}},
		"PRACK":              {method: "PRACK", extra: "RAck: 1 1 INVITE\r\n", want: "481 Call/Transaction Does Not Exist"},
		"REFER":              {method: "REFER", extra: "Refer-To: <sip:x@y>\r\n", want: "405 Method Not Allowed"},
		"SUBSCRIBE":          {method: "SUBSCRIBE", extra: "Event: refer\r\n", want: "405 Method Not Allowed"},
		"unknown":            {method: "FROBNICATE", want: "405 Method Not Allowed", headers: map[string]string{"Allow": allow}},
		"NOTIFY of no refer": {method: "NOTIFY", extra: "Event: refer;id=7\r\n", want: "481 Subscription Does Not Exist"},
		"NOTIFY of another package": {
			method: "NOTIFY", extra: "Event: presence\r\n", want: "489 Bad Event", headers: map[string]string{"Allow-Events": "refer"},
		},
		"NOTIFY without Event": {method: "NOTIFY", want: "489 Bad Event"},
		"OPTIONS that requires an extension": {
			method: "OPTIONS", extra: "Require: 100rel, gruu\r\n", want: "420 Bad Extension", headers: map[string]string{"Unsupported": "gruu"},
		},
		"INFO that requires an extension": {
			method: "INFO", extra: "Require: gruu\r\n", want: "420 Bad Extension", headers: map[string]string{"Unsupported": "gruu"},
		},
		"UPDATE with a packed body": {
			method: "UPDATE", extra: "Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", body: "packed",
			want: "415 Unsupported Media Type", headers: map[string]string{"Accept-Encoding": "identity"},
		},
		"re-INVITE with a packed body": {
			method: "INVITE", extra: "Content-Type: application/sdp\r\ne: gzip\r\n", body: "packed",
			want: "415 Unsupported Media Type", headers: map[string]string{"Accept-Encoding": "identity"},
		},
		"UPDATE with a body that may be ignored": {
			method: "UPDATE", extra: "Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n", body: "hello", want: "200 OK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				c.inDialog(tc.method, tc.extra, tc.body)
				res := p.next()
				assert.Equal(t, "SIP/2.0 "+tc.want, startOf(res))
				assert.Equal(t, "callengine", field(res, "Server"))
				for name, value := range tc.headers {
					assert.Equal(t, []string{value}, fields(res, name))
				}
				if tc.method == "INVITE" {
					c.send(c.request("ACK", c.target, c.cseq, c.branch, "", ""))
				}
				c.to = "<sip:bob@node.example>;tag=nobody"
				c.inDialog(tc.method, tc.extra, tc.body)
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
			})
		})
	}
}

func TestRequestsOutOfDialogs(t *testing.T) {
	for method, want := range map[string]string{
		"OPTIONS": "200 OK", "INFO": "481 Call/Transaction Does Not Exist", "BYE": "481 Call/Transaction Does Not Exist",
		"NOTIFY": "481 Call/Transaction Does Not Exist", "UPDATE": "481 Call/Transaction Does Not Exist",
		"PRACK": "481 Call/Transaction Does Not Exist", "REGISTER": "405 Method Not Allowed",
		"SUBSCRIBE": "405 Method Not Allowed", "REFER": "405 Method Not Allowed", "MESSAGE": "405 Method Not Allowed",
		"PUBLISH": "405 Method Not Allowed", "FROBNICATE": "405 Method Not Allowed",
	} {
		t.Run(method, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				c.target = c.uri
				c.inDialog(method, "Event: refer\r\n", "")
				res := p.next()
				assert.Equal(t, "SIP/2.0 "+want, startOf(res))
				assert.NotEmpty(t, tagIn(field(res, "To")))
				if strings.HasPrefix(want, "405") || strings.HasPrefix(want, "200") {
					assert.Equal(t, allow, field(res, "Allow"))
				}
				c.ack("") // never answered
				p.silent(time.Minute)
				assert.Equal(t, []string{"> " + method, "< " + want[:3] + " " + method, "> ACK"}, n.rec.ladder(""))
			})
		})
	}
}

func TestRequestsThatCannotBeHandled(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"another version":     {"bob@node.example;x=y SIP/2.0", "bob@node.example;x=y SIP/3.0", "505"},
		"method unlike CSeq":  {"100 INVITE", "100 BYE", "400"},
		"no To":               {"To: <sip:bob@node.example>\r\n", "", "400"},
		"no From":             {"From: ", "X-From: ", "400"},
		"no Call-ID":          {"Call-ID: ", "X-Call-ID: ", "400"},
		"unknown URI scheme":  {"INVITE sip:bob@node.example;x=y", "INVITE mailto:bob@node.example", "416"},
		"no CSeq":             {"CSeq: ", "X-CSeq: ", "400"},
		"no Contact is fine":  {"Contact: ", "X-Contact: ", "100"},
		"a tel: URI is, too":  {"INVITE sip:bob@node.example;x=y", "INVITE tel:+15551230001", "100"},
		"lower case likewise": {"INVITE sip:", "invite SIP:", "100"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				c := p.newCall()
				text := c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine)
				require.Contains(t, text, tc.old)
				p.send(strings.Replace(text, tc.old, tc.new, 1))
				assert.Equal(t, tc.want, p.next()[len("SIP/2.0 "):][:3])
			})
		})
	}
}

func TestRequestsInTheirOrder(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		info := func(cseq int) { c.send(c.request("INFO", c.target, cseq, newBranch(), "", "")) }
		answer := func() string {
			res := p.next()
			return res[len("SIP/2.0 "):][:3] + " " + field(res, "CSeq")
		}
		start := time.Now()
		info(103)
		info(102)
		time.Sleep(5 * time.Millisecond) // fake
		info(101)
		assert.Equal(t, "200 101 INFO", answer())
		assert.Equal(t, "200 102 INFO", answer())
		assert.Equal(t, "200 103 INFO", answer())
		assert.Equal(t, 5*time.Millisecond, time.Since(start), "what was missing has come")

		start = time.Now()
		info(110)
		info(108)
		assert.Equal(t, "200 108 INFO", answer())
		assert.Equal(t, 20*time.Millisecond, time.Since(start), "a real gap")
		assert.Equal(t, "200 110 INFO", answer())

		info(105)
		assert.Equal(t, "500 105 INFO", answer())
		info(110)
		assert.Equal(t, "200 110 INFO", answer(), "answered once more")
		c.send(c.request("OPTIONS", c.target, 110, newBranch(), "", ""))
		assert.Equal(t, "500 110 OPTIONS", answer(), "but it is another")
		c.send(c.request("INVITE", c.target, 110, newBranch(), "", offerLine))
		assert.Equal(t, "482 110 INVITE", answer())
	})
}

func TestNotifyCountsOnceUnderOneNumber(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		c.inDialog("NOTIFY", "Event: refer\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 100 Trying\r\n")
		c.expect("SIP/2.0 200")
		c.cseq--
		c.inDialog("NOTIFY", "Event: refer\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 200 OK\r\n")
		c.expect("SIP/2.0 200")
		assert.Equal(t, ReferPending, r.Result().Status)
	})
}
