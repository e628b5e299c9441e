package sipstack

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// sources remembers what the addresses do that requests come from. An IPv6 address counts with its /64: a host has all of
// that. What is remembered is bounded; addresses can be forged over UDP.
type sources struct {
	rate   float64 // requests per second; 0: no limit
	burst  float64
	trials float64 // failures until an address gets no answer; 0: never silenced

	mu   sync.Mutex
	seen map[netip.Addr]*source
	kept int // the most that seen may hold
}

type source struct {
	active time.Time // when it was touched last

	tokens  float64 // requests that it may send now
	filled  time.Time
	limited time.Time // when the newest burst of requests over the limit went on

	failures   float64 // one is forgiven per forgiveAfter
	failed     time.Time
	challenged int // challenges since challengeAt that no right credentials have followed
	challenge  time.Time

	silent   time.Time // no answer until then
	silences int       // in a row

	calls int       // that are up
	good  time.Time // when a call of it was let in last
}

const (
	// maxSources bounds the table; an entry has about 200 bytes.
	maxSources = 1 << 15
	// A failure is forgiven per forgiveAfter: a phone that registers here every minute, which is refused, is no scanner.
	forgiveAfter = 30 * time.Second
	// challengeWait is how long a challenge may stay unanswered before it counts as a failure.
	challengeWait = 5 * time.Second
	// The first silence lasts firstSilence, each further one twice as long, up to maxSilence.
	firstSilence = time.Minute
	maxSilence   = time.Hour
	// goodFor is how long an address that placed a call is not silenced.
	goodFor = 10 * time.Minute
	// burstPause ends a burst of requests over the limit: the next one is told anew.
	burstPause = 10 * time.Second
	// idleAfter is when nothing that is remembered matters any more.
	idleAfter = 2 * maxSilence
)

func newSources(rate, trials int) *sources {
	return &sources{
		rate: float64(rate), burst: math.Max(1, float64(rate)), trials: float64(trials),
		seen: map[netip.Addr]*source{}, kept: maxSources,
	}
}

// sourceKey is the address under which a source is known.
func sourceKey(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64) // never fails
		return p.Addr()
	}
	return ip
}

// of returns what is known of an address, with the lock held; nil: there is no room to remember it, and it goes free.
func (s *sources) of(ip netip.Addr, now time.Time) *source {
	key := sourceKey(ip)
	src := s.seen[key]
	if src == nil {
		if len(s.seen) >= s.kept && !s.evict(now) {
			return nil
		}
		src = &source{tokens: s.burst, filled: now}
		s.seen[key] = src
	}
	src.active = now
	return src
}

// evict makes room for one, with the lock held: a source that nothing holds against, found among a few.
func (s *sources) evict(now time.Time) bool {
	tried := 0
	for key, src := range s.seen { // in random order
		if src.calls == 0 && !src.silent.After(now) && (src.silences == 0 || now.Sub(src.active) > idleAfter) {
			delete(s.seen, key)
			return true
		}
		if tried++; tried == 16 {
			break
		}
	}
	return false
}

// limited reports whether a request is over the limit of its source. first is true at the start of a burst of such.
func (s *sources) limited(ip netip.Addr, now time.Time) (over, first bool) {
	if s.rate == 0 {
		return false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.of(ip, now)
	if src == nil {
		return false, false
	}
	src.tokens = math.Min(s.burst, src.tokens+s.rate*now.Sub(src.filled).Seconds())
	src.filled = now
	if src.tokens >= 1 {
		src.tokens--
		return false, false
	}
	first = now.Sub(src.limited) > burstPause
	src.limited = now
	return true, first
}

// silenced reports whether a source gets no answer.
func (s *sources) silenced(ip netip.Addr, now time.Time) bool {
	if s.trials == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.seen[sourceKey(ip)]
	return src != nil && src.silent.After(now) && src.calls == 0
}

// failed counts a failure of a source, and returns for how long it is silenced for that; 0: it is not.
func (s *sources) failed(ip netip.Addr, now time.Time) time.Duration {
	return s.count(ip, now, func(src *source) { s.fail(src, 1, now) })
}

// challenged counts a request that was challenged. It is a failure if right credentials do not follow.
func (s *sources) challenged(ip netip.Addr, now time.Time) time.Duration {
	return s.count(ip, now, func(src *source) {
		if src.challenged > 0 && now.Sub(src.challenge) > challengeWait {
			s.fail(src, float64(src.challenged), now)
			src.challenged = 0
		}
		if src.challenged == 0 {
			src.challenge = now
		}
		src.challenged++
	})
}

// fail is called with the lock held.
func (s *sources) fail(src *source, n float64, now time.Time) {
	if forgiven := now.Sub(src.failed) / forgiveAfter; float64(forgiven) >= src.failures {
		src.failures, src.failed = 0, now
	} else {
		src.failures -= float64(forgiven)
		src.failed = src.failed.Add(forgiven * forgiveAfter)
	}
	src.failures += n
}

func (s *sources) count(ip netip.Addr, now time.Time, what func(*source)) time.Duration {
	if s.trials == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.of(ip, now)
	if src == nil {
		return 0
	}
	what(src)
	if src.failures < s.trials || src.calls > 0 || !src.good.IsZero() && now.Sub(src.good) < goodFor || src.silent.After(now) {
		return 0
	}
	d := min(firstSilence<<min(src.silences, 10), maxSilence)
	src.silences++
	src.silent, src.failures = now.Add(d), 0
	return d
}

// arrived says that a call of a source was let in: it is no scanner.
func (s *sources) arrived(ip netip.Addr, now time.Time) {
	if s.trials == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.of(ip, now); src != nil {
		src.calls++
		src.good, src.failures, src.challenged, src.silences = now, 0, 0, 0
	}
}

// left says that a call of a source has ended.
func (s *sources) left(ip netip.Addr, now time.Time) {
	if s.trials == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.seen[sourceKey(ip)]; src != nil && src.calls > 0 {
		src.calls--
		src.good = now
	}
}
