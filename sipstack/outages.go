package sipstack

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// outages remembers for a short while what has failed: names that could not be looked up, and targets that could not be
// reached, did not answer, or had no room (503). It is safe for concurrent use.
type outages struct {
	mu      sync.Mutex
	names   map[string]failedLookup
	targets map[targetKey]time.Time // until when it is avoided
}

type failedLookup struct {
	err   error
	until time.Time
}

// targetKey is where a request was sent: a transport and an address.
type targetKey struct{ network, addr string }

func keyOf(f flow) targetKey { return targetKey{f.on.network, f.source.String()} }

const (
	// unknownFor is how long a name that could not be looked up is not looked up again: the requests that end a call
	// follow each other closely, and each would wait for the resolver.
	unknownFor = 5 * time.Second
	// avoidedFor is how long a target that has failed comes after all others of its name, maxAvoided how long a
	// Retry-After may ask for.
	avoidedFor = 30 * time.Second
	maxAvoided = 5 * time.Minute
	// maxOutages bounds what is remembered of either kind.
	maxOutages = 1000
)

func newOutages() *outages {
	return &outages{names: map[string]failedLookup{}, targets: map[targetKey]time.Time{}}
}

// unknown returns the error with which a name was looked up a moment ago; nil: look it up.
func (o *outages) unknown(name string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.names[name]; time.Now().Before(f.until) {
		return f.err
	}
	return nil
}

// lookedUp notes how a look-up ended. One that was given up by who wanted it says nothing of the name.
func (o *outages) lookedUp(ctx context.Context, name string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil || context.Cause(ctx) == context.Canceled {
		delete(o.names, name)
		return
	}
	now := time.Now()
	if len(o.names) >= maxOutages {
		for n, f := range o.names {
			if !now.Before(f.until) {
				delete(o.names, n)
			}
		}
	}
	if len(o.names) < maxOutages {
		o.names[name] = failedLookup{err, now.Add(unknownFor)}
	}
}

// avoid notes that a target has failed; 0 stands for the usual time.
func (o *outages) avoid(f flow, d time.Duration) {
	if d <= 0 {
		d = avoidedFor
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if len(o.targets) >= maxOutages {
		for k, until := range o.targets {
			if !now.Before(until) {
				delete(o.targets, k)
			}
		}
	}
	if len(o.targets) < maxOutages {
		o.targets[keyOf(f)] = now.Add(min(d, maxAvoided))
	}
}

// avoided reports whether a target has failed a while ago.
func (o *outages) avoided(f flow) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Now().Before(o.targets[keyOf(f)])
}

// works notes that a target has answered.
func (o *outages) works(f flow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.targets, keyOf(f))
}

// last puts the targets that are avoided behind the others. None is left out: if nothing else works, they may.
func (o *outages) last(flows []flow) []flow {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	rank := func(f flow) int {
		if now.Before(o.targets[keyOf(f)]) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(flows, func(a, b flow) int { return rank(a) - rank(b) })
	return flows
}

// heed notes what a final response says of the target that it came from.
func (o *outages) heed(f flow, res *sip.Response) {
	if res.StatusCode == sip.StatusServiceUnavailable {
		o.avoid(f, retryAfter(res))
		return
	}
	o.works(f)
}
