package sipstack

import (
	"sync"
	"time"
)

// maxStrange bounds the requests outside of dialogs that are handled in 64*T1: so long each is remembered, in [finals] or, with
// some 5 kB, as a transaction of sipgo's.
const maxStrange = 4096

// recently counts what is still remembered: over UDP that is everything of the last 64*T1. The zero value lets
// nothing in.
type recently struct {
	most int

	mu    sync.Mutex
	slots [64]int // by second
	last  int64   // the newest second
	sum   int
}

// add counts one more; false: there are too many.
func (r *recently) add(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	second, kept := now.Unix(), int64(linger()/time.Second)+1
	kept = min(max(kept, 1), int64(len(r.slots)))
	if second > r.last {
		for s := max(r.last+1, second-int64(len(r.slots))+1); s <= second; s++ {
			r.slots[s%int64(len(r.slots))] = 0
		}
		r.last = second
	}
	r.sum = 0
	for s := r.last - kept + 1; s <= r.last; s++ {
		r.sum += r.slots[((s%64)+64)%64]
	}
	if r.sum >= r.most {
		return false
	}
	r.slots[r.last%int64(len(r.slots))]++
	return true
}
