package scenario

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// NotSeenError is returned when what was expected has not come in the time allowed.
type NotSeenError struct {
	Want   string
	Came   []string // what has come and was not asked for yet
	Ladder string   // everything received and sent so far
	Err    error    // why the wait ended
}

func (e *NotSeenError) Error() string {
	came := "nothing else came"
	if len(e.Came) > 0 {
		came = "what came: " + strings.Join(e.Came, ", ")
	}
	return fmt.Sprintf("%s did not come (%v); %s\n%s", e.Want, e.Err, came, e.Ladder)
}

func (e *NotSeenError) Unwrap() error { return e.Err }

// inbox keeps every message of a phone, received or sent, in order.
type inbox struct {
	mu      sync.Mutex
	start   time.Time
	all     []*Message
	hidden  map[*Message]bool // received, and the phone is still busy with it
	changed chan struct{}     // closed and replaced when there is something new to see
}

func newInbox() *inbox {
	return &inbox{start: time.Now(), hidden: map[*Message]bool{}, changed: make(chan struct{})}
}

// put adds a message. A hidden one is not found until it is shown.
func (b *inbox) put(m *Message, hidden bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, m)
	if hidden {
		b.hidden[m] = true
		return
	}
	b.tell()
}

func (b *inbox) show(m *Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hidden, m)
	b.tell()
}

// tell wakes who waits. The lock is held.
func (b *inbox) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// wait returns the first received message that nobody has been given yet and that wanted accepts.
func (b *inbox) wait(ctx context.Context, want string, wanted func(*Message) bool) (*Message, error) {
	return b.search(ctx, want, func(m *Message) bool { return !m.taken && wanted(m) })
}

// search is wait for messages that somebody may have been given already.
func (b *inbox) search(ctx context.Context, want string, wanted func(*Message) bool) (*Message, error) {
	return b.await(ctx, want, true, wanted)
}

// watch is search, and the message may still be given to somebody else.
func (b *inbox) watch(ctx context.Context, want string, wanted func(*Message) bool) (*Message, error) {
	return b.await(ctx, want, false, wanted)
}

func (b *inbox) await(ctx context.Context, want string, take bool, wanted func(*Message) bool) (*Message, error) {
	for {
		b.mu.Lock()
		for _, m := range b.all {
			if m.in && !m.repeated && !b.hidden[m] && wanted(m) {
				m.taken = m.taken || take
				b.mu.Unlock()
				return m, nil
			}
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, b.notSeen(want, context.Cause(ctx))
		}
	}
}

func (b *inbox) notSeen(want string, err error) error {
	e := &NotSeenError{Want: want, Ladder: b.ladder(), Err: err}
	for _, m := range b.find(func(m *Message) bool { return m.in && !m.taken && !m.repeated }) {
		e.Came = append(e.Came, short(m))
	}
	return e
}

// find returns the messages that wanted accepts, in order. wanted is called with the lock held.
func (b *inbox) find(wanted func(*Message) bool) []*Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*Message
	for _, m := range b.all {
		if wanted(m) {
			found = append(found, m)
		}
	}
	return found
}

// ladder draws all messages, a line each, with the seconds since the phone was made.
func (b *inbox) ladder() string {
	var s strings.Builder
	for _, m := range b.find(func(*Message) bool { return true }) {
		arrow := "-->"
		if m.in {
			arrow = "<--"
		}
		again := ""
		if m.repeated {
			again = "  (again)"
		}
		fmt.Fprintf(&s, "%9.3f %s %-21s %s%s\n", m.Time.Sub(b.start).Seconds(), arrow, m.Peer, short(m), again)
	}
	return s.String()
}

// short names a message in a few words.
func short(m *Message) string {
	number, method := m.CSeq()
	if !m.IsRequest() {
		_, status, _ := strings.Cut(m.Start, " ")
		return fmt.Sprintf("%s (%d %s)", status, number, method)
	}
	s := fmt.Sprintf("%s (%d)", m.Method(), number)
	switch m.Method() {
	case "REFER":
		s += " " + m.Get("Refer-To")
	case "NOTIFY":
		frag, _, _ := strings.Cut(string(m.Body), "\r\n")
		s += " " + frag
	case "malformed":
		return m.Start
	}
	return s
}
