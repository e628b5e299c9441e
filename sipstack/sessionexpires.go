package sipstack

import (
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Refreshers of a session, as Session-Expires names them: who sent the request, or who answered it.
const (
	refresherUAC = "uac"
	refresherUAS = "uas"
)

// statusIntervalTooSmall refuses a session interval (RFC 4028 section 6).
const statusIntervalTooSmall = 422

// sessionExpires is the value of a Session-Expires header field (RFC 4028 section 4).
type sessionExpires struct {
	interval  time.Duration
	refresher string // "" when it is not said, or said in no way that is known
}

func (e sessionExpires) header() sip.Header {
	value := seconds(e.interval)
	if e.refresher != "" {
		value += ";refresher=" + e.refresher
	}
	return sip.NewHeader("Session-Expires", value)
}

// readSessionExpires reads the Session-Expires of a message; false: it has none, or it cannot be read.
func readSessionExpires(msg sip.Message) (sessionExpires, bool) {
	value, ok := headerValue(msg, "Session-Expires", "x")
	if !ok {
		return sessionExpires{}, false
	}
	return parseSessionExpires(value)
}

func parseSessionExpires(value string) (sessionExpires, bool) {
	head, params := cutParams(value)
	interval, ok := parseSeconds(head)
	e := sessionExpires{interval: interval}
	if r := strings.ToLower(params["refresher"]); r == refresherUAC || r == refresherUAS {
		e.refresher = r
	}
	return e, ok && interval > 0
}

// readMinSE returns the shortest session interval that the sender of a message, or a proxy behind it, takes (RFC 4028
// section 5). Where nothing is said that is 90 s.
func readMinSE(msg sip.Message) time.Duration {
	value, _ := headerValue(msg, "Min-SE")
	head, _ := cutParams(value)
	least, _ := parseSeconds(head)
	return max(least, leastSession)
}

// leastSession is the shortest session interval that anybody has to take.
const leastSession = 90 * time.Second

func parseSeconds(s string) (time.Duration, bool) {
	n, ok := parseNumber(s)
	return time.Duration(n) * time.Second, ok
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
