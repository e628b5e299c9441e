package media

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config is what users set of the media.
type Config struct {
	Ports    PortRange     // zero: 20000-29999
	BindIP   netip.Addr    // the local address of RTP; zero: all addresses
	PortRest time.Duration // how long a pair of ports is left alone after its use; 0: 5 s, negative: not at all
	Speech   SpeechConfig
}

// Engine holds what calls share: the ports, the audio files and the speech.
// All methods may be called by several goroutines at once.
type Engine struct {
	log      *zap.Logger
	ports    *ports
	counters Counters
	client   *http.Client

	mu       sync.Mutex
	closed   bool
	sessions map[*Session]struct{}
}

// Option replaces a default of [New].
type Option func(*Engine)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(e *Engine) { e.log = l } }

// WithListenPacket opens the sockets of RTP and RTCP with f. Default: the host's network.
func WithListenPacket(f func(ctx context.Context, network, address string) (net.PacketConn, error)) Option {
	return func(e *Engine) { e.ports.listen = f }
}

// WithHTTPClient fetches audio files with c, whose rules about addresses, redirects and connections hold. Default: a
// client of the engine's own.
func WithHTTPClient(c *http.Client) Option { return func(e *Engine) { e.client = c } }

// WithCounters tells c what happens. Default: nobody.
func WithCounters(c Counters) Option {
	return func(e *Engine) { e.counters, e.ports.counters = c, c }
}

// New makes an engine. It opens no socket.
func New(cfg Config, opts ...Option) (*Engine, error) {
	if cfg.Ports == (PortRange{}) {
		cfg.Ports = PortRange{Min: 20000, Max: 29999}
	}
	if cfg.PortRest == 0 {
		cfg.PortRest = 5 * time.Second
	}
	ports, err := newPorts(cfg.Ports, cfg.BindIP, cfg.PortRest)
	if err != nil {
		return nil, err
	}
	ports.listen = (&net.ListenConfig{}).ListenPacket
	e := &Engine{log: zap.NewNop(), ports: ports, counters: noCounters{}, sessions: map[*Session]struct{}{}}
	for _, o := range opts {
		o(e)
	}
	return e, nil
}

// Open opens a session on a pair of ports. Nothing is sent or read before [Session.Configure]. It returns [ErrNoPorts]
// when no pair is left and [ErrClosed] after Close.
func (e *Engine) Open() (*Session, error) {
	opened, err := e.ports.open(context.Background())
	if err != nil {
		return nil, err
	}
	s := newSession(e, opened)
	e.mu.Lock()
	closed := e.closed
	if !closed {
		e.sessions[s] = struct{}{}
	}
	e.mu.Unlock()
	if closed {
		return nil, errors.Join(ErrClosed, s.Close())
	}
	return s, nil
}

func (e *Engine) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

// Close closes the sessions that are still open and ends what is being fetched or spoken. It is idempotent and returns
// when all goroutines of the engine have ended.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	open := make([]*Session, 0, len(e.sessions))
	for s := range e.sessions {
		open = append(open, s)
	}
	e.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
