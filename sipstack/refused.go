package sipstack

import (
	"hash/maphash"
	"sync"
	"time"
)

// refused remembers which INVITEs there was no room for. A phone that repeats one before the 503 reaches it has it as an answer to
// both: were the second copy let in, the node would have a call that nobody is on. Nothing but the 503 may answer it (RFC 3261
// section 8.2.7). When more come than there are places the older ones are forgotten. Its methods may be called by
// several goroutines at once. The zero value remembers nothing yet.
type refused struct {
	mu     sync.Mutex
	seed   maphash.Seed
	places []refusal // made when the first is refused
}

// refusal is an INVITE that got a 503.
type refusal struct {
	name       uint64
	until      int64 // in seconds of the Unix epoch
	retryAfter int
}

// maxRefused is a power of 2: with 1,000 refusals a second most are remembered for longer than their second repetition takes.
const maxRefused = 1 << 14

// add remembers that a request was refused with this Retry-After.
func (r *refused) add(m sniffed, retryAfter int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.places == nil {
		r.seed, r.places = maphash.MakeSeed(), make([]refusal, maxRefused)
	}
	name := r.name(m)
	r.places[name%maxRefused] = refusal{name, now.Add(linger()).Unix(), retryAfter}
}

// again returns the Retry-After of a request that was refused before; 0: it was not, or that is forgotten.
func (r *refused) again(m sniffed, now time.Time) (retryAfter int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.places == nil {
		return 0
	}
	name := r.name(m)
	if p := r.places[name%maxRefused]; p.name == name && now.Unix() < p.until {
		return p.retryAfter
	}
	return 0
}

// name is what all copies of a request have, and no other: its topmost Via with the branch, Call-ID and CSeq. It is called with
// the lock held.
func (r *refused) name(m sniffed) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(m.via)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(m.SIPCallID)
	for n := m.CSeq; n > 0; n >>= 8 {
		_ = h.WriteByte(byte(n))
	}
	return h.Sum64()
}
