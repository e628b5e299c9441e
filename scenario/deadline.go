package scenario

import (
	"os"
	"sync"
	"time"
)

// errTimeout is what a read or write whose deadline has passed fails with: a [net.Error] whose Timeout is true.
var errTimeout = os.ErrDeadlineExceeded

// deadline is a point in time that can be moved while somebody waits for it.
type deadline struct {
	mu    sync.Mutex
	at    time.Time // zero: none
	timer *time.Timer
	over  chan struct{} // closed while the deadline has passed
}

func newDeadline() deadline { return deadline{over: make(chan struct{})} }

// passed returns a channel that is closed when the deadline, wherever it is moved to, has passed.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !time.Now().Before(d.at) {
		<-d.over // the timer's function is about to run
	}
	return d.over
}

// set moves the deadline; the zero time: there is none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // the timer's function closes it without the lock
	}
	d.timer, d.at = nil, t
	over := false
	select {
	case <-d.over:
		over = true
	default:
	}
	wait := time.Until(t)
	if t.IsZero() || wait > 0 {
		if over {
			d.over = make(chan struct{})
		}
		if !t.IsZero() {
			passed := d.over
			d.timer = time.AfterFunc(wait, func() { close(passed) })
		}
		return
	}
	if !over {
		close(d.over)
	}
}
