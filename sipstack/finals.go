package sipstack

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"time"
)

// finals remembers the final responses to requests that came over UDP, for as long as these may be repeated: 64*T1, which is
// timer J of a server transaction (RFC 3261 section 17.2.2), and timer L of one of an INVITE that got a 2xx (RFC 6026 section 7.1).
//
// sipgo would keep the request and the response as they are parsed, and a timer, for each: some 4 kB in a hundred pieces, which
// the collector of garbage looks at again and again. Here a response is its bytes, in pieces of memory that many share, and is
// forgotten with all of the same few seconds. Its methods may be called by several goroutines at once. A nil one remembers nothing.
type finals struct {
	most  int // bytes kept; beyond them the oldest are forgotten before their time
	seed  maphash.Seed
	begun time.Time

	mu     sync.Mutex
	ages   []*age // the oldest first
	kept   int    // bytes in all of them
	expiry *time.Timer
	closed bool
}

// age is what was answered within a few seconds.
type age struct {
	since  time.Time
	where  map[uint64]place // by hash of the transaction's key
	pieces [][]byte
}

// place is the number of a piece, and the offset in it.
type place struct{ piece, offset uint32 }

const (
	// maxFinals bounds what is remembered: the responses to some 3,500 requests a second.
	maxFinals = 64 << 20
	// ageParts is how many ages there are in 64*T1, and one more.
	ageParts = 8
	// Of what size a piece is: the first of an age, so that a calm stack keeps little, and the largest.
	smallestPiece, largestPiece = 4 << 10, 64 << 10
)

func newFinals(most int) *finals {
	return &finals{most: most, seed: maphash.MakeSeed(), begun: time.Now()}
}

// keep remembers that the transaction with a key, which is one of [appendKey], has sent this final response to that address.
func (f *finals) keep(key []byte, to netip.AddrPort, res []byte) {
	if f == nil || to.Addr().Zone() != "" || len(key)+len(res) > math.MaxUint16 {
		return
	}
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	g := f.age(now)
	size := answerHead + len(key) + len(res)
	n := len(g.pieces)
	if n == 0 || cap(g.pieces[n-1])-len(g.pieces[n-1]) < size {
		piece := max(size, min(smallestPiece<<n, largestPiece))
		for f.kept+piece > f.most && len(f.ages) > 0 {
			f.forget()
		}
		if len(f.ages) == 0 { // this one was the oldest, too
			g = f.age(now)
		}
		g.pieces = append(g.pieces, make([]byte, 0, piece))
		f.kept += piece
		n = len(g.pieces)
	}
	p := g.pieces[n-1]
	g.where[maphash.Bytes(f.seed, key)] = place{uint32(n - 1), uint32(len(p))}
	g.pieces[n-1] = appendAnswer(p, now.Sub(f.begun), key, to, res)
}

// find returns the final response of the transaction with a key, and where it went; false: none is known, or not any more. The
// response must not be changed.
func (f *finals) find(key []byte) (res []byte, to netip.AddrPort, ok bool) {
	if f == nil {
		return nil, to, false
	}
	hash, now := maphash.Bytes(f.seed, key), time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.ages) - 1; i >= 0; i-- {
		at, known := f.ages[i].where[hash]
		if !known {
			continue
		}
		when, of, to, res := readAnswer(f.ages[i].pieces[at.piece][at.offset:])
		return res, to, bytes.Equal(of, key) && now.Sub(f.begun)-when < linger()
	}
	return nil, to, false
}

// age returns the age that a moment belongs to. Its caller holds the lock.
func (f *finals) age(now time.Time) *age {
	if n := len(f.ages); n > 0 && now.Sub(f.ages[n-1].since) < linger()/ageParts {
		return f.ages[n-1]
	}
	g := &age{since: now, where: map[uint64]place{}}
	f.ages = append(f.ages, g)
	if f.expiry == nil {
		f.expiry = time.AfterFunc(f.until(now), f.expire)
	}
	return g
}

// until is how long it takes until the oldest age has gone by, with all that was answered in it. Its caller holds the lock.
func (f *finals) until(now time.Time) time.Duration {
	return f.ages[0].since.Add(linger() + linger()/ageParts).Sub(now)
}

// expire forgets the ages that have gone by.
func (f *finals) expire() {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.ages) > 0 && f.until(now) <= 0 {
		f.forget()
	}
	if len(f.ages) == 0 {
		f.expiry = nil
		return
	}
	f.expiry.Reset(f.until(now))
}

// forget forgets the oldest age. Its caller holds the lock.
func (f *finals) forget() {
	for _, p := range f.ages[0].pieces {
		f.kept -= cap(p)
	}
	f.ages[0] = nil
	f.ages = f.ages[1:]
}

// close forgets everything, for good.
func (f *finals) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed, f.ages, f.kept = true, nil, 0
	if f.expiry != nil {
		f.expiry.Stop()
	}
}

// answerHead is how many bytes an answer has before its key: when it was given, since [finals.begun], the address, and how long
// the key and the response are.
const answerHead = 8 + 16 + 2 + 2 + 2

// appendAnswer writes an answer behind others.
func appendAnswer(b []byte, when time.Duration, key []byte, to netip.AddrPort, res []byte) []byte {
	ip := to.Addr().As16()
	b = binary.BigEndian.AppendUint64(b, uint64(when))
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(res)))
	return append(append(b, key...), res...)
}

// readAnswer reads what appendAnswer has written.
func readAnswer(b []byte) (when time.Duration, key []byte, to netip.AddrPort, res []byte) {
	when = time.Duration(binary.BigEndian.Uint64(b))
	to = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), binary.BigEndian.Uint16(b[24:]))
	keyEnd := answerHead + int(binary.BigEndian.Uint16(b[26:]))
	end := keyEnd + int(binary.BigEndian.Uint16(b[28:]))
	return when, b[answerHead:keyEnd], to, b[keyEnd:end:end]
}
