package sipstack

import (
	"strconv"

	"github.com/emiago/sipgo/sip"
)

// options answers OPTIONS, which asks for nothing but that, as an INVITE would be answered (RFC 3261 section 11.2): with
// 503 from when on no call is taken any more. With a To tag it is in a dialog.
func (s *Stack) options(req *sip.Request, tx *sip.ServerTx) {
	capabilities := []sip.Header{sip.NewHeader("Accept", accept), sip.NewHeader("Allow-Events", allowEvents)}
	if tagOf(req.To().Params) == "" {
		if refused := s.unsupported(req); refused != nil {
			s.respond(tx, refused)
			return
		}
		if s.door.Closing() {
			s.respond(tx, s.response(req, sip.StatusServiceUnavailable, "", sip.NewHeader("Retry-After", strconv.Itoa(retrySoon))))
			return
		}
		s.respond(tx, s.response(req, sip.StatusOK, "", capabilities...))
		return
	}
	s.inDialog(req, tx, func(d *dialog, t *turn) {
		if refused := s.unsupported(req); refused != nil {
			t.send(refused)
			return
		}
		t.respond(sip.StatusOK, "", append(capabilities, &sip.ContactHeader{Address: *d.contact.Clone()})...)
	})
}

// info takes an INFO: phones send it for keys. One of an info package gets 469, as we ask for none (RFC 6086 section 4.2.2), and one
// with another body 415 (RFC 3261 section 8.2.3), unless that may be ignored; what looks like a key and tells of none is no reason
// to refuse it. Its turn lasts until the key has been told: keys come in the order in which they were pressed.
func (s *Stack) info(d *dialog, t *turn) {
	if d.leg.Err() != nil { // the INVITE's usage, to which it belongs, is over
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	if refused := s.unsupported(t.req); refused != nil {
		t.send(refused)
		return
	}
	contentType, _ := headerValue(t.req, "Content-Type", "c")
	digit, ok := infoDigit(contentType, t.req.Body())
	switch {
	case ok: // whatever else is about it
	case t.req.GetHeader("Info-Package") != nil:
		t.respond(statusBadInfoPackage, "", sip.NewHeader("Recv-Info", ""))
		return
	case len(t.req.Body()) > 0 && !tellsKeys(contentType) && !optionalBody(t.req):
		t.respond(sip.StatusUnsupportedMediaType, "", sip.NewHeader("Accept", acceptInfo))
		return
	}
	t.reply(sip.StatusOK, "")
	if sound := d.leg.Media(); ok && sound != nil {
		sound.Press(digit)
	}
}

// statusBadInfoPackage is that of RFC 6086 section 4.2.2.
const statusBadInfoPackage = 469

// notify hands a NOTIFY to the dialog's referrals, which the INVITE's usage does not end. The turn ends when what follows
// from it has been told: a BYE in the same breath must not end the call before. One that is accepted refreshes the remote
// target (RFC 6665 section 4.4.1).
func (s *Stack) notify(d *dialog, t *turn) {
	d.referrals.notify(t.req, func(code int, reason string, hdrs ...sip.Header) {
		if code/100 == 2 {
			d.refresh(t.req)
		}
		t.reply(code, reason, hdrs...)
	})
}

// unknown refuses the methods that are not served (405), in a dialog and out of one. A request in a dialog that does not
// exist gets 481.
func (s *Stack) unknown(req *sip.Request, tx *sip.ServerTx) {
	if tagOf(req.To().Params) == "" {
		s.suspect(req)
		s.respond(tx, s.response(req, sip.StatusMethodNotAllowed, ""))
		return
	}
	s.inDialog(req, tx, func(_ *dialog, t *turn) { t.respond(sip.StatusMethodNotAllowed, "") })
}
