package sipstack

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// again has the INVITE handled once more, in the way that it came.
func (r *revival) again() error {
	s, h := r.stack, r.history
	on := s.listenerAt("udp", h.arrived.Local)
	source, err := netip.ParseAddrPort(h.arrived.Remote)
	if on == nil || err != nil {
		return errTransactionGone
	}
	s.mu.Lock()
	s.returning[inviteOf(h.invite)] = r
	s.mu.Unlock()
	on.packets.again = append(on.packets.again, packet{[]byte(h.arrived.Raw), net.UDPAddrFromAddrPort(source)})
	return nil
}

// reopen has an INVITE in the dialog handled again whose final response may not have gone out: its sender does not repeat
// it once it has a provisional one, which the library sends by itself. Over a stream it went with the connection.
func (r *revival) reopen() {
	m := r.history.open
	if m == nil || m.Transport != "udp" || r.foreign {
		return
	}
	on := r.stack.listenerAt("udp", m.Local)
	source, err := netip.ParseAddrPort(m.Remote)
	if on != nil && err == nil {
		on.packets.again = append(on.packets.again, packet{[]byte(m.Raw), net.UDPAddrFromAddrPort(source)})
	}
}

// inviteBefore stands for an INVITE that another process has handled.
func (s *Stack) inviteBefore(h *history) *invite {
	return &invite{stack: s, id: inviteOf(h.invite), via: transactionOf(h.invite), canceled: make(chan struct{})}
}

// returningOf returns the call of another process whose INVITE this is; nil: it is a new one, or a copy.
func (s *Stack) returningOf(i *invite) *revival {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.returning[i.id]
	if r == nil || r.returned {
		return nil
	}
	r.returned = true
	return r
}

// refuse gives an INVITE the final response that it had got. It is a copy of one that is known.
func (r *revival) refuse(i *invite) {
	h := r.history
	_ = i.respond(r.stack.response(i.req, h.refused, ""))
}

// takeUp goes on with an INVITE that another process had let in; nil: that cannot be.
func (r *revival) takeUp(i *invite) *Leg {
	s, h := r.stack, r.history
	defer close(r.taken)
	inv := readInvitation(i.req, s.cfg.PSTNTrunks)
	inv.Time = h.arrived.Time
	leg, err := s.legOf(i, inv, r.saved.CallID, r.snapshot)
	if err != nil {
		_ = i.respond(s.refusal(i.req, err))
		r.dead(err, i)
		return nil
	}
	if snap := r.snapshot; h.reliable || snap != nil && snap.RSeq != 0 {
		leg.reliable.restored(snap.rseq())
	}
	leg.dialog.catchUp(h)
	leg.dialog.mu.Lock()
	leg.dialog.seq = max(leg.dialog.seq, h.sent) + skippedNumbers
	leg.dialog.mu.Unlock()
	switch gone := leg.session.silent; {
	case gone != nil:
		r.unfit = fmt.Errorf("%w: %w", ErrNotRestored, gone)
	case r.snapshot != nil && r.snapshot.Answered:
		r.moved = leg.session.media.Port() != r.snapshot.Session.Port
	}
	r.leg = leg
	if h.canceled {
		i.cancel()
	}
	return leg
}

// untilTaken waits for the INVITE, which is read before all others.
func (r *revival) untilTaken() {
	timer := time.NewTimer(connectTimeout)
	defer timer.Stop()
	select {
	case <-r.taken:
		return
	case <-r.stack.living.Done():
	case <-timer.C:
	}
	s := r.stack
	s.mu.Lock()
	late := r.returned
	r.returned = true
	s.mu.Unlock()
	if late {
		<-r.taken
		return
	}
	r.dead(errTransactionGone, nil)
}
