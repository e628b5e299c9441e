package sipstack

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// inviteID names an INVITE whatever way it came (RFC 3261 section 8.2.2.2).
type inviteID struct {
	callID, tag string
	cseq        uint32
}

// transactionOf returns what the topmost Via of a request names its transaction by (RFC 3261 section 17.2.3): the sent-by and the branch.
func transactionOf(req *sip.Request) string {
	via := req.Via()
	if via == nil {
		return ""
	}
	return via.SentBy() + " " + branchOf(req)
}

func inviteOf(req *sip.Request) inviteID {
	return inviteID{req.CallID().Value(), tagOf(req.From().Params), req.CSeq().SeqNo}
}

// invite is an initial INVITE and its server transaction. The goroutine that handles it is the only one that answers it.
type invite struct {
	stack *Stack
	req   *sip.Request  // nil once it has been handled: a long call is not to keep it
	tx    *sip.ServerTx // as req
	id    inviteID
	via   string // what its topmost Via names its transaction by

	admitted bool // a call was made of it

	canceled chan struct{} // closed when the caller gave up
	once     sync.Once
}

// cancel says that the caller gave up. It only signals: sipgo calls it under the transaction's locks.
func (i *invite) cancel() { i.once.Do(func() { close(i.canceled) }) }

func (i *invite) isCanceled() bool {
	select {
	case <-i.canceled:
		return true
	default:
		return false
	}
}

// respond answers the INVITE. When a CANCEL was faster, sipgo has sent 487 and reports that; but what it repeats from
// then on is the response given here, so the 487 is put back.
func (i *invite) respond(res *sip.Response) error {
	send := i.tx.Respond
	if i.admitted {
		send = func(res *sip.Response) error { return i.stack.answer(i.tx, res) }
	}
	err := send(res)
	if errors.Is(err, sip.ErrTransactionCanceled) {
		i.cancel()
		i.terminated()
		return ErrCanceled
	}
	return err
}

// terminated answers 487. After a CANCEL that sipgo has matched it changes nothing but what is repeated.
func (i *invite) terminated() {
	_ = i.tx.Respond(i.stack.response(i.req, sip.StatusRequestTerminated, ""))
}

// invite handles an initial INVITE, and stays until it has its final response and, where that is a 2xx, its ACK.
func (s *Stack) invite(req *sip.Request, tx *sip.ServerTx) {
	i := &invite{stack: s, req: req, tx: tx, id: inviteOf(req), via: transactionOf(req), canceled: make(chan struct{})}
	r := s.returningOf(i)
	if r != nil && r.history.refused != 0 {
		r.refuse(i)
		return
	}
	if retry := s.unasked(i, r); retry > 0 {
		s.respond(tx, s.refusal(req, &StatusError{Method: "INVITE", Code: sip.StatusServiceUnavailable, RetryAfter: retry}))
		return
	}
	if known := s.claim(i); known != nil {
		if known.via != i.via { // RFC 3261 section 8.2.2.2: the same request, come by another way.
			s.respond(tx, s.response(req, sip.StatusLoopDetected, ""))
		}
		return
	}
	if !tx.OnCancel(func(*sip.Request) { i.cancel() }) {
		i.cancel()
	}
	if r != nil {
		i.admitted = true
		_ = i.respond(s.response(req, sip.StatusTrying, "")) // as below
		if leg := r.takeUp(i); leg != nil {
			leg.run(i)
			i.req, i.tx = nil, nil
		}
		return
	}
	leg, adm := s.admit(i)
	if leg == nil {
		s.disown(i)
		s.tap.release(i.id.callID)
		return
	}
	i.admitted = true
	// It ends the repetitions of the INVITE, and sipgo's own would come soon. The observer has been told of the INVITE: a
	// caller whose INVITE is forgotten in a crash sends it again.
	_ = i.respond(s.response(req, sip.StatusTrying, ""))
	source := sourceOf(req).Addr()
	s.door.sources.arrived(source, time.Now())
	if i.isCanceled() || !s.spawn(func() {
		defer func() { s.door.sources.left(source, time.Now()) }()
		leg.served(adm)
	}) {
		s.door.sources.left(source, time.Now())
		i.terminated()
		leg.over(ErrCanceled)
		adm.Abandon()
		return
	}
	leg.run(i)
	i.req, i.tx = nil, nil
}

// unasked returns the Retry-After of an INVITE for which there is no room, where the door was not asked about it: what was sniffed
// of it did not look as if it opened a call. 0: it was, or there is.
func (s *Stack) unasked(i *invite, returning *revival) (retryAfter int) {
	if returning != nil || s.tap.knows(i.id.callID, i.req.CSeq().SeqNo) {
		return 0
	}
	return s.door.Full(0)
}

// claim notes an INVITE. It returns the one that is known by its name before, if there is one.
func (s *Stack) claim(i *invite) (known *invite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known = s.invites[i.id]; known != nil {
		return known
	}
	if known = s.bygones.invite(i.id); known != nil {
		return known
	}
	s.invites[i.id] = i
	return nil
}

func (s *Stack) disown(i *invite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.invites[i.id] == i {
		delete(s.invites, i.id)
	}
}

// admit decides about an INVITE: in this order its way here, its extensions, who sends it, its session timer, the
// application, its offer, a port for its sound. nil: it was refused.
func (s *Stack) admit(i *invite) (*Leg, Admission) {
	if refused := s.downgraded(i.req, s.listenerOf(i.tx)); refused != nil {
		_ = i.respond(refused)
		return nil, nil
	}
	if refused := s.incapable(i.req); refused != nil {
		_ = i.respond(refused)
		return nil, nil
	}
	if !s.authenticated(i) {
		return nil, nil
	}
	if _, refused := new(sessionTimer).proposed(s, i.req); refused != nil {
		_ = i.respond(refused)
		return nil, nil
	}
	inv := readInvitation(i.req, s.cfg.PSTNTrunks)
	adm, err := s.ask(inv)
	if err != nil {
		if status := (*StatusError)(nil); errors.As(err, &status) && status.Code == sip.StatusNotFound {
			s.suspect(i.req)
		}
		_ = i.respond(s.refusal(i.req, err))
		return nil, nil
	}
	s.tap.bind(i.id.callID, adm.CallID())
	leg, err := s.newLeg(i, inv, adm.CallID())
	if err != nil {
		_ = i.respond(s.refusal(i.req, err))
		adm.Abandon()
		s.tap.ended(i.id.callID, adm.CallID())
		return nil, nil
	}
	return leg, adm
}

func (s *Stack) ask(inv Invitation) (Admission, error) {
	if s.onInvite == nil {
		return nil, &StatusError{Method: "INVITE", Code: sip.StatusNotFound}
	}
	return s.onInvite(inv)
}

// refusal is the final response that an error stands for.
func (s *Stack) refusal(req *sip.Request, err error) *sip.Response {
	status := &StatusError{Code: sip.StatusInternalServerError}
	errors.As(err, &status)
	if status.Code < 300 || status.Code > 699 {
		status = &StatusError{Code: sip.StatusInternalServerError}
	}
	res := s.response(req, status.Code, status.Reason)
	if status.Code == sip.StatusUnsupportedMediaType {
		res.AppendHeader(sip.NewHeader("Accept", accept))
	}
	if status.RetryAfter > 0 {
		res.AppendHeader(sip.NewHeader("Retry-After", strconv.Itoa(status.RetryAfter)))
	}
	return res
}

// cancelWait is how long a CANCEL that matches nothing waits for its INVITE: when both arrive in one breath it may be
// handled first.
const cancelWait = 50 * time.Millisecond

// strayCancel handles a CANCEL that sipgo found no INVITE transaction for (RFC 3261 section 9.2).
func (s *Stack) strayCancel(req *sip.Request, tx *sip.ServerTx) {
	s.pause(cancelWait, nil)
	i := s.inviteNamed(inviteOf(req))
	if i == nil || i.via != transactionOf(req) {
		if d := s.dialog(req); d != nil && d.awaitsAck(req.CSeq().SeqNo) { // a re-INVITE, which has its 2xx
			s.respond(tx, s.response(req, sip.StatusOK, ""))
			return
		}
		s.noDialog(req, tx)
		return
	}
	s.respond(tx, s.response(req, sip.StatusOK, ""))
	i.cancel()
}
