package node

import (
	"context"
	"sync"
)

// errands are what outlives its call for a while, and is waited for before the node ends. The zero value has none.
type errands struct {
	mu   sync.Mutex
	busy int
	idle chan struct{} // closed when busy is zero again
}

// begin notes one more, until the function that it returns is called, once.
func (e *errands) begin() (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy++; e.busy == 1 {
		e.idle = make(chan struct{})
	}
	return e.done
}

func (e *errands) done() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy--; e.busy == 0 {
		close(e.idle)
	}
}

// wait waits until there are none, or ctx ends, and returns how many there are.
func (e *errands) wait(ctx context.Context) (left int) {
	for {
		e.mu.Lock()
		busy, idle := e.busy, e.idle
		e.mu.Unlock()
		if busy == 0 {
			return 0
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return busy
		}
	}
}
