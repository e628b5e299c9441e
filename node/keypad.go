package node

import (
	"slices"
	"sync"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/verbs"
)

// maxTypedAhead is how many keys wait for who listens: a Gather takes 50 at most, and a thumb needs half a minute for as
// many. What is pressed beyond is dropped: whoever listens is stuck.
const maxTypedAhead = 256

// keypad hands the keys of a call to those who listen: of the verbs, to the one that began last, and to all who overhear.
type keypad struct {
	mu        sync.Mutex
	listeners []listener
	overhear  []listener
}

// listener is one who is told of keys.
type listener struct {
	keys  chan byte
	alone bool // nobody overhears what it is told
}

var _ verbs.Keypad = (*keypad)(nil)

// press is told of a key.
func (k *keypad) press(d media.Digit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if newest := len(k.listeners) - 1; newest >= 0 {
		k.listeners[newest].tell(d.Key)
		if k.listeners[newest].alone {
			return
		}
	}
	for _, l := range k.overhear {
		l.tell(d.Key)
	}
}

// tell never blocks.
func (l listener) tell(key byte) {
	select {
	case l.keys <- key:
	default:
	}
}

// Digits implements [verbs.Keypad].
func (k *keypad) Digits() (keys <-chan byte, stop func()) { return k.listen(&k.listeners, false) }

// TakeDigits implements [verbs.Keypad].
func (k *keypad) TakeDigits() (keys <-chan byte, stop func()) { return k.listen(&k.listeners, true) }

// OverhearDigits implements [verbs.Keypad].
func (k *keypad) OverhearDigits() (keys <-chan byte, stop func()) {
	return k.listen(&k.overhear, false)
}

func (k *keypad) listen(list *[]listener, alone bool) (keys <-chan byte, stop func()) {
	l := listener{make(chan byte, maxTypedAhead), alone}
	k.mu.Lock()
	defer k.mu.Unlock()
	*list = append(*list, l)
	return l.keys, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		*list = slices.DeleteFunc(*list, func(have listener) bool { return have == l })
	}
}
