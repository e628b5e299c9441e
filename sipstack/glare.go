package sipstack

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Offers that cross: one INVITE at a time is under way in a dialog, in either direction, and one offer (RFC 3261 section
// 14, RFC 3311 section 5).

// inviting takes the dialog's INVITE for one of ours; false: one is under way, of ours or of the peer.
func (d *dialog) inviting() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ours || d.acks != nil {
		return false
	}
	d.ours = true
	return true
}

// invited ends what inviting began.
func (d *dialog) invited() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ours = false
}

// offerPending reports whether an offer of ours waits for its answer.
func (d *dialog) offerPending() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ours
}

// glareWait is how long whoever got a 491 waits (RFC 3261 section 14.1). The two sides' times do not overlap, so that the
// next attempts do not cross again.
func (d *dialog) glareWait() time.Duration {
	const unit = 10 * time.Millisecond
	if d.ownsCallID {
		return 2100*time.Millisecond + unit*time.Duration(rand.IntN(191))
	}
	return unit * time.Duration(1+rand.IntN(200))
}

// tryLater tells a peer to try again in a while (RFC 3261 section 14.2).
func tryLater() sip.Header { return sip.NewHeader("Retry-After", strconv.Itoa(rand.IntN(11))) }
