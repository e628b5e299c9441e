package sipstack

import (
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// handle takes a request from sipgo.
func (s *Stack) handle(req *sip.Request, tx *sip.ServerTx) {
	if s.repeats(req, tx) || !s.begin() {
		tx.Terminate()
		return
	}
	s.workers.do(func() { s.handled(req, tx) })
}

// handled handles a request, in a goroutine of its own. What it answers late, or not at all, keeps nobody else waiting.
func (s *Stack) handled(req *sip.Request, tx *sip.ServerTx) {
	defer s.tasks.Done()
	defer s.settle(req, tx)
	defer s.recovered(req, tx)
	if code := unacceptable(req); code != 0 {
		if !req.IsAck() {
			s.suspect(req)
			s.respond(tx, s.response(req, code, ""))
		}
		s.tap.release(callIDOf(req))
		return
	}
	if s.rationed(req, tx) {
		return
	}
	switch req.Method {
	case sip.INVITE:
		if s.initial(req) {
			s.invite(req, tx)
		} else {
			s.inDialog(req, tx, s.reinvite)
		}
	case sip.ACK:
		s.ack(req)
	case sip.CANCEL:
		s.strayCancel(req, tx)
	case sip.BYE:
		s.inDialog(req, tx, s.bye)
	case sip.OPTIONS:
		s.options(req, tx)
	case sip.INFO:
		s.inDialog(req, tx, s.info)
	case sip.PRACK:
		s.inDialog(req, tx, s.prack)
	case sip.UPDATE:
		s.inDialog(req, tx, s.update)
	case sip.NOTIFY:
		s.inDialog(req, tx, s.notify)
	default:
		s.unknown(req, tx)
	}
}

// recovered ends a panic of a handler: the process goes on, and the peer gets 500.
func (s *Stack) recovered(req *sip.Request, tx *sip.ServerTx) {
	v := recover()
	if v == nil {
		return
	}
	var callID string
	if req.CallID() != nil && req.To() != nil && req.From() != nil {
		switch d, ended := s.find(req); {
		case d != nil:
			callID = d.callID
		case ended != nil:
			callID = ended.callID
		}
	}
	s.observer.Panic(callID, v)
	if !req.IsAck() {
		s.respond(tx, s.response(req, sip.StatusInternalServerError, ""))
	}
}

// unacceptable returns the final response to a request that cannot be handled at all, 0 for others (RFC 3261 section
// 8.2).
func unacceptable(req *sip.Request) int {
	cseq := req.CSeq()
	switch {
	case req.SipVersion != "SIP/2.0":
		return sip.StatusVersionNotSupported
	case req.From() == nil || req.To() == nil || req.CallID() == nil || cseq == nil || req.Via() == nil:
		return sip.StatusBadRequest
	case !strings.EqualFold(string(cseq.MethodName), string(req.Method)):
		return sip.StatusBadRequest
	}
	switch strings.ToLower(req.Recipient.Scheme) {
	case "sip", "sips", "tel", "":
		return 0
	}
	return 416
}

// turn is a request of the peer in a dialog whose turn it is.
type turn struct {
	stack  *Stack
	req    *sip.Request
	tx     *sip.ServerTx
	leave  func(answer) // ends the turn; may be called again
	answer answer
}

// respond answers and ends the turn: what follows in the dialog may be handled now.
func (t *turn) respond(code int, reason string, hdrs ...sip.Header) {
	t.send(t.stack.response(t.req, code, reason, hdrs...))
}

func (t *turn) send(res *sip.Response) {
	t.tell(res)
	t.leave(t.answer)
}

// reply answers without ending the turn.
func (t *turn) reply(code int, reason string, hdrs ...sip.Header) {
	t.tell(t.stack.response(t.req, code, reason, hdrs...))
}

func (t *turn) tell(res *sip.Response) {
	if err := t.stack.answer(t.tx, res); err != nil {
		t.stack.log.Debug("response not sent", zap.Int("code", res.StatusCode), zap.Error(err))
	}
	t.answer = answer{method: string(t.req.Method), code: res.StatusCode, reason: res.Reason}
}

// inDialog handles a request in a dialog when its turn has come. One without a dialog gets 481 (RFC 3261 section 12.2.2).
func (s *Stack) inDialog(req *sip.Request, tx *sip.ServerTx, handle func(*dialog, *turn)) {
	d, ended := s.find(req)
	switch {
	case ended != nil:
		s.late(ended, req, tx)
		return
	case d == nil:
		if !s.handOver(req, tx) {
			s.noDialog(req, tx)
		}
		return
	}
	switch d.inbox.enter(req.CSeq().SeqNo) {
	case outdated:
		s.respond(tx, s.response(req, sip.StatusInternalServerError, "CSeq Out Of Order"))
		return
	case repeated:
		s.respond(tx, s.again(req, d.inbox.previous(req.CSeq().SeqNo)))
		return
	}
	if !isHanded(req) {
		d.heard(flow{on: s.arrivedOn(tx, d), source: sourceOf(req)})
	}
	d.learn(req)
	left := false
	t := &turn{stack: s, req: req, tx: tx, leave: func(a answer) {
		if !left {
			left = true
			d.inbox.leave(a)
		}
	}}
	defer func() { t.leave(t.answer) }()
	handle(d, t)
}

// again answers a request that came under the CSeq of one before it, on another transaction: as that was answered, and
// without being handled. An answer with a body cannot be given twice.
func (s *Stack) again(req *sip.Request, previous answer) *sip.Response {
	switch {
	case req.IsInvite():
		return s.response(req, sip.StatusLoopDetected, "")
	case previous.method != string(req.Method) || previous.code == 0:
		return s.response(req, sip.StatusInternalServerError, "CSeq Out Of Order")
	}
	return s.response(req, previous.code, previous.reason)
}

// noDialog refuses a request in a dialog that we do not know.
func (s *Stack) noDialog(req *sip.Request, tx *sip.ServerTx) {
	s.respond(tx, s.response(req, sip.StatusCallTransactionDoesNotExists, ""))
}

// arrivedOn returns the listener that a transaction's request came in at.
func (s *Stack) arrivedOn(tx *sip.ServerTx, d *dialog) *listener {
	if l := s.listenerOf(tx); l != nil {
		return l
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flow.on
}

// listenerOf returns the listener of a transaction's connection, for one that we dialled that by which we did. Of a
// connection that has gone meanwhile it is the first of its transport and port, or else of its transport.
func (s *Stack) listenerOf(tx *sip.ServerTx) *listener {
	bound := s.bound()
	switch c := tx.Connection().(type) {
	case *sip.TCPConnection:
		if o, ok := c.Conn.(*observedConn); ok {
			return find(bound, func(l *listener) bool { return l.streams == o.listener })
		}
	case *sip.UDPConnection:
		if p, ok := c.PacketConn.(*packetListener); ok {
			return find(bound, func(l *listener) bool { return l.packets == p })
		}
	}
	network := sip.NetworkToLower(tx.Origin().Transport())
	port := addrPort(tx.Connection().LocalAddr()).Port()
	if l := find(bound, func(l *listener) bool { return l.network == network && addrPort(l.addr).Port() == port }); l != nil {
		return l
	}
	return find(bound, func(l *listener) bool { return l.network == network })
}

// find returns the first listener that fits; nil: none.
func find(bound []*listener, fits func(*listener) bool) *listener {
	if i := slices.IndexFunc(bound, fits); i >= 0 {
		return bound[i]
	}
	return nil
}

// pause waits for d, or the stack's end.
func (s *Stack) pause(d time.Duration, sooner <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-sooner:
	case <-s.living.Done():
	}
}

func callIDOf(req *sip.Request) string {
	if h := req.CallID(); h != nil {
		return h.Value()
	}
	return ""
}
