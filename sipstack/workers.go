package sipstack

import (
	"sync"
	"sync/atomic"
	"time"
)

// workers run short tasks, each in a goroutine, which is used again: its stack has grown by then. One that has had nothing to do
// for idleTime ends, so that a calm stack has none.
type workers struct {
	tasks   chan func() // for those that are idle
	idle    atomic.Int32
	running sync.WaitGroup
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

// next waits for another task; nil: there is none. What it waits with is not kept for the length of the task: that may be a call's.
func (w *workers) next() (task func()) {
	defer w.idle.Add(-1)
	if w.idle.Add(1) <= maxIdle {
		unused := time.NewTimer(idleTime)
		defer unused.Stop()
		select {
		case task = <-w.tasks:
		case <-unused.C:
		}
	}
	return task
}

// close returns when all tasks have ended; no other may come.
func (w *workers) close() {
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
