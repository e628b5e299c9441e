package sipstack

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// tap tells the observer of every message that the sockets carry. To which call a message belongs is known by its SIP
// Call-ID; those of an INVITE that nobody has decided about yet are held until it is bound to a call, or released.
type tap struct {
	observer Observer

	mu      sync.Mutex
	closed  bool
	threads map[string]*thread // by SIP Call-ID
	held    int                // bytes of the messages in undecided threads
	news    sync.Cond          // the observer has been told of something
	leaving *delayed[parting]  // the threads that are over
	past    *ages              // those that were, by SIP Call-ID
}

// parting is a thread that is over, unless it has a call again by then.
type parting struct {
	thread *thread
	turn   int
}

// thread is the messages of one SIP Call-ID.
type thread struct {
	id      string // the SIP Call-ID
	cseq    uint32 // of its INVITE
	decided bool
	over    bool        // its call has ended
	callID  string      // once decided; "": no call
	queue   []Message   // to be told
	queued  int         // how many ever were to be
	told    int         // how many were
	telling bool        // a goroutine is at it
	turn    int         // how many times it was decided about, or its call has ended
	expiry  *time.Timer // when, undecided, it is released
}

const (
	// maxThreads bounds what is remembered. Beyond it, messages of new Call-IDs are told as belonging to no call.
	maxThreads = 100_000
	// maxHeld bounds the messages held for an undecided INVITE (its retransmissions and a few requests), maxHeldBytes
	// those of all together. The rest is told as belonging to no call.
	maxHeld      = 32
	maxHeldBytes = 16 << 20
	// maxUndecided is how long an INVITE may stay undecided; what the parser refuses stays so for ever.
	maxUndecided = 5 * time.Second
	// maxPast bounds what is remembered of threads that are over: some 10,000 calls a second.
	maxPast = 32 << 20
)

// linger is how long what follows the end of a transaction may still arrive: retransmissions are answered for 64*T1.
func linger() time.Duration { return 64 * sip.T1 }

func newTap(o Observer) *tap {
	t := &tap{observer: o, threads: map[string]*thread{}, past: newAges(maxPast)}
	t.news.L = &t.mu
	t.leaving = newDelayed(reduceAfter, t.drop)
	return t
}

// message takes a message off the wire, or one that is to go out; false: it is not to. local is an address as by [addrText].
//
// When it returns, the observer has been told of the message and of all before it, unless nobody has decided yet whose it
// is: what is handled has been told. With one that is to go out, that is written down, too: it follows from nothing that a
// crash may cost. One that came in is not waited for, as everything else behind it would.
func (t *tap) message(in bool, network, local string, remote net.Addr, raw []byte) bool {
	m, ok := sniff(raw)
	return !ok || t.sniffed(m, in, network, local, remote)
}

// sniffed is message for one that has been sniffed.
func (t *tap) sniffed(m sniffed, in bool, network, local string, remote net.Addr) bool {
	callID, ok := t.tell(m, in, network, local, remote)
	if !in && callID != "" {
		t.observer.Await(callID)
	}
	return ok
}

// tell is sniffed without waiting for what is written down. It returns the call that the message belongs to; "": none, or nobody has
// decided yet.
func (t *tap) tell(m sniffed, in bool, network, local string, remote net.Addr) (callID string, ok bool) {
	m.In, m.Transport, m.Local, m.Remote = in, network, local, addrText(remote)
	th := t.thread(m)
	if th == nil {
		t.report("", m.Message)
		return "", true
	}
	t.mu.Lock()
	if !th.decided {
		if !in && m.Code == sip.StatusTrying {
			// The library's, which does not wait. It would end the repetitions of an INVITE that a crash may cost yet.
			t.mu.Unlock()
			return "", false
		}
		if len(th.queue) >= maxHeld || t.held+len(m.Raw) > maxHeldBytes {
			t.mu.Unlock()
			t.report("", m.Message)
			return "", true
		}
		t.held += len(m.Raw)
	}
	th.queued++
	callID = th.callID
	if th.decided && !th.telling && len(th.queue) == 0 { // most messages: a queue of one would be made for each
		t.tellOne(th, m.Message)
	} else {
		th.queue = append(th.queue, m.Message)
	}
	t.flush(th, th.queued)
	return callID, true
}

// aside tells of a message that nothing is done for.
func (t *tap) aside(m sniffed, in bool, network, local string, remote net.Addr) {
	m.In, m.Transport, m.Local, m.Remote = in, network, local, addrText(remote)
	t.report("", m.Message)
}

// knows reports whether a request without a To tag belongs to an INVITE that was let in and is not over: it is a repetition of
// it, most of the time.
func (t *tap) knows(sipCallID string, cseq uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.threads[sipCallID]
	return th != nil && (!th.decided && th.cseq == cseq || th.callID != "" && !th.over)
}

// bound reports whether a SIP Call-ID belongs to a call.
func (t *tap) bound(sipCallID string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.known(sipCallID)
	return th != nil && th.callID != ""
}

// known returns the thread of a SIP Call-ID, or what is remembered of it; nil: none is known. It is called with the lock held.
func (t *tap) known(sipCallID string) *thread {
	if th := t.threads[sipCallID]; th != nil {
		return th
	}
	value, ok := t.past.find([]byte(sipCallID))
	if !ok {
		return nil
	}
	return &thread{id: sipCallID, cseq: binary.BigEndian.Uint32(value), decided: true, over: true, callID: string(value[4:])}
}

// thread returns the thread of a message; nil: it belongs to no call. An INVITE that may start a call opens one.
func (t *tap) thread(m sniffed) *thread {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := t.known(m.SIPCallID)
	if !m.initial || !m.In || t.closed {
		return th
	}
	switch {
	case th == nil:
		if len(t.threads) >= maxThreads {
			return nil
		}
	case th.decided && (th.over || th.callID == "") && th.cseq != m.CSeq: // the caller tries again under the same Call-ID
	default:
		return th
	}
	th = t.open(m.SIPCallID)
	th.cseq = m.CSeq
	return th
}

// open is called with the lock held.
func (t *tap) open(sipCallID string) *thread {
	th := &thread{id: strings.Clone(sipCallID)} // it may be a part of a whole message
	th.expiry = time.AfterFunc(maxUndecided, func() { t.decide(th.id, "", true) })
	t.threads[th.id] = th
	return th
}

// bind says that a SIP Call-ID belongs to a call from now on.
func (t *tap) bind(sipCallID, callID string) { t.decide(sipCallID, callID, false) }

// release says that a SIP Call-ID belongs to no call, unless it belongs to one already.
func (t *tap) release(sipCallID string) { t.decide(sipCallID, "", true) }

func (t *tap) decide(sipCallID, callID string, undecidedOnly bool) {
	t.mu.Lock()
	th := t.threads[sipCallID]
	switch {
	case t.closed || th == nil && undecidedOnly || th != nil && th.decided && undecidedOnly:
		t.mu.Unlock()
		return
	case th == nil:
		th = t.open(sipCallID)
	}
	if !th.decided {
		for _, m := range th.queue {
			t.held -= len(m.Raw)
		}
	}
	th.decided, th.over, th.callID = true, false, callID
	th.turn++
	if th.expiry != nil {
		th.expiry.Stop()
		th.expiry = nil
	}
	if callID == "" {
		t.leaving.put(parting{th, th.turn})
	}
	t.flush(th, th.queued)
}

// ended says that the call of a SIP Call-ID is over: what comes for it is told a while longer.
func (t *tap) ended(sipCallID, callID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if th := t.threads[sipCallID]; th != nil && th.callID == callID && !t.closed {
		th.over = true
		th.turn++
		t.leaving.put(parting{th, th.turn})
	}
}

// drop remembers no more of a thread than what tells whose a late message is.
func (t *tap) drop(p parting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	th := p.thread
	if t.threads[th.id] != th || th.turn != p.turn {
		return
	}
	delete(t.threads, th.id)
	t.past.keep([]byte(th.id), binary.BigEndian.AppendUint32(nil, th.cseq), []byte(th.callID))
}

// tellOne tells of a message before which nothing is queued. It is called with the lock held, and gives it back meanwhile.
func (t *tap) tellOne(th *thread, m Message) {
	th.telling = true
	callID := th.callID
	t.mu.Unlock()
	t.report(callID, m)
	t.mu.Lock()
	th.telling = false
	th.told++
}

// flush tells what is queued, in order and under no lock, up to the given number at the least; it is called with the lock
// held and returns without it. When another goroutine is telling already, that one goes on with what was added.
func (t *tap) flush(th *thread, upTo int) {
	defer t.mu.Unlock()
	if !th.decided {
		return
	}
	for th.telling && th.told < upTo {
		t.news.Wait()
	}
	if th.telling {
		return
	}
	th.telling = true
	for len(th.queue) > 0 {
		batch, callID := th.queue, th.callID
		th.queue = nil
		t.mu.Unlock()
		for _, m := range batch {
			t.report(callID, m)
		}
		t.mu.Lock()
		th.told += len(batch)
		t.news.Broadcast()
	}
	th.telling = false
	t.news.Broadcast()
}

// report tells the observer of a message. It is done where sockets are read, and by timers: a panic of the observer must end neither,
// nor leave the messages behind it untold.
func (t *tap) report(callID string, m Message) {
	defer func() {
		if v := recover(); v != nil {
			t.observer.Panic(callID, v)
		}
	}()
	t.observer.SIP(callID, m)
}

// close forgets everything. What is still held is told as belonging to no call.
func (t *tap) close() {
	t.mu.Lock()
	t.closed = true
	var held []Message
	for id, th := range t.threads {
		if th.expiry != nil {
			th.expiry.Stop()
		}
		if !th.decided {
			held = append(held, th.queue...)
		}
		delete(t.threads, id)
	}
	t.mu.Unlock()
	t.leaving.close()
	t.past.close()
	for _, m := range held {
		t.report("", m)
	}
}
