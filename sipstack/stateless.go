package sipstack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// statelessResponse is a response that is written from a request's bytes, with no parser and no transaction (RFC 3261
// section 8.2.7): what is refused or asked for most costs least. Its caller gets the same one for each repetition.
type statelessResponse struct {
	code    int
	headers []string
}

func unavailable(retryAfter int) statelessResponse {
	return statelessResponse{code: 503, headers: []string{"Retry-After: " + strconv.Itoa(retryAfter)}}
}

// statelessMark begins the tags of these responses. An ACK with such a tag acknowledges nothing that anybody waits for.
const statelessMark = "none-"

func isStateless(toTag string) bool { return strings.HasPrefix(toTag, statelessMark) }

// write returns the response and, over UDP, where it is to be sent. false: the request is not of the simple form that nearly all
// have, and somebody has to parse it.
func (r statelessResponse) write(raw []byte, network string, from netip.AddrPort, secret []byte) (res []byte, to netip.AddrPort, ok bool) {
	h, ok := readPlain(raw)
	if !ok {
		return nil, to, false
	}
	via, to, ok := received(h.via[0], network, from)
	if !ok {
		return nil, to, false
	}
	mac := hmac.New(sha256.New, secret)
	for _, part := range []string{h.callID, h.from, h.cseq, h.via[0]} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	var b bytes.Buffer
	b.WriteString("SIP/2.0 " + strconv.Itoa(r.code) + " " + phrase(r.code) + "\r\nVia: " + via + "\r\n")
	for _, v := range h.via[1:] {
		b.WriteString("Via: " + v + "\r\n")
	}
	b.WriteString("From: " + h.from + "\r\nTo: " + h.to + ";tag=" + statelessMark + hex.EncodeToString(mac.Sum(nil)[:8]) +
		"\r\nCall-ID: " + h.callID + "\r\nCSeq: " + h.cseq + "\r\n")
	for _, line := range r.headers {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("Server: " + product + "\r\nContent-Length: 0\r\n\r\n")
	return b.Bytes(), to, true
}

// plain is what a response repeats of its request.
type plain struct {
	via                    []string
	from, to, callID, cseq string
}

// readPlain reads the head of a request. It refuses whatever is not plain: folded lines, a header twice or missing, a
// method that is not the CSeq's, a URI of another scheme, another version, a Proxy-Require.
func readPlain(raw []byte) (h plain, ok bool) {
	head, _, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	method, uri, version := startLine(lines[0])
	if !found || version != "SIP/2.0" || !strings.HasPrefix(uri, "sip:") && !strings.HasPrefix(uri, "sips:") {
		return h, false
	}
	for _, line := range lines[1:] {
		name, value, colon := strings.Cut(line, ":")
		if !colon || name == "" || name[0] <= ' ' || strings.ContainsAny(value, "\r\n\x00") {
			return h, false
		}
		value = strings.TrimSpace(value)
		var once *string
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "via", "v":
			if value == "" {
				return h, false
			}
			h.via = append(h.via, value)
			continue
		case "from", "f":
			once = &h.from
		case "to", "t":
			once = &h.to
		case "call-id", "i":
			once = &h.callID
		case "cseq":
			once = &h.cseq
		case "proxy-require":
			return h, false
		default:
			continue
		}
		if *once != "" || value == "" {
			return h, false
		}
		*once = value
	}
	number, of, _ := strings.Cut(h.cseq, " ")
	_, err := strconv.ParseUint(number, 10, 31)
	if err != nil || strings.TrimSpace(of) != method || len(h.via) == 0 || h.from == "" || h.callID == "" || !addressLike(h.from) || !addressLike(h.to) {
		return h, false
	}
	return h, true
}

// addressLike reports whether a From or To looks like a SIP address with nothing in it that needs a parser.
func addressLike(value string) bool {
	return strings.Contains(value, "sip:") && strings.Count(value, "<") == strings.Count(value, ">") && strings.Count(value, `"`)%2 == 0
}

// received returns the topmost Via as a response has it, and where the response goes (RFC 3261 sections 18.2.1 and
// 18.2.2, RFC 3581 section 4).
func received(via, network string, from netip.AddrPort) (value string, to netip.AddrPort, ok bool) {
	values := strings.SplitN(via, ",", 2)
	params := strings.Split(values[0], ";")
	protocol, sentBy, _ := strings.Cut(strings.TrimSpace(params[0]), " ")
	if strings.Contains(via, `"`) || !strings.EqualFold(protocol, "SIP/2.0/"+network) {
		return "", to, false
	}
	host, port, err := splitAdvertise(strings.TrimSpace(sentBy))
	if err != nil || host == "" {
		return "", to, false
	}
	if port == 0 {
		port = 5060
	}
	to = netip.AddrPortFrom(from.Addr(), uint16(port))
	out := []string{strings.TrimSpace(params[0])}
	differs, branch := host != from.Addr().String(), false
	for _, p := range params[1:] {
		p = strings.TrimSpace(p)
		name, _, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "rport":
			to, differs = from, true
			p = "rport=" + strconv.Itoa(int(from.Port()))
		case "received":
			continue
		case "maddr":
			return "", to, false
		case "branch":
			branch = true
		}
		out = append(out, p)
	}
	if !branch {
		return "", to, false
	}
	if differs {
		out = append(out, "received="+from.Addr().String())
	}
	value = strings.Join(out, ";")
	if len(values) == 2 {
		value += ", " + strings.TrimSpace(values[1])
	}
	return value, to, true
}
