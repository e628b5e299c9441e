package media

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/srtp/v3"
	"go.uber.org/zap"

	_ "crypto/sha256" // of fingerprints
	_ "crypto/sha512"
)

// DTLS is a handshake on the ports of the sound that agrees on the keys of SRTP (RFC 5763, RFC 5764); the zero value: none.
type DTLS struct {
	// Fingerprint is the hash of the peer's certificate as SDP has it (RFC 8122): "sha-256 4A:AD:...". Nobody else's is taken.
	Fingerprint string
	// Client: it is us who begin (a=setup:active, RFC 4145).
	Client bool
}

// errFingerprint means that somebody else than the peer of the signalling has answered.
var errFingerprint = errors.New("the certificate is not the one of the session description")

// handshakeTime is how long a handshake may last: a peer behind a NAT begins when it has got our answer.
const handshakeTime = 30 * time.Second

// fingerprints are the hashes of certificates that are taken. RFC 8122 section 5 rules out MD2 and MD5; nobody needs SHA-1.
var fingerprints = map[string]crypto.Hash{
	"sha-224": crypto.SHA224, "sha-256": crypto.SHA256, "sha-384": crypto.SHA384, "sha-512": crypto.SHA512,
}

// CanVerify reports whether a fingerprint is well formed, and of a hash that is taken.
func CanVerify(fingerprint string) bool {
	name, value, _ := strings.Cut(fingerprint, " ")
	hash, ok := fingerprints[strings.ToLower(name)]
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(value), ":", ""))
	return ok && err == nil && len(b) == hash.Size()
}

// fingerprintOf returns the fingerprint of a certificate by the hash of that name.
func fingerprintOf(certificate []byte, name string) string {
	hash, ok := fingerprints[strings.ToLower(name)]
	if !ok {
		return ""
	}
	sum := hash.New()
	sum.Write(certificate)
	return strings.ToLower(name) + " " + strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum.Sum(nil)), " ", ":"))
}

// verify reports whether a certificate is the one of a fingerprint.
func verify(certificate []byte, fingerprint string) bool {
	name, value, _ := strings.Cut(fingerprint, " ")
	ours := fingerprintOf(certificate, name)
	return ours != "" && strings.EqualFold(ours, strings.ToLower(name)+" "+strings.TrimSpace(value))
}

// identity is the certificate of an engine's handshakes, made when it is needed: what proves that it is ours is the signalling.
type identity struct {
	once        sync.Once
	certificate tls.Certificate
	err         error
}

func (i *identity) get() (tls.Certificate, error) {
	i.once.Do(func() { i.certificate, i.err = selfSigned() })
	return i.certificate, i.err
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "callengine"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Fingerprint returns the fingerprint of the engine's own certificate, as SDP has it. It is the same for as long as the engine
// lives.
func (e *Engine) Fingerprint() (string, error) {
	certificate, err := e.identity.get()
	if err != nil {
		return "", fmt.Errorf("certificate for DTLS: %w", err)
	}
	return fingerprintOf(certificate.Certificate[0], "sha-256"), nil
}

// association is a handshake on one socket of a session, and what follows it: the peer may repeat its last messages.
type association struct {
	s      *Session
	socket socket
	guard  *guard
	route  *route // whose signalled address is the peer's, or where it latched to; s.mu guards it
	params DTLS

	in     chan []byte
	ctx    context.Context
	cancel context.CancelFunc
	ended  sync.WaitGroup

	closing sync.Once
	closed  chan struct{} // the handshake's own end

	mu        sync.Mutex
	peer      netip.AddrPort // where its handshake comes from; zero: it has sent nothing
	interrupt chan struct{}  // closed when reading is not to wait
}

// associate prepares a handshake on both sockets: RTCP has one of its own (RFC 5764 section 4.1). The function returned begins them.
// s.mu is held.
func (s *Session) associate(p DTLS) (begin func()) {
	// The session's end ends it, not a context.
	of := func(socket socket, g *guard, r *route) *association {
		ctx, cancel := context.WithCancel(context.Background())
		return &association{s: s, socket: socket, guard: g, route: r, params: p, in: make(chan []byte, 32), ctx: ctx, cancel: cancel, interrupt: make(chan struct{}), closed: make(chan struct{})}
	}
	a, b := of(s.rtp, &s.guards.rtp, &s.media), of(s.rtcp, &s.guards.rtcp, &s.control)
	s.associations = []*association{a, b}
	return func() {
		for _, x := range []*association{a, b} {
			x.ended.Go(x.run)
		}
	}
}

// endAssociations ends those that there are; the function returned waits for that. s.mu is held.
func (s *Session) endAssociations() (wait func()) {
	old := s.associations
	if len(old) == 0 {
		return func() {}
	}
	s.associations = nil
	for _, a := range old {
		a.cancel()
	}
	return func() {
		for _, a := range old {
			a.ended.Wait()
		}
	}
}

// handshaken takes a packet of a handshake (RFC 7983: its first byte is 20 to 63); false: it is none.
func (s *Session) handshaken(socket socket, b []byte, from netip.AddrPort, now time.Time) bool {
	if len(b) == 0 || b[0] < 20 || b[0] > 63 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.associations {
		if a.socket == socket && (a.route.latched == from || s.permitted(a.route, from, now)) {
			a.arrived(b, from)
		}
	}
	return true
}

func (a *association) arrived(b []byte, from netip.AddrPort) {
	a.mu.Lock()
	a.peer = from
	a.mu.Unlock()
	select {
	case a.in <- append([]byte(nil), b...):
	default: // it is repeated
	}
}

func (a *association) run() {
	defer a.cancel()
	defer a.s.survive()
	conn, err := a.handshake()
	if err == nil {
		err = a.agree(conn)
	}
	if a.ctx.Err() != nil { // the call is over, or something else was agreed on
		if conn != nil {
			_ = conn.Close()
		}
		return
	}
	a.s.engine.counters.DTLSHandshake(err == nil)
	if err != nil {
		a.s.logger().Warn("DTLS handshake failed: there is no sound", zap.Error(err))
		if conn != nil {
			_ = conn.Close()
		}
		return
	}
	buf := make([]byte, maxPacket)
	for err == nil { // what it says is not for us; it may repeat the end of its handshake
		_, err = conn.Read(buf)
	}
	_ = conn.Close()
}

func (a *association) handshake() (*dtls.Conn, error) {
	certificate, err := a.s.engine.identity.get()
	if err != nil {
		return nil, err
	}
	options := []dtls.Option{
		dtls.WithCertificates(certificate),
		dtls.WithInsecureSkipVerify(true), // nobody has signed it: the fingerprint is what counts
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		dtls.WithSRTPProtectionProfiles(profiles()...),
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{Writer: io.Discard}),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 || !verify(raw[0], a.params.Fingerprint) {
				return errFingerprint
			}
			return nil
		}),
	}
	var conn *dtls.Conn
	if a.params.Client {
		var client []dtls.ClientOption
		for _, o := range options {
			client = append(client, o)
		}
		conn, err = dtls.ClientWithOptions(a, a.RemoteAddr(), client...)
	} else {
		server := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range options {
			server = append(server, o)
		}
		conn, err = dtls.ServerWithOptions(a, a.RemoteAddr(), server...)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(a.ctx, handshakeTime)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

// profiles are our crypto-suites as DTLS has them, by the same numbers.
func profiles() (all []dtls.SRTPProtectionProfile) {
	for _, s := range Suites() {
		all = append(all, dtls.SRTPProtectionProfile(s.profile()))
	}
	return all
}

// agree hands the keys of the handshake over (RFC 5764 section 4.2).
func (a *association) agree(conn *dtls.Conn) error {
	state, ok := conn.ConnectionState()
	profile, chosen := conn.SelectedSRTPProtectionProfile()
	if !ok || !chosen {
		return errors.New("no crypto-suite of SRTP was agreed on")
	}
	cfg := &srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := cfg.ExtractSessionKeysFromDTLS(&state, a.params.Client); err != nil {
		return err
	}
	suite := Suite(0)
	for _, s := range Suites() {
		if s.profile() == cfg.Profile {
			suite = s
		}
	}
	if suite == 0 {
		return fmt.Errorf("crypto-suite %v was not offered", cfg.Profile)
	}
	out, _ := NewKey(suite, append(cfg.Keys.LocalMasterKey, cfg.Keys.LocalMasterSalt...))
	in, _ := NewKey(suite, append(cfg.Keys.RemoteMasterKey, cfg.Keys.RemoteMasterSalt...))
	send, err := out.context()
	if err != nil {
		return err
	}
	receive, err := in.context()
	if err != nil {
		return err
	}
	a.guard.use(send, receive)
	return nil
}

var _ net.PacketConn = (*association)(nil)

// ReadFrom is for the handshake alone.
func (a *association) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case packet := <-a.in:
		return copy(b, packet), a.RemoteAddr(), nil
	case <-a.interrupted():
		return 0, nil, os.ErrDeadlineExceeded
	case <-a.closed:
		return 0, nil, net.ErrClosed
	case <-a.ctx.Done():
		return 0, nil, net.ErrClosed
	}
}

func (a *association) interrupted() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.interrupt
}

// WriteTo is for the handshake alone.
func (a *association) WriteTo(b []byte, _ net.Addr) (int, error) {
	if a.ctx.Err() != nil {
		return 0, net.ErrClosed
	}
	if to := a.remote(); usable(to) {
		_ = a.socket.write(b, to) // it is repeated
	}
	return len(b), nil
}

// remote returns where the peer is: where its handshake came from, or else where it wants sound.
func (a *association) remote() netip.AddrPort {
	a.mu.Lock()
	peer := a.peer
	a.mu.Unlock()
	if peer.IsValid() {
		return peer
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.route.destination()
}

// Close is for the handshake alone.
func (a *association) Close() error {
	a.closing.Do(func() { close(a.closed) })
	return nil
}

// LocalAddr is for the handshake alone.
func (a *association) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(a.socket.local()) }

// RemoteAddr is for the handshake alone. It does not change, as one peer is one association.
func (a *association) RemoteAddr() net.Addr {
	return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} // the route knows better
}

// SetDeadline is for the handshake alone.
func (a *association) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is for the handshake alone, which uses it to have reading end at once, or not.
func (a *association) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	over := !t.IsZero() && !t.After(time.Now())
	select {
	case <-a.interrupt:
		if !over {
			a.interrupt = make(chan struct{})
		}
	default:
		if over {
			close(a.interrupt)
		}
	}
	return nil
}

// SetWriteDeadline is for the handshake alone.
func (a *association) SetWriteDeadline(time.Time) error { return nil }
