package sipstack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// What we say of ourselves.
const (
	product     = "callengine"
	allow       = "ACK, BYE, CANCEL, INFO, INVITE, NOTIFY, OPTIONS, PRACK, UPDATE"
	accept      = "application/sdp, message/sipfrag"
	allowEvents = eventRefer
)

// response builds a response. reason is a phrase for codes whose usual one would not do.
func (s *Stack) response(req *sip.Request, code int, reason string, hdrs ...sip.Header) *sip.Response {
	if reason = oneLine(reason); reason == "" {
		reason = phrase(code)
	}
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if code > 100 {
		res.AppendHeader(sip.NewHeader("Server", product))
	}
	if code == sip.StatusMethodNotAllowed || code > 100 && code < 300 {
		res.AppendHeader(sip.NewHeader("Allow", allow)) // in a 18x, too: RFC 3311 section 5.1
	}
	if code > 100 && code < 300 {
		res.AppendHeader(sip.NewHeader("Supported", s.supported()))
	}
	for _, h := range hdrs {
		res.AppendHeader(h)
	}
	return res
}

// respond sends a response. That it could not be sent is the peer's loss: it will send its request again, or has gone.
func (s *Stack) respond(tx *sip.ServerTx, res *sip.Response) {
	if err := s.send(tx, res); err != nil {
		s.log.Debug("response not sent", zap.Int("code", res.StatusCode), zap.Error(err))
	}
}

// send sends a response. A 2xx to an INVITE is repeated until its ACK, when the transaction may be over: it goes past that then, as
// RFC 3261 section 13.3.1.4 has it.
func (s *Stack) send(tx *sip.ServerTx, res *sip.Response) error {
	err := tx.Respond(res)
	if !errors.Is(err, sip.ErrTransactionTerminated) || !tx.Origin().IsInvite() || !res.IsSuccess() || s.living.Err() != nil {
		return err
	}
	if err = tx.Connection().WriteMsg(res); err != nil {
		return fmt.Errorf("%w: %w", sip.ErrTransactionTransport, err)
	}
	return nil
}

// oneLine takes out of a phrase what would end its line.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}

// phrase is the usual reason phrase of a code (RFC 3261 section 21).
func phrase(code int) string {
	if p, ok := phrases[code]; ok {
		return p
	}
	switch code / 100 {
	case 1:
		return "Progress"
	case 2:
		return "OK"
	case 3:
		return "Redirected"
	case 4:
		return "Request Failed"
	case 5:
		return "Server Failure"
	}
	return "Declined"
}

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	406: "Not Acceptable",
	407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small", 469: "Bad Info Package", 480: "Temporarily Unavailable",
	481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 483: "Too Many Hops", 484: "Address Incomplete",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending",
	500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable", 504: "Server Time-out",
	505: "Version Not Supported", 600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere",
	513: "Message Too Large", 606: "Not Acceptable",
}
