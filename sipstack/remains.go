package sipstack

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// remains are what is kept of a dialog that has ended for the rest of 64*T1: what late requests in it are answered from, and no
// more. The dialog itself, its leg and that one's sound are some 8 kB. They do not change.
type remains struct {
	given
	callID  string
	hanging bool     // we have hung up
	refers  []uint32 // the CSeqs of its REFERs
}

// given is what the requests of the peer in a dialog got.
type given struct {
	last   uint32            // the highest number let through
	answer answer            // what the request with that number got
	past   map[uint32]answer // of a dialog that another process had, by number; nil: it is none
}

// previous returns what the request with a number got that has been let through before.
func (g given) previous(cseq uint32) answer {
	if a, known := g.past[cseq]; known {
		return a
	}
	if cseq != g.last {
		return answer{}
	}
	return g.answer
}

// remains returns what is to be kept of a dialog that has ended.
func (d *dialog) remains() *remains {
	return &remains{given: d.inbox.given(), callID: d.callID, hanging: d.leg.isHanging(), refers: d.referrals.cseqs()}
}

// knows reports whether a NOTIFY belongs to a REFER of the dialog.
func (r *remains) knows(notify *sip.Request) bool {
	ev, ok := readEvent(notify)
	if !ok || !strings.EqualFold(ev.name, eventRefer) {
		return false
	}
	if ev.id == "" {
		return len(r.refers) > 0
	}
	cseq, ok := ev.cseq()
	return ok && slices.Contains(r.refers, cseq)
}

// late answers a request in a dialog that has ended.
func (s *Stack) late(r *remains, req *sip.Request, tx *sip.ServerTx) {
	switch before := r.previous(req.CSeq().SeqNo); {
	case before.method == string(req.Method) && before.code != 0: // its transaction is gone, or was another process's
		s.respond(tx, s.again(req, before))
	case req.Method == sip.BYE && r.hanging:
		// Both sides hung up at once, and ours was answered first. The peer has what it wants.
		s.respond(tx, s.response(req, sip.StatusOK, ""))
	default:
		s.noDialog(req, tx)
		if req.Method == sip.NOTIFY && r.knows(req) {
			s.observer.LateNotify(r.callID)
		}
	}
}

// find returns the dialog that a request names, or what is left of it; nil and nil: none is known.
func (s *Stack) find(req *sip.Request) (*dialog, *remains) {
	id := dialogOf(req)
	s.mu.Lock()
	d := s.dialogs[id]
	s.mu.Unlock()
	switch {
	case d == nil:
		return nil, s.bygones.dialog(id)
	case d.isGone():
		return nil, d.remains()
	}
	return d, nil
}

// reduceAfter is how long after its end a dialog is whole: what was under way has ended by then.
const reduceAfter = 250 * time.Millisecond

// reduce keeps no more of a dialog that ended a moment ago than its remains, unless something of it is still at work, another process
// had it, or it may have to repeat an ACK (RFC 3261 section 13.2.2.4): then it is whole until it is forgotten.
func (s *Stack) reduce(d *dialog) {
	d.mu.Lock()
	needed := d.invite == nil || d.accepted != nil || d.before != 0
	d.mu.Unlock()
	r := d.remains()
	if needed || r.past != nil || d.referrals.pending() || !d.inbox.idle() {
		s.lingering.put(d)
		return
	}
	s.bygones.keep(d.id, r, d.invite) // before it is not found any more
	s.forget(d)
}

// forget ends the remembering of a whole dialog, and of its INVITE: a copy of that may have come late, too.
func (s *Stack) forget(d *dialog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialogs[d.id] == d {
		delete(s.dialogs, d.id)
	}
	i := d.invite
	if i == nil {
		return
	}
	if s.invites[i.id] == i {
		delete(s.invites, i.id)
	}
	delete(s.returning, i.id)
}

// inviteNamed returns the INVITE of a name that is undecided, or whose dialog is, or was until a while ago; nil: none is known.
func (s *Stack) inviteNamed(id inviteID) *invite {
	s.mu.Lock()
	i := s.invites[id]
	s.mu.Unlock()
	if i != nil {
		return i
	}
	return s.bygones.invite(id)
}

// given returns what the requests in the dialog have got.
func (b *inbox) given() given {
	b.mu.Lock()
	defer b.mu.Unlock()
	return given{last: b.last, answer: b.answer, past: maps.Clone(b.past)}
}

// idle reports whether no request is being handled, or waits for its turn.
func (b *inbox) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.busy && len(b.waiting) == 0
}
