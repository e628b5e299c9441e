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
	invite  *invite  // copies of which are known; nil: the call is ours
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
	return &remains{given: d.inbox.given(), callID: d.callID, invite: d.invite, hanging: d.leg.isHanging(), refers: d.referrals.cseqs()}
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
	d, r := s.dialogs[id], s.ended[id]
	s.mu.Unlock()
	if d != nil && d.isGone() {
		return nil, d.remains()
	}
	return d, r
}

// reduceAfter is how long after its end a dialog is whole: what was under way has ended by then.
const reduceAfter = 2 * time.Second

// reduce keeps no more of a dialog that ended a moment ago than its remains, unless something of it is still at work, or it may
// have to repeat an ACK (RFC 3261 section 13.2.2.4).
func (s *Stack) reduce(d *dialog) {
	defer s.lingering.put(d.id)
	d.mu.Lock()
	needed := d.invite == nil || d.accepted != nil || d.before != 0
	d.mu.Unlock()
	if needed || d.referrals.pending() || !d.inbox.idle() {
		return
	}
	r := d.remains()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialogs[d.id] == d {
		delete(s.dialogs, d.id)
		s.ended[d.id] = r
	}
}

// forget ends the remembering of a dialog that is gone, and of its INVITE: a copy of that may have come late, too.
func (s *Stack) forget(id dialogID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var i *invite
	if d := s.dialogs[id]; d != nil {
		i = d.invite
	} else if r := s.ended[id]; r != nil {
		i = r.invite
	}
	delete(s.dialogs, id)
	delete(s.ended, id)
	if i == nil {
		return
	}
	if s.invites[i.id] == i {
		delete(s.invites, i.id)
	}
	delete(s.returning, i.id)
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
