package sipstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// snapshotVersion is that of the snapshots that are written. One of another version is not read: what it leaves out or
// means otherwise could end in a call that nobody can hang up.
const snapshotVersion = 1

// skippedNumbers is by how much the CSeq of a restored dialog is ahead of what is known of it. Gaps are legal, a number
// that was used is not (RFC 3261 section 12.2.1.1).
const skippedNumbers = 100

// snapshot is what a dialog and its session have become, as an [Observer] is told of it and [Stack.Restore] takes it.
// What they were at first stands in the INVITE (both sides, route set, way), and what changes with every message
// (numbers, where the peer was heard) is read from the messages that came after it.
type snapshot struct {
	Version int `json:"version"`

	LocalTag string    `json:"localTag"`
	Contact  string    `json:"contact"`
	Target   string    `json:"target"`
	Flow     savedFlow `json:"flow"`
	Sent     uint32    `json:"sent"`  // CSeq of our newest request
	Heard    uint32    `json:"heard"` // of the peer's that was answered
	Updates  bool      `json:"updates,omitempty"`
	Answered bool      `json:"answered,omitempty"` // its 200 goes out, or has
	RSeq     uint32    `json:"rseq,omitempty"`     // of the newest reliable response before that

	Session savedSession `json:"session"`
	Timer   savedTimer   `json:"timer,omitzero"`
}

// savedFlow is a [flow]: the listener by its network and address, which another process has again.
type savedFlow struct {
	Network string         `json:"network"`
	Local   string         `json:"local"`
	Source  netip.AddrPort `json:"source"`
}

// savedSession is a [session].
type savedSession struct {
	Addr      netip.Addr   `json:"addr"`
	Port      int          `json:"port"`
	SessionID uint64       `json:"sessionId"`
	Number    uint64       `json:"number"` // the version in o=
	Body      string       `json:"body,omitempty"`
	Offer     bool         `json:"offer,omitempty"`
	Agrees    bool         `json:"agrees,omitempty"`
	Untold    bool         `json:"untold,omitempty"`
	Params    media.Params `json:"params"`
}

// savedTimer is a [sessionTimer].
type savedTimer struct {
	Interval time.Duration `json:"interval"`
	Ours     bool          `json:"ours,omitempty"`
	Told     bool          `json:"told,omitempty"`
	Since    time.Time     `json:"since"`
	Least    time.Duration `json:"least,omitempty"`
}

// save tells the observer how the dialog is from now on. It is called before a message goes out after which the peer
// relies on what has changed. Calls of ours are not restored: they run no document.
func (d *dialog) save() {
	if d.ownsCallID || d.leg == nil {
		return
	}
	b, err := json.Marshal(d.snapshot())
	if err != nil { // strings, numbers and times
		d.log().Error("the dialog cannot be written down", zap.Error(err))
		return
	}
	d.stack.observer.Dialog(d.callID, b)
}

func (d *dialog) snapshot() snapshot {
	s := snapshot{
		Version: snapshotVersion, LocalTag: d.id.local, Contact: d.contact.String(), Heard: d.inbox.settled(),
		Answered: d.leg.isAnswered(), RSeq: d.leg.reliable.newest(), Session: d.leg.session.saved(), Timer: d.leg.timer.saved(),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Target, s.Sent, s.Updates = d.target.String(), d.seq, d.updates
	if d.flow.on != nil {
		s.Flow = savedFlow{d.flow.on.network, addrText(d.flow.on.addr), d.flow.source}
	}
	d.saved = d.seq
	return s
}

// rseq is the number of the newest reliable response; 0: none is known.
func (s *snapshot) rseq() uint32 {
	if s == nil {
		return 0
	}
	return s.RSeq
}

// readSnapshot reads what a dialog's save has written.
func readSnapshot(b []byte) (s snapshot, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("the dialog's snapshot: %w", err)
	}
	switch {
	case s.Version != snapshotVersion:
		return s, fmt.Errorf("the dialog's snapshot is of version %d, and this node reads version %d", s.Version, snapshotVersion)
	case s.LocalTag == "" || s.Target == "" || s.Contact == "":
		return s, errors.New("the dialog's snapshot is incomplete")
	}
	return s, nil
}

// resume gives a dialog that its INVITE has made what it had become.
func (d *dialog) resume(s snapshot) error {
	for text, uri := range map[string]*sip.Uri{s.Contact: &d.contact, s.Target: &d.target} {
		var read sip.Uri
		if err := sip.ParseUri(text, &read); err != nil {
			return fmt.Errorf("the dialog's snapshot: URI %q: %w", text, err)
		}
		*uri = read
	}
	d.seq, d.updates = s.Sent, s.Updates
	d.inbox.last = max(d.inbox.last, s.Heard)
	if on := d.stack.listenerAt(s.Flow.Network, s.Flow.Local); on != nil {
		d.flow = flow{on, s.Flow.Source}
	}
	return nil
}

// listenerAt returns the listener of that network and address, or another of the network; nil: there is none.
func (s *Stack) listenerAt(network, local string) *listener {
	bound := s.bound()
	if l := find(bound, func(l *listener) bool { return l.network == network && addrText(l.addr) == local }); l != nil {
		return l
	}
	return find(bound, func(l *listener) bool { return l.network == network })
}

func (c *session) saved() savedSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	return savedSession{
		Addr: c.local.addr, Port: c.local.port, SessionID: c.local.sessionID, Number: c.local.version,
		Untold: c.untold, Body: string(c.body), Offer: c.offer, Agrees: c.agrees, Params: c.params,
	}
}

func (x *sessionTimer) saved() savedTimer {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.terms.interval == 0 && x.least == 0 {
		return savedTimer{}
	}
	return savedTimer{x.terms.interval, x.terms.ours, x.terms.told, x.since, x.least}
}
