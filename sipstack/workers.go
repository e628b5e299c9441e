package sipstack

import (
	"sync"
	"time"
)

// workers run short tasks, each in a goroutine, which is used again: its stack has grown by then. Those that were not needed for
// idleTime end, so that a calm stack has none.
type workers struct {
	tasks   chan func() // for those that are idle; nil ends one
	running sync.WaitGroup

	mu     sync.Mutex
	idle   int         // those that wait for a task
	spare  int         // the fewest that did since tidy looked last
	look   *time.Timer // has tidy look; nil: none has been idle yet
	looks  bool        // it runs, as it does while any is idle
	closed bool
}

const (
	maxIdle  = 32 // goroutines that wait for a task at most
	idleTime = time.Second
)

func newWorkers() *workers { return &workers{tasks: make(chan func())} }

// do has a task run in a goroutine of its own.
func (w *workers) do(task func()) {
	select {
	case w.tasks <- task:
	default:
		w.running.Go(func() { w.work(task) })
	}
}

func (w *workers) work(task func()) {
	grow(false)
	for task != nil {
		task()
		task = nil // nothing of it is kept
		task = w.next()
	}
}

// next waits for another task; nil: there is none.
func (w *workers) next() (task func()) {
	if !w.rest() {
		return nil
	}
	task = <-w.tasks
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle--
	w.spare = min(w.spare, w.idle)
	return task
}

// rest counts a goroutine as idle; false: enough are. One timer is for all of them: one of its own for each wait would be made
// and thrown away with each message.
func (w *workers) rest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.idle == maxIdle {
		return false
	}
	w.idle++
	if !w.looks {
		w.looks, w.spare = true, w.idle
		w.lookLater()
	}
	return true
}

// lookLater is called with the lock held.
func (w *workers) lookLater() {
	if w.look == nil {
		w.look = time.AfterFunc(idleTime, w.tidy)
		return
	}
	w.look.Reset(idleTime)
}

// tidy ends as many as were idle all the time since it looked last.
func (w *workers) tidy() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	ended := 0
	for range w.spare {
		select {
		case w.tasks <- nil:
			ended++
		default: // not there yet
		}
	}
	w.spare = w.idle - ended
	if w.looks = w.spare > 0; w.looks {
		w.lookLater()
	}
}

// close returns when all tasks have ended; no other may come.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	if w.look != nil {
		w.look.Stop()
	}
	w.mu.Unlock()
	close(w.tasks)
	w.running.Wait()
}

// grow gives its goroutine room on the stack at once, while there is hardly anything on it. Left alone the stack doubles
// several times on the way down, and each time all of it is copied: of what a goroutine costs that handles a message and ends,
// that is a tenth. A function's frame has room for all that the function may need: here it never does.
//
//go:noinline
func grow(used bool) {
	if used {
		var room [8 << 10]byte
		fill(&room)
	}
}

//go:noinline
func fill(room *[8 << 10]byte) { clear(room[:]) }
