package sipstack

import "github.com/emiago/sipgo/sip"

// update handles an UPDATE, before the call is answered or after (RFC 3311 section 5.2). It is answered in its turn, so
// that no second one is there before the first was; and the turn lasts until all that it says is in force.
func (s *Stack) update(d *dialog, t *turn) {
	l := d.leg
	if l.Err() != nil {
		t.respond(sip.StatusCallTransactionDoesNotExists, "")
		return
	}
	timer, refused := l.timing(t.req)
	if refused != nil {
		t.send(refused)
		return
	}
	hdrs := []sip.Header{&sip.ContactHeader{Address: *d.contact.Clone()}}
	if l.isAnswered() {
		hdrs = append(hdrs, timer.answer()...)
	}
	if undescribed(t.req) {
		d.refresh(t.req)
		d.save()
		t.reply(sip.StatusOK, "", hdrs...)
	} else if !s.offered(d, t, hdrs) {
		return
	}
	if l.isAnswered() {
		l.agreeTimer(timer)
	}
}
