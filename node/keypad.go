package node

import (
	"slices"
	"sync"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/verbs"
)

// maxTypedAhead is how many keys wait for a verb that listens: a Gather takes 50 at most. What is pressed beyond is
// dropped: whoever listens is stuck.
const maxTypedAhead = 64

// keypad hands the keys of a call to the verb that listens to them: of several, to the one that began last.
type keypad struct {
	mu        sync.Mutex
	listeners []chan byte
}

var _ verbs.Keypad = (*keypad)(nil)

// press is told of a key.
func (k *keypad) press(d media.Digit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.listeners) == 0 {
		return
	}
	select {
	case k.listeners[len(k.listeners)-1] <- d.Key: // never blocks
	default:
	}
}

// Digits implements [verbs.Keypad].
func (k *keypad) Digits() (keys <-chan byte, stop func()) {
	listener := make(chan byte, maxTypedAhead)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, listener)
	return listener, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.listeners = slices.DeleteFunc(k.listeners, func(l chan byte) bool { return l == listener })
	}
}
