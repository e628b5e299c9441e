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
	Ports    PortRange  // zero: 20000-29999
	BindIP   netip.Addr // the local address of RTP; zero: all addresses
	Latching Latching   // "": LatchStrict
	// LatchingTime is how long after a session description another source than the one in it may be latched to; 0: 5 s.
	LatchingTime time.Duration
	Speech       SpeechConfig
}

// Engine holds what calls share: the ports, the audio files and the speech.
// All methods may be called by several goroutines at once.
type Engine struct {
	log      *zap.Logger
	ports    *ports
	host     *hostSockets
	clocks   *clocks
	latching latching
	identity identity
	counters Counters
	observe  func(ControlPacket) // nil: nobody
	library  *library
	speech   *speech
	frames   sync.Pool       // of *frame
	own      *http.Transport // of the client of its own; nil: there is none
	end      context.CancelFunc

	mu       sync.Mutex
	closed   bool
	sessions map[*Session]struct{}
}

// Option replaces a default of [New].
type Option func(*Engine)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option {
	return func(e *Engine) { e.log, e.library.log, e.speech.log = l, l, l }
}

// WithListenPacket opens the sockets of RTP and RTCP with f, and reads each in a goroutine of its own; what is written to
// them must not wait for long, as other sessions wait behind it. Default: the host's network, which on Linux a few
// goroutines read.
func WithListenPacket(f func(ctx context.Context, network, address string) (net.PacketConn, error)) Option {
	return func(e *Engine) {
		e.ports.socket = func(at netip.Addr, port int) (socket, error) {
			conn, err := f(context.Background(), "udp", address(at, port))
			if err != nil {
				return nil, err
			}
			return newPacketSocket(conn), nil
		}
	}
}

// WithHTTPClient fetches audio files, and speech of the engine "http", with c, whose rules about addresses, redirects and
// connections hold. Default: a client of the engine's own, which uses no proxy.
func WithHTTPClient(c *http.Client) Option { return func(e *Engine) { e.library.client = c } }

// WithSynthesizer speaks with s in place of the configured engine.
func WithSynthesizer(s Synthesizer) Option { return func(e *Engine) { e.speech.synth = s } }

// WithCounters tells c what happens. Default: nobody.
func WithCounters(c Counters) Option {
	return func(e *Engine) { e.counters, e.ports.counters, e.speech.counters = c, c, c }
}

// WithControlObserver tells f of every RTCP packet of a session with its peer. It is called from many goroutines and must
// not block. Default: nobody.
func WithControlObserver(f func(ControlPacket)) Option { return func(e *Engine) { e.observe = f } }

// New makes an engine. It opens no socket.
func New(cfg Config, opts ...Option) (*Engine, error) {
	if cfg.Ports == (PortRange{}) {
		cfg.Ports = PortRange{Min: 20000, Max: 29999}
	}
	ports, err := newPorts(cfg.Ports, cfg.BindIP)
	if err != nil {
		return nil, err
	}
	host := newHostSockets()
	ports.socket = host.open
	ctx, end := context.WithCancel(context.Background())
	e := &Engine{
		log: zap.NewNop(), ports: ports, host: host, clocks: newClocks(), latching: newLatching(cfg), counters: noCounters{}, end: end, sessions: map[*Session]struct{}{},
		frames:  sync.Pool{New: func() any { return new(frame) }},
		library: newLibrary(ctx), speech: newSpeech(ctx, cfg.Speech.Voices),
	}
	for _, o := range opts {
		o(e)
	}
	if e.library.client == nil {
		e.own = &http.Transport{IdleConnTimeout: time.Minute}
		e.library.client = &http.Client{Transport: e.own}
	}
	if e.speech.synth == nil {
		if e.speech.synth, err = newSynthesizer(cfg.Speech, e.library.client, e.log); err != nil {
			end()
			return nil, err
		}
	}
	return e, nil
}

// Open opens a session on a pair of ports for the call with this id, which its log lines name. Nothing is sent or read
// before [Session.Configure]. It returns [ErrNoPorts] when no pair is left and [ErrClosed] after Close.
func (e *Engine) Open(callID string) (*Session, error) { return e.OpenAt(callID, netip.Addr{}) }

// OpenAt is Open at a local address other than Config.BindIP, such as one of the other family; zero: at that.
func (e *Engine) OpenAt(callID string, at netip.Addr) (*Session, error) {
	opened, err := e.ports.open(at)
	if err != nil {
		return nil, err
	}
	return e.session(callID, opened)
}

// OpenAgain is OpenAt for a call that had this port before: another process had, and its peer goes on sending there. It
// returns [ErrNoPorts] when somebody else has it, or it is none of Config.Ports.
func (e *Engine) OpenAgain(callID string, at netip.Addr, port int) (*Session, error) {
	opened, err := e.ports.openAt(at, port)
	if err != nil {
		return nil, err
	}
	return e.session(callID, opened)
}

func (e *Engine) session(callID string, opened pair) (*Session, error) {
	s := newSession(e, opened, callID)
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

// Speak returns the sound of u as soon as it begins; the rest is made while it is played. It is kept by content, and
// several calls that say the same share one making. ctx bounds the source as a whole.
//
// It returns a [*MissingError] if there is nothing to speak with, and a [*SpeechError] if the engine fails; the source's
// ReadFrame may return the latter too.
func (e *Engine) Speak(ctx context.Context, u Utterance) (Source, error) {
	return e.speech.speak(ctx, u)
}

// SpeechMissing says what to install so that Speak works; empty: nothing is missing.
func (e *Engine) SpeechMissing() string { return e.speech.missing() }

// Fetch returns the sound of the audio file at address, WAV or MP3 by its Content-Type or else its extension, once its
// beginning is there; the rest is loaded while it is played. It is kept for as long as the server allows (RFC 7234), for
// requests with the same credentials alone. A nil auth: none but those in address. ctx bounds the source as a whole.
//
// It returns an [*AudioError] if the file cannot be loaded or decoded; the source's ReadFrame may return one too.
func (e *Engine) Fetch(ctx context.Context, address string, auth *Auth) (Source, error) {
	return e.library.fetch(ctx, address, auth)
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
	e.clocks.wait()
	e.host.wait()
	e.end()
	e.library.close()
	e.speech.close()
	if e.own != nil {
		e.own.CloseIdleConnections()
	}
	return errors.Join(errs...)
}
