package sipstack

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// gate stands between the sockets and the parser. What comes through it the parser can read, and reads rightly; a request
// that breaks the grammar is answered here, without any state.
type gate struct {
	secret []byte // of the tags
	parser *sip.Parser
	tap    *tap
	log    *zap.Logger
	room   sync.Pool // of *rawMessage
}

func newGate(secret []byte, t *tap, log *zap.Logger) *gate {
	return &gate{secret: secret, parser: sip.NewParser(), tap: t, log: log, room: sync.Pool{New: func() any { return new(rawMessage) }}}
}

// cut cuts a message into its parts, in room that is used again: whoever has it says when it is [gate.done].
func (g *gate) cut(raw []byte) *rawMessage {
	m := g.room.Get().(*rawMessage)
	m.read(raw)
	return m
}

func (g *gate) done(m *rawMessage) {
	m.forget()
	g.room.Put(m)
}

// sniff is the function of that name, in room that is used again.
func (g *gate) sniff(raw []byte) (sniffed, bool) {
	m := g.cut(raw)
	defer g.done(m)
	return m.sniff()
}

// pass is look for a message that is not cut yet. What it returns may be raw itself, as the keep-alives of RFC 5626 are.
func (g *gate) pass(raw []byte, source net.Addr, stream bool) (message, answer []byte) {
	if isCRLF(raw) {
		return raw, nil
	}
	m := g.cut(raw)
	defer g.done(m)
	return g.look(m, source, stream)
}

// look returns what the parser is to read of a message, nil if nothing; and the answer to a request that is refused, nil
// if there is none. What is no SIP at all gets none. The first may be the message itself. The parts are not what they were then.
func (g *gate) look(m *rawMessage, source net.Addr, stream bool) (message, answer []byte) {
	if _, _, _, ok := m.requestLine(); ok {
		return g.request(m, m.raw, source, stream)
	}
	if len(m.start) > 4 && strings.EqualFold(m.start[:4], "SIP/") {
		return g.response(m, m.raw, stream), nil
	}
	return nil, nil
}

// tooLarge returns the answer to a request of which no more than its beginning was read (RFC 3261 section 21.5.7).
func (g *gate) tooLarge(raw []byte, source net.Addr) []byte {
	m := readRaw(raw)
	if _, _, _, ok := m.requestLine(); !ok {
		return nil
	}
	return g.refuse(m, raw, fault{code: 513}, source)
}

// isCRLF tells the keep-alives of RFC 5626.
func isCRLF(raw []byte) bool { return len(raw) <= 4 && len(bytes.Trim(raw, "\r\n")) == 0 }

func (g *gate) request(m *rawMessage, raw []byte, source net.Addr, stream bool) (message, answer []byte) {
	found := m.requestFault(stream)
	if found.code == 0 {
		result := m.tidy()
		if (m.unnamed(raw) || m.spelled()) && result != malformedField {
			result = rewritten
		}
		if raw, ok := g.readable(m, raw, result); ok {
			return raw, nil
		}
		found = malformed("Malformed Header Field")
	}
	if method, _, _, _ := m.requestLine(); method == string(sip.INVITE) {
		callID, _ := m.value("call-id")
		g.tap.release(callID)
	}
	g.log.Debug("request refused", zap.Int("status", found.code), zap.String("reason", found.reason))
	return nil, g.refuse(m, raw, found, source)
}

func (g *gate) response(m *rawMessage, raw []byte, stream bool) []byte {
	if strings.Count(m.start, " ") == 1 { // a phrase may be empty, but not the blank before it
		m.start += " "
		raw = m.bytes()
	}
	if m.responseFault(stream) {
		return nil
	}
	result := m.tidy()
	if m.spelled() && result != malformedField {
		result = rewritten
	}
	raw, _ = g.readable(m, raw, result)
	return raw
}

// readable returns a message that was tidied as the parser is to read it; false: it cannot.
func (g *gate) readable(m *rawMessage, raw []byte, result tidied) ([]byte, bool) {
	switch {
	case result == malformedField:
		return nil, false
	case result == plainly && isPlainStart(m.start):
		return raw, true
	case result == rewritten:
		raw = m.bytes()
	}
	if !g.parses(raw) {
		return nil, false
	}
	return raw, true
}

// parses reports whether the parser takes a message. One that makes it panic it does not.
func (g *gate) parses(raw []byte) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			g.tap.observer.Panic("", v)
			ok = false
		}
	}()
	_, err := g.parser.ParseSIP(raw)
	return err == nil
}

// spelled writes the version as the parser knows it, and reports whether it was another way.
func (m *rawMessage) spelled() bool {
	const version = "SIP/2.0"
	at := len(m.start) - len(version)
	switch {
	case strings.HasPrefix(m.start, version) || strings.HasSuffix(m.start, " "+version):
		return false
	case len(m.start) > len(version) && strings.EqualFold(m.start[:len(version)], version):
		m.start = version + m.start[len(version):]
	case at > 0 && strings.EqualFold(m.start[at:], version):
		m.start = m.start[:at] + version
	}
	return true
}

// unnamed gives a request a branch that has neither one nor a tag in its From: RFC 2543 asked for none, and the
// transactions could not tell it from others.
func (m *rawMessage) unnamed(raw []byte) bool {
	from, _ := m.value("from")
	for i, f := range m.fields {
		if f.name != "via" {
			continue
		}
		if strings.Contains(f.value, ";branch=") || strings.Contains(from, ";tag=") { // both are tidy
			return false
		}
		head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		sum := sha256.Sum256(head)
		m.fields[i].value = f.value + ";branch=z9hG4bK" + hex.EncodeToString(sum[:8])
		return true
	}
	return false
}

// echo returns a stateless response to a request that is not plain, and where it is to be sent over UDP: what of the request can
// be read is repeated. nil: too little can be.
func (g *gate) echo(r statelessResponse, raw []byte, source net.Addr) (answer []byte, to netip.AddrPort) {
	raw = bytes.TrimLeft(raw, "\r\n")
	answer = g.refuse(readRaw(raw), raw, fault{code: r.code}, source, r.headers...)
	return answer, addrPort(answerTo(answer, source))
}

// refuse builds the answer to a request that goes no further (RFC 3261 section 8.2.7), with further header fields. It echoes what
// is there, and is nil where nothing can be answered.
func (g *gate) refuse(m *rawMessage, raw []byte, found fault, source net.Addr, headers ...string) []byte {
	if method, _, _, _ := m.requestLine(); method == "ACK" {
		return nil
	}
	var vias []string
	for _, f := range m.fields {
		if f.name == "via" {
			vias = append(vias, readableVias(f.value)...)
		}
	}
	if len(vias) == 0 {
		return nil
	}
	vias[0] = heardFrom(vias[0], source)
	var b strings.Builder
	reason := found.reason
	if reason == "" {
		reason = phrase(found.code)
	}
	b.WriteString("SIP/2.0 " + strconv.Itoa(found.code) + " " + reason + "\r\n")
	for _, v := range vias {
		b.WriteString("Via: " + v + "\r\n")
	}
	for _, field := range [...]struct{ label, name string }{{"From", "from"}, {"To", "to"}, {"Call-ID", "call-id"}, {"CSeq", "cseq"}} {
		value, ok := m.value(field.name)
		if !ok {
			continue
		}
		if field.name == "to" && !strings.Contains(strings.ToLower(value), "tag=") {
			value += ";tag=" + g.tag(raw)
		}
		b.WriteString(field.label + ": " + printable(value) + "\r\n")
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	b.WriteString("Server: " + product + "\r\nContent-Length: 0\r\n\r\n")
	return []byte(b.String())
}

// printable takes out of an echoed value what would end its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, s)
}

// tag is the same for the same message.
func (g *gate) tag(raw []byte) string {
	mac := hmac.New(sha256.New, g.secret)
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil)[:10])
}

// readableVias are the values of a Via field as far as they can be read.
func readableVias(value string) (vias []string) {
	values, _ := splitTop(value, ',')
	for _, v := range values {
		parts, _ := splitTop(v, ';')
		hop, ok := tidyHop(parts[0])
		if !ok {
			continue
		}
		for _, p := range parts[1:] {
			if param, ok := tidyParams([]string{p}); ok && isReadable(param) {
				hop += param
			}
		}
		vias = append(vias, hop)
	}
	return vias
}

// answerTo is where an answer over UDP goes: back to where the request came from, but to the port of the topmost Via,
// unless that one asks for its own (RFC 3261 section 18.2.2, RFC 3581 section 4).
func answerTo(answer []byte, source net.Addr) net.Addr {
	via, _ := readRaw(answer).value("via")
	if strings.Contains(via, ";rport=") {
		return source
	}
	_, by, _ := strings.Cut(via, " ")
	by, _, _ = strings.Cut(by, ";")
	port := uint64(sip.DefaultUdpPort)
	if at := strings.LastIndexByte(by, ':'); at > strings.LastIndexByte(by, ']') {
		port, _ = strconv.ParseUint(by[at+1:], 10, 16) // read before
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(addrPortRaw(source).Addr(), uint16(port)))
}

// isReadable reports whether a parameter can be echoed as it is.
func isReadable(param string) bool {
	return strings.Count(param, `"`)%2 == 0 && !strings.ContainsFunc(param, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// heardFrom notes in the topmost Via where its sender was heard (RFC 3261 section 18.2.1, RFC 3581 section 4).
func heardFrom(via string, source net.Addr) string {
	at := addrPort(source)
	parts := strings.Split(via, ";")
	_, by, _ := strings.Cut(parts[0], " ")
	asked := false
	kept := parts[:1]
	for _, p := range parts[1:] {
		switch name, value, _ := strings.Cut(p, "="); {
		case name == "received":
			continue
		case name == "rport" && value == "":
			asked = true
			p = "rport=" + strconv.Itoa(int(at.Port()))
		}
		kept = append(kept, p)
	}
	if asked || !sentBy(by, at.Addr()) {
		kept = append(kept, "received="+at.Addr().String())
	}
	return strings.Join(kept, ";")
}

// sentBy reports whether a sent-by names an address.
func sentBy(by string, at netip.Addr) bool {
	if p, err := netip.ParseAddrPort(by); err == nil {
		return p.Addr().Unmap() == at
	}
	ip, err := netip.ParseAddr(strings.Trim(by, "[]"))
	return err == nil && ip.Unmap() == at
}
