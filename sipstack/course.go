package sipstack

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// course is the way of a request of ours through its targets (RFC 3263 section 4.3): the next one is tried in a
// transaction of its own, under the same number, where one cannot be reached or has no room (503).
//
// Where one does not answer the next is tried for the INVITE of a new call alone: a request in a dialog is over after the
// transaction timeout in all, whatever the number of its targets, so that a REFER without an answer is known to have
// failed then. What does not answer is tried last by the requests that follow.
type course struct {
	stack *Stack
	fresh bool   // of the INVITE of a new call
	flows []flow // those left; the first is in use
	// resort is where a request goes that cannot be sent to any of them: the way on which the peer was heard.
	resort *flow
	cseq   uint32    // with which it was sent; 0: not yet
	until  time.Time // when its time is up
}

// found begins the course.
func (c *course) found(flows []flow, resort *flow) {
	c.flows, c.resort = flows, resort
	c.wind()
}

// again has the same target tried with another request: one with credentials.
func (c *course) again() {
	c.cseq = 0
	c.wind()
}

func (c *course) wind() { c.until = time.Now().Add(c.stack.cfg.TransactionTimeout) }

// known reports whether the targets have been found.
func (c *course) known() bool { return len(c.flows) > 0 }

// to returns the target in use.
func (c *course) to() flow { return c.flows[0] }

// broken gives up a target that could not be reached; false: there is no other.
func (c *course) broken() bool {
	c.stack.locator.outages.avoid(c.to(), 0)
	if c.advance() {
		return true
	}
	if c.resort == nil {
		return false
	}
	c.flows, c.resort = []flow{*c.resort}, nil
	return true
}

func (c *course) advance() bool {
	if len(c.flows) < 2 {
		return false
	}
	c.flows = c.flows[1:]
	return true
}

// failsOver takes the end of a transaction, and reports whether the request is to be sent once more, to the next target.
func (c *course) failsOver(method sip.RequestMethod, res *sip.Response, err error) bool {
	if !c.known() {
		return false
	}
	outages := c.stack.locator.outages
	switch {
	case err == nil:
		outages.heed(c.to(), res)
		return res.StatusCode == sip.StatusServiceUnavailable && c.inTime() && c.advance()
	case errors.Is(err, errNoResponse):
		outages.avoid(c.to(), 0)
		return c.fresh && c.advance()
	case errors.Is(err, errTransport):
		outages.avoid(c.to(), 0)
		return (c.fresh || repeatable(method)) && c.inTime() && c.advance()
	}
	return false
}

func (c *course) inTime() bool { return time.Now().Before(c.until) }

// repeatable reports whether a request may be sent once more although it may have been handled: its connection broke
// while the answer was awaited. A second REFER might transfer twice.
func repeatable(method sip.RequestMethod) bool {
	return method == sip.BYE || method == sip.OPTIONS
}

// timeLeft is how long the final response is waited for, over all targets.
func (c *course) timeLeft() time.Duration { return max(time.Until(c.until), time.Millisecond) }

// retryAfter returns when the sender of a response may be asked again (RFC 3261 section 20.33); 0: it does not say.
func retryAfter(res *sip.Response) time.Duration {
	h := res.GetHeader("Retry-After")
	if h == nil {
		return 0
	}
	digits := strings.TrimSpace(h.Value())
	if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = digits[:end]
	}
	seconds, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}
