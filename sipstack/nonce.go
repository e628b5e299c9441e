package sipstack

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// nonces makes the nonces of our challenges and knows which of them may be used (RFC 7616 section 3.3). Nothing is kept
// of one until somebody has signed with it who knows a password: a nonce says itself when it was made, and that it is ours.
type nonces struct {
	secret   [32]byte
	lifetime time.Duration

	mu    sync.Mutex
	used  map[string]*usedNonce
	order []string  // of used, by first use
	floor time.Time // nonces made until then are taken for old: those that are not remembered any more
}

// usedNonce is a nonce with which somebody has signed.
type usedNonce struct {
	made  time.Time
	count uint64 // the highest nonce count so far
}

// maxNonces bounds what is remembered. Beyond it the nonces that were used first grow old before their time.
const maxNonces = 1 << 16

// A nonce is the time that it was made, in nanoseconds, a random number, and an authentication code over both.
const (
	nonceSalt = 8
	nonceCode = 16
	nonceSize = 8 + nonceSalt + nonceCode
)

func newNonces(lifetime time.Duration) *nonces {
	n := &nonces{lifetime: lifetime, used: map[string]*usedNonce{}}
	_, _ = rand.Read(n.secret[:]) // never fails
	return n
}

func (n *nonces) make(now time.Time) string {
	b := make([]byte, 8+nonceSalt, nonceSize)
	binary.BigEndian.PutUint64(b, uint64(now.UnixNano()))
	_, _ = rand.Read(b[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, n.code(b)...))
}

func (n *nonces) code(b []byte) []byte {
	mac := hmac.New(sha256.New, n.secret[:])
	mac.Write(b)
	return mac.Sum(nil)[:nonceCode]
}

// made returns when a nonce was made; false: it is none of ours.
func (n *nonces) made(nonce string) (time.Time, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != nonceSize || !hmac.Equal(b[8+nonceSalt:], n.code(b[:8+nonceSalt])) {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))), true
}

// use notes that a nonce was used under a nonce count by somebody who knows a password. It returns why it must not be:
// AuthStale or AuthReplay; "": it may.
func (n *nonces) use(nonce string, count uint64, now time.Time) string {
	made, ours := n.made(nonce)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !ours || now.Sub(made) > n.lifetime || !made.After(n.floor) {
		return AuthStale
	}
	u := n.used[nonce]
	switch {
	case u == nil:
		n.remember(nonce, &usedNonce{made: made, count: count}, now)
	case count <= u.count:
		return AuthReplay
	default:
		u.count = count
	}
	return ""
}

// remember is called with the lock held.
func (n *nonces) remember(nonce string, u *usedNonce, now time.Time) {
	for len(n.order) > 0 {
		first := n.used[n.order[0]]
		if len(n.order) < maxNonces && now.Sub(first.made) <= n.lifetime {
			break
		}
		if now.Sub(first.made) <= n.lifetime && first.made.After(n.floor) {
			n.floor = first.made
		}
		delete(n.used, n.order[0])
		n.order = n.order[1:]
	}
	n.used[nonce] = u
	n.order = append(n.order, nonce)
}
