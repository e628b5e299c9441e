package node_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// reply writes a response.
func reply(text string, code int, headers, body string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d Answer\r\n", code)
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, h := range strings.Split(head, "\r\n")[1:] {
		switch k, _, _ := strings.Cut(h, ":"); strings.ToLower(k) {
		case "via", "from", "to", "call-id", "cseq", "record-route":
			b.WriteString(h + "\r\n")
		}
	}
	if headers != "" {
		b.WriteString(headers + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// requested answers a request of the node in the call.
func (l *line) requested(text, method string, cseq int, from net.Addr) {
	if method == "ACK" || method == "BYE" && l.phone.script.deaf {
		l.confirmed(cseq)
		return
	}
	key := method + branchIn(field(text, "Via"))
	answer, repeated := l.answers[key]
	if !repeated {
		over := l.over // then nobody is there to be referred
		code, headers, body := l.judge(text, method, cseq)
		answer = reply(text, code, headers, body)
		l.answers[key] = answer
		if method == "INVITE" && code == 200 {
			l.repeatAnswer(cseq, answer)
		}
		if method == "REFER" && code != 500 && code != 401 && !over {
			l.refers = append(l.refers, field(text, "Refer-To"))
			if l.phone.script.early {
				l.follow(cseq)
				_, _ = l.phone.conn.WriteTo([]byte(answer), from)
				return
			}
			defer l.follow(cseq)
		}
	}
	_, _ = l.phone.conn.WriteTo([]byte(answer), from)
}

func (l *line) judge(text, method string, cseq int) (code int, headers, body string) {
	local := l.phone.conn.LocalAddr().String()
	contact := "Contact: <sip:phone@" + local + l.phone.transport() + ">"
	switch {
	case !l.answered || tagIn(field(text, "From")) != tagIn(l.peer) || tagIn(field(text, "To")) != l.tag:
		return 481, "", ""
	case cseq <= l.last:
		l.fault("%s with the CSeq %d after %d", method, cseq, l.last)
		return 500, "", ""
	}
	l.last = cseq
	if l.over {
		return 481, "", ""
	}
	switch method {
	case "BYE":
		l.over = true
		return 200, "", ""
	case "REFER":
		if l.phone.script.challenge && field(text, "Authorization") == "" {
			return 401, `WWW-Authenticate: Digest realm="pbx", nonce="` + strconv.Itoa(cseq) + `", algorithm=MD5`, ""
		}
		if s := l.phone.script; s.refer != 0 {
			l.over = s.refer == 481
			return s.refer, contact, ""
		}
		return 202, contact, ""
	case "INVITE":
		l.offers = append(l.offers, text)
		return 200, contact + "\r\n" + l.phone.script.timer + "Content-Type: application/sdp", l.phone.sdp()
	}
	return 200, contact, ""
}
