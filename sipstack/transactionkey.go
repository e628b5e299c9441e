package sipstack

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// isRepeatable reports whether a final response to a request with a method is remembered by [finals]. Other than 2xx to an INVITE
// sipgo repeats itself until their ACK, and a CANCEL is told to its INVITE each time that it comes.
func isRepeatable(method string, code int) bool {
	switch sip.RequestMethod(method) {
	case sip.INVITE:
		return code/100 == 2
	case sip.ACK, sip.CANCEL, "":
		return false
	}
	return true
}

// appendKey appends what names the server transaction of a request that came over UDP: the branch and the sent-by of its topmost
// Via, and the method in its CSeq (RFC 3261 section 17.2.3). Its response has the same. It is written as sipgo does, see
// [sip.ServerTx.Key]. false: the Via is not written plainly, or its branch is not one of RFC 3261.
func appendKey(b []byte, via, method string) (key []byte, ok bool) {
	const protocol = "SIP/2.0/UDP "
	if !strings.HasPrefix(via, protocol) || strings.ContainsAny(via[len(protocol):], " \t\",\\") {
		return b, false
	}
	sentBy, params, _ := strings.Cut(via[len(protocol):], ";")
	host, port, ok := readSentBy(sentBy)
	if !ok {
		return b, false
	}
	var branch string
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		value, found := strings.CutPrefix(p, "branch=")
		switch {
		case p == "branch", found && branch != "":
			return b, false
		case !found:
		default:
			branch = value
		}
	}
	if len(branch) <= len(sip.RFC3261BranchMagicCookie) || !strings.HasPrefix(branch, sip.RFC3261BranchMagicCookie) {
		return b, false
	}
	b = append(append(b, branch...), sip.TxSeperator...)
	b = append(append(b, host...), sip.TxSeperator...)
	b = append(strconv.AppendUint(b, port, 10), sip.TxSeperator...)
	return append(b, method...), true
}

// readSentBy reads the host and the port of a Via over UDP (RFC 3261 section 20.42), an IPv6 address without its brackets.
func readSentBy(s string) (host string, port uint64, ok bool) {
	host, digits := s, ""
	if rest, v6 := strings.CutPrefix(s, "["); v6 {
		var closed bool
		if host, digits, closed = strings.Cut(rest, "]"); !closed {
			return "", 0, false
		}
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, digits = s[:colon], s[colon:]
	}
	if host == "" {
		return "", 0, false
	}
	if digits == "" {
		return host, uint64(sip.DefaultUdpPort), true
	}
	if digits[0] != ':' {
		return "", 0, false
	}
	port, err := strconv.ParseUint(digits[1:], 10, 16)
	return host, port, err == nil && port > 0
}
