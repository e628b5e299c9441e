package sipstack

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// maxDatagram is the longest request that goes over UDP where TCP can be had (RFC 3261 section 18.1.1). The MTU of the path
// is not known.
const maxDatagram = 1300

const (
	// oversizeConnect is how long a connection for a request that is too long for UDP may take: where nobody listens,
	// firewalls often say nothing, and the request waits.
	oversizeConnect = time.Second
	// withoutTCP is how long a peer is not asked for TCP again.
	withoutTCP = 5 * time.Minute
)

// Oversized counts the requests that were too long for UDP.
type Oversized struct {
	TCP       int64 // sent by TCP
	Fragments int64 // sent over UDP all the same: the peer has no TCP, or we have not
}

// Oversized tells how many requests were too long for UDP.
func (s *Stack) Oversized() Oversized {
	return Oversized{TCP: s.oversized.tcp.Load(), Fragments: s.oversized.fragments.Load()}
}

type oversized struct{ tcp, fragments atomic.Int64 }

// fitting returns the request that is sent in place of one that is too long for UDP: the same over TCP to the same
// address, where the peer takes that, else itself, and the network cuts it in fragments.
func (s *Stack) fitting(req *sip.Request, to flow, log *zap.Logger, build func(to flow) *sip.Request) *sip.Request {
	if to.on.network != "udp" {
		return req
	}
	var size octets
	req.StringWrite(&size)
	if size <= maxDatagram {
		return req
	}
	fields := []zap.Field{zap.String("method", string(req.Method)), zap.Int("bytes", int(size)), zap.Stringer("to", to.source)}
	if over, ok := s.overTCP(to); ok {
		s.oversized.tcp.Add(1)
		log.Debug("a request too long for UDP goes by TCP", fields...)
		return build(over)
	}
	s.oversized.fragments.Add(1)
	log.Info("a request too long for UDP goes in fragments: the peer takes no TCP", fields...)
	return req
}

// octets counts what is written.
type octets int

// WriteString implements [io.StringWriter].
func (n *octets) WriteString(s string) (int, error) {
	*n += octets(len(s))
	return len(s), nil
}

// overTCP connects to where a datagram would go.
func (s *Stack) overTCP(to flow) (flow, bool) {
	on := find(s.bound(), func(l *listener) bool { return l.network == "tcp" && l.reaches(to.source.Addr()) })
	if on == nil {
		return flow{}, false
	}
	over := flow{on: on, source: to.source}
	if s.up(over) {
		return over, true
	}
	if s.locator.outages.avoided(over) {
		return flow{}, false
	}
	ctx, cancel := context.WithTimeout(s.living, oversizeConnect)
	defer cancel()
	if err := s.connect(ctx, over, ""); err != nil {
		s.locator.outages.avoid(over, withoutTCP)
		return flow{}, false
	}
	return over, true
}
