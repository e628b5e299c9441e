package sipstack

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"sync"
	"time"
)

// ages remembers what is over for 64*T1, as long as what is late may still come (RFC 3261 sections 13.3.1.4 and 17.2), as bytes
// under a key. They lie in pieces of memory that many share, of which the collector of garbage has nothing to look at, and are
// forgotten with all of the same few seconds: no timer is needed for each. Its methods may be called by several goroutines at once.
type ages struct {
	most  int // bytes kept; beyond them the oldest are forgotten before their time
	seed  maphash.Seed
	begun time.Time

	mu     sync.Mutex
	ages   []*age // the oldest first
	kept   int    // bytes in all of them
	expiry *time.Timer
	closed bool
}

// age is what was over within a few seconds.
type age struct {
	since  time.Time
	where  map[uint64]place // by hash of the key
	pieces [][]byte
}

// place is the number of a piece, and the offset in it.
type place struct{ piece, offset uint32 }

const (
	// ageParts is how many ages there are in 64*T1, and one more.
	ageParts = 8
	// Of what size a piece is: the first of an age, so that a calm stack keeps little, and the largest, after so many that double.
	smallestPiece = 4 << 10
	doublings     = 4
	largestPiece  = smallestPiece << doublings
)

func newAges(most int) *ages {
	return &ages{most: most, seed: maphash.MakeSeed(), begun: time.Now()}
}

// keep remembers something under a key, in place of what is remembered under it. What has 64 KiB or more is not: it came in no packet.
func (a *ages) keep(key []byte, parts ...[]byte) {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	if len(key) > math.MaxUint16 || length > math.MaxUint16 {
		return
	}
	size := entryHead + len(key) + length
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	g := a.age(now)
	n := len(g.pieces)
	if n == 0 || cap(g.pieces[n-1])-len(g.pieces[n-1]) < size {
		piece := max(size, smallestPiece<<min(n, doublings))
		for a.kept+piece > a.most && len(a.ages) > 0 {
			a.forget()
		}
		if len(a.ages) == 0 { // this one was the oldest, too
			g = a.age(now)
		}
		g.pieces = append(g.pieces, make([]byte, 0, piece))
		a.kept += piece
		n = len(g.pieces)
	}
	p := g.pieces[n-1]
	g.where[maphash.Bytes(a.seed, key)] = place{uint32(n - 1), uint32(len(p))}
	p = binary.BigEndian.AppendUint64(p, uint64(now.Sub(a.begun)))
	p = binary.BigEndian.AppendUint16(p, uint16(len(key)))
	p = binary.BigEndian.AppendUint16(p, uint16(length))
	p = append(p, key...)
	for _, part := range parts {
		p = append(p, part...)
	}
	g.pieces[n-1] = p
}

// entryHead is how many bytes an entry has before its key: when it was made, since [ages.begun], and how long its key and the rest are.
const entryHead = 8 + 2 + 2

// find returns what is remembered under a key, which must not be changed; false: nothing is, or not any more.
func (a *ages) find(key []byte) (value []byte, ok bool) {
	hash, now := maphash.Bytes(a.seed, key), time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := len(a.ages) - 1; i >= 0; i-- {
		at, known := a.ages[i].where[hash]
		if !known {
			continue
		}
		entry := a.ages[i].pieces[at.piece][at.offset:]
		when := time.Duration(binary.BigEndian.Uint64(entry))
		keyEnd := entryHead + int(binary.BigEndian.Uint16(entry[8:]))
		end := keyEnd + int(binary.BigEndian.Uint16(entry[10:]))
		return entry[keyEnd:end:end], bytes.Equal(entry[entryHead:keyEnd], key) && now.Sub(a.begun)-when < linger()
	}
	return nil, false
}

// age returns the age that a moment belongs to. Its caller holds the lock.
func (a *ages) age(now time.Time) *age {
	if n := len(a.ages); n > 0 && now.Sub(a.ages[n-1].since) < linger()/ageParts {
		return a.ages[n-1]
	}
	g := &age{since: now, where: map[uint64]place{}}
	a.ages = append(a.ages, g)
	if a.expiry == nil {
		a.expiry = time.AfterFunc(a.until(now), a.expire)
	}
	return g
}

// until is how long it takes until the oldest age has gone by, with all that is in it. Its caller holds the lock.
func (a *ages) until(now time.Time) time.Duration {
	return a.ages[0].since.Add(linger() + linger()/ageParts).Sub(now)
}

// expire forgets the ages that have gone by.
func (a *ages) expire() {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.ages) > 0 && a.until(now) <= 0 {
		a.forget()
	}
	if len(a.ages) == 0 {
		a.expiry = nil
		return
	}
	a.expiry.Reset(a.until(now))
}

// forget forgets the oldest age. Its caller holds the lock.
func (a *ages) forget() {
	for _, p := range a.ages[0].pieces {
		a.kept -= cap(p)
	}
	a.ages[0] = nil
	a.ages = a.ages[1:]
}

// close forgets everything, for good.
func (a *ages) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed, a.ages, a.kept = true, nil, 0
	if a.expiry != nil {
		a.expiry.Stop()
	}
}
