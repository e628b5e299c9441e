package sipstack

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Stack takes SIP calls. It uses sipgo up to its transactions; dialogs are its own. Its methods may be called by several
// goroutines at once.
type Stack struct {
	cfg      Config
	media    *media.Engine
	log      *zap.Logger
	observer Observer
	network  Network
	dialer   dialer
	resolver resolver
	locator  *locator
	onInvite func(Invitation) (Admission, error)
	owners   Owners // nil: this node is alone

	secret       [32]byte  // of the tags
	macs         sync.Pool // of HMACs with it
	tap          *tap
	finals       *finals
	retired      *delayed[*dialog]
	lingering    *delayed[*dialog] // those that are whole although they have ended
	bygones      *bygones
	certificates *certificates
	oversized    oversized
	asked        Door
	door         *door
	auth         *authenticator // nil: everybody may call
	gate         *gate
	transport    *sip.TransportLayer
	transactions *sip.TransactionLayer

	living  context.Context // ends with Close
	end     context.CancelFunc
	tasks   sync.WaitGroup // handlers, calls, requests of ours, referrals
	workers *workers       // who run them
	serves  sync.WaitGroup // the listeners' goroutines
	failed  chan error     // room for one per listener
	closer  sync.Once
	err     error // of Close

	mu        sync.Mutex
	started   bool
	closed    bool
	listeners []*listener
	dialogs   map[dialogID]*dialog
	invites   map[inviteID]*invite // those undecided, and those of dialogs
	outgoing  map[outgoingID]*outgoing
	revivals  []*revival            // to be gone on with when the stack has started
	returning map[inviteID]*revival // those whose INVITE is handled once more
}

// Admission is a call that was let in.
type Admission interface {
	// CallID returns the call's id, under which the observer is told of it.
	CallID() string
	// Serve runs the call. It is called once, in a goroutine of its own, for which Close waits. The leg is hung up when
	// Serve returns and the call is still up.
	Serve(leg *Leg)
	// Abandon is called instead of Serve when the call could not begin: its offer was refused (488), there was no RTP
	// port (503), or the caller gave up at once.
	Abandon()
}

// New makes a stack whose calls have their sound from m. It opens no socket.
func New(cfg Config, m *media.Engine, opts ...Option) (*Stack, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("sipstack: no media engine")
	}
	s := &Stack{
		cfg: cfg, media: m, log: zap.NewNop(), observer: nobody{}, asked: open{},
		network: hostNetwork{}, dialer: &net.Dialer{}, resolver: newHostResolver(),
		failed: make(chan error, len(cfg.Listeners)), workers: newWorkers(),
		dialogs: map[dialogID]*dialog{}, invites: map[inviteID]*invite{}, outgoing: map[outgoingID]*outgoing{},
		returning: map[inviteID]*revival{},
	}
	for _, o := range opts {
		o(s)
	}
	_, _ = rand.Read(s.secret[:]) // never fails
	s.macs.New = func() any { return hmac.New(sha256.New, s.secret[:]) }
	s.tap = newTap(s.observer)
	s.finals = newFinals(maxFinals)
	s.gate = newGate(s.secret[:], s.tap, s.log)
	s.locator = newLocator(s.resolver)
	s.locator.panicked = func(v any) { s.observer.Panic("", v) }
	s.certificates = newCertificates(cfg.TLS, s.log)
	s.auth = newAuthenticator(s.cfg.Realm, s.cfg.Users, s.cfg.NonceLifetime)
	s.door = newDoor(s.cfg, s.asked, s.auth, s.gate, s.supported())
	s.bygones = newBygones()
	s.retired = newDelayed(reduceAfter, s.reduce)
	s.lingering = newDelayed(linger()-reduceAfter, s.forget)
	s.living, s.end = context.WithCancel(context.Background())

	// Our own look at a message comes first: sipgo hands it to a goroutine of its own after that.
	log := LibraryLogger(s.log)
	s.transport = sip.NewTransportLayer(net.DefaultResolver, sip.NewParser(), nil, sip.WithTransportLayerLogger(log))
	s.transport.OnMessage(s.arrive)
	s.transactions = sip.NewTransactionLayer(s.transport,
		sip.WithTransactionLayerLogger(log),
		sip.WithTransactionLayerTerminateOnConnClose(),
		sip.WithTransactionLayerUnhandledResponseHandler(s.stray),
	)
	s.transactions.OnRequest(s.handle)
	return s, nil
}

// OnInvite sets who decides about calls; it must be called before Start. f is called for every initial INVITE, in that
// one's goroutine, and should not wait for anything: the caller has got no more than a 100 yet. An error that is a
// [StatusError] is the final response, any other gets 500. Without f every call gets 404.
func (s *Stack) OnInvite(f func(Invitation) (Admission, error)) { s.onInvite = f }

// Start serves all listeners until Close, and goes on with the calls that were restored. It binds the listeners, unless
// Bind did, and can be called once.
func (s *Stack) Start(ctx context.Context) error {
	s.mu.Lock()
	again, bound := s.started || s.closed, s.listeners != nil
	s.started = true
	s.mu.Unlock()
	if again {
		return errors.New("sipstack: started before")
	}
	if !bound {
		if err := s.Bind(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	revivals, returning := s.revivals, map[*revival]bool{}
	s.revivals = nil
	s.mu.Unlock()
	for _, r := range revivals {
		returning[r] = r.leg == nil // none has come yet
	}
	if !s.serveAll() {
		return ErrClosed
	}
	for _, l := range s.bound() {
		if l.packets != nil {
			<-l.packets.reading // at once; a request that goes out before it would go from a socket of sipgo's own
		}
	}
	for _, r := range revivals {
		r.begin(returning[r])
	}
	return nil
}

// Bind reads the files of TLS and binds all listeners: what comes waits in the sockets until Start. It can be called once,
// before Start. A file that cannot be used is a [FileError].
func (s *Stack) Bind(ctx context.Context) error {
	if err := s.certificates.open(); err != nil {
		return err
	}
	var bound []*listener
	for i, l := range s.cfg.Listeners {
		b, err := s.bind(ctx, l, i == 0)
		if err != nil {
			for _, b := range bound {
				_ = b.close() // the error of the other one is the one to tell
			}
			return fmt.Errorf("sip.listen: %w", err)
		}
		bound = append(bound, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listeners != nil {
		for _, b := range bound {
			_ = b.close()
		}
		return ErrClosed
	}
	s.listeners = bound
	return nil
}

// serveAll has all listeners served; false: the stack is closed, and they are.
func (s *Stack) serveAll() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	for _, l := range s.listeners {
		s.serve(l)
	}
	return true
}

// bind opens a listener. The port of Config.Advertise holds for the first, an IP address in it for those of its family.
func (s *Stack) bind(ctx context.Context, l Listener, first bool) (*listener, error) {
	b := &listener{network: l.Network}
	switch l.Network {
	case "udp":
		conn, err := s.network.ListenPacket(ctx, "udp", l.Address)
		if err != nil {
			return nil, err
		}
		b.addr = conn.LocalAddr()
		if c, ok := conn.(interface{ SetReadBuffer(int) error }); ok {
			_ = c.SetReadBuffer(readBuffer) // the system may allow less
		}
		b.packets = &packetListener{PacketConn: conn, local: addrText(b.addr), allow: s.cfg.Allow, tap: s.tap, finals: s.finals, ack: s.earlyAck, door: s.door, gate: s.gate, pool: s.transport.Pool("udp"), reading: make(chan struct{})}
	default:
		conn, err := s.network.Listen(ctx, "tcp", l.Address)
		if err != nil {
			return nil, err
		}
		b.addr = conn.Addr()
		b.streams = newStreamListener(l.Network, conn, s.cfg.Allow, s.tap, s.gate, s.transport.Pool(l.Network))
		b.streams.certs, b.streams.most = s.certificates, s.cfg.MaxConnections
		b.streams.door = s.door
	}
	at := addrPort(b.addr)
	b.host, b.port = at.Addr().String(), int(at.Port())
	host, port, _ := splitAdvertise(s.cfg.Advertise) // checked by New
	if ip, err := netip.ParseAddr(host); err == nil && !b.reaches(ip) && !at.Addr().IsUnspecified() {
		return b, nil
	}
	if host != "" {
		b.host = host
	}
	if first && port != 0 {
		b.port = port
	}
	return b, nil
}

// serve lets sipgo read a listener. An end before Close is told by Err.
func (s *Stack) serve(l *listener) {
	if l.streams != nil {
		s.serves.Go(l.streams.accept)
	}
	s.serves.Go(func() {
		var err error
		if l.streams != nil {
			err = l.streams.serve(s.transport)
		} else {
			err = errors.Join(s.transport.ServeUDP(l.packets), l.packets.failure())
			l.packets.begun()
		}
		if s.living.Err() == nil {
			s.failed <- fmt.Errorf("%s listener %s ended: %w", l.network, l.addr, err)
		}
	})
}

// Err tells of listeners that ended before Close.
func (s *Stack) Err() <-chan error { return s.failed }

// Interrupt ends the wait for every pending referral, as interrupted, and no other is started: it belongs to the end of
// a drain.
func (s *Stack) Interrupt() {
	for _, d := range s.allDialogs() {
		d.referrals.interrupt()
	}
}

// Close ends the transactions and sockets at once and sends nothing more: whoever wants calls to end with a BYE hangs
// them up before. Legs end with [ErrClosed]. It returns when all goroutines of the stack have ended, the calls' Serve
// among them, and must not be called from one of these. It is idempotent.
func (s *Stack) Close() error {
	s.closer.Do(func() {
		s.mu.Lock()
		s.closed = true
		listeners := s.listeners
		s.mu.Unlock()
		s.end()
		dialogs := s.allDialogs()
		for _, d := range dialogs {
			d.referrals.interrupt()
			d.leg.end(ErrClosed)
		}
		s.transactions.Close()
		s.tasks.Wait()
		s.workers.close()
		// The sockets come last: sipgo opens others for what is still to be sent.
		for _, l := range listeners {
			s.err = errors.Join(s.err, l.close())
		}
		s.serves.Wait()
		s.transactions.Close() // those of requests that came meanwhile
		for _, l := range listeners {
			if l.streams != nil {
				l.streams.settle()
			}
		}
		s.retired.close()
		s.lingering.close()
		s.bygones.close()
		for _, o := range s.allOutgoing() {
			o.stop()
		}
		s.tap.close()
		s.finals.close()
	})
	return s.err
}

// begin counts a task of the stack, for which Close waits; false: the stack is closed.
func (s *Stack) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.tasks.Add(1)
	return true
}

// spawn runs f in a goroutine for which Close waits; false: the stack is closed.
func (s *Stack) spawn(f func()) bool {
	if !s.begin() {
		return false
	}
	s.workers.do(func() {
		defer s.tasks.Done()
		defer s.survive("")
		f()
	})
	return true
}

// survive is deferred at the root of a goroutine: a panic ends that alone, and not the process.
func (s *Stack) survive(callID string) {
	if v := recover(); v != nil {
		s.observer.Panic(callID, v)
	}
}

func (s *Stack) allDialogs() []*dialog {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*dialog, 0, len(s.dialogs))
	for _, d := range s.dialogs {
		all = append(all, d)
	}
	return all
}

// dialog returns the dialog that a request names, or named until a while ago; nil: none.
func (s *Stack) dialog(req *sip.Request) *dialog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialogs[dialogOf(req)]
}

func (s *Stack) remember(d *dialog) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.dialogs[d.id] = d
	return true
}
