package sipstack

import (
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// rack is the value of an RAck header field: which response a PRACK acknowledges (RFC 3262 section 7.2).
type rack struct {
	rseq, cseq uint32
	method     string
}

func (r rack) String() string {
	return strconv.FormatUint(uint64(r.rseq), 10) + " " + strconv.FormatUint(uint64(r.cseq), 10) + " " + r.method
}

// readRAck reads the RAck of a PRACK; false: it has none, or it cannot be read.
func readRAck(msg sip.Message) (rack, bool) {
	value, _ := headerValue(msg, "RAck")
	return parseRAck(value)
}

func parseRAck(value string) (rack, bool) {
	parts := strings.Fields(value)
	if len(parts) != 3 {
		return rack{}, false
	}
	rseq, ok := parseNumber(parts[0])
	cseq, also := parseNumber(parts[1])
	return rack{rseq: rseq, cseq: cseq, method: parts[2]}, ok && also && rseq > 0
}

// readRSeq reads the number of a reliable provisional response; false: it is none (RFC 3262 section 4).
func readRSeq(res *sip.Response) (uint32, bool) {
	if !res.IsProvisional() || res.StatusCode == sip.StatusTrying || !requires(res, tagReliable) {
		return 0, false
	}
	value, _ := headerValue(res, "RSeq")
	rseq, ok := parseNumber(value)
	return rseq, ok && rseq > 0
}

func parseNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
