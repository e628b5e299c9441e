package media

import (
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Suite is a crypto-suite of SRTP: a cipher, and what authenticates packets.
type Suite uint8

// The crypto-suites, the ones that we like best first.
const (
	AES256GCM   Suite = iota + 1 // AEAD_AES_256_GCM (RFC 7714)
	AES128GCM                    // AEAD_AES_128_GCM
	AES128SHA80                  // AES_CM_128_HMAC_SHA1_80 (RFC 4568 section 6.2.1), which everybody has
	AES128SHA32                  // AES_CM_128_HMAC_SHA1_32
)

// Suites are all of them.
func Suites() []Suite { return []Suite{AES256GCM, AES128GCM, AES128SHA80, AES128SHA32} }

// String returns the name that SDP has for the suite.
func (s Suite) String() string {
	return [...]string{"", "AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"}[s]
}

func (s Suite) profile() srtp.ProtectionProfile {
	return [...]srtp.ProtectionProfile{
		0, srtp.ProtectionProfileAeadAes256Gcm, srtp.ProtectionProfileAeadAes128Gcm,
		srtp.ProtectionProfileAes128CmHmacSha1_80, srtp.ProtectionProfileAes128CmHmacSha1_32,
	}[s]
}

// lengths returns how long the master key and the master salt are, in bytes.
func (s Suite) lengths() (key, salt int) {
	return [...]int{0, 32, 16, 16, 16}[s], [...]int{0, 12, 12, 14, 14}[s]
}

// KeyLength returns how long the master key and salt are together, in bytes.
func (s Suite) KeyLength() int {
	key, salt := s.lengths()
	return key + salt
}

// Key is what one direction of SRTP is protected with. It does not print what is secret.
type Key struct {
	Suite  Suite
	secret string // master key and salt
}

// NewKey returns the key of a suite; false: the master key and salt are not as long as the suite's.
func NewKey(s Suite, keyAndSalt []byte) (Key, bool) {
	return Key{s, string(keyAndSalt)}, len(keyAndSalt) == s.KeyLength()
}

// Secret returns the master key and salt, for who tells the peer of it.
func (k Key) Secret() []byte { return []byte(k.secret) }

// String returns the name of the suite.
func (k Key) String() string { return k.Suite.String() }

// GoString returns the same.
func (k Key) GoString() string { return k.String() }

// context returns where packets of one direction are protected, or their protection removed.
func (k Key) context() (*srtp.Context, error) {
	// RFC 3711 section 3.3.2: at least 64. Networks reorder more than that in a burst.
	const window = 256
	key, _ := k.Suite.lengths()
	return srtp.CreateContext([]byte(k.secret[:key]), []byte(k.secret[key:]), k.Suite.profile(),
		srtp.SRTPReplayProtection(window), srtp.SRTCPReplayProtection(window))
}

// Secure is how sound is protected (RFC 3711); the zero value: not at all.
type Secure struct {
	// Send and Receive were told in the session descriptions (RFC 4568).
	Send, Receive Key

	// DTLS agrees on the keys, where it is set (RFC 5763).
	DTLS DTLS
}

// On reports whether sound is protected.
func (x Secure) On() bool { return x != Secure{} }

// guard protects what goes over one socket. Until there are keys, nothing goes.
type guard struct {
	mu      sync.Mutex
	out, in *srtp.Context
	sealed  []byte // room for a packet, of who sends
	opened  []byte // of who receives
	header  rtp.Header
}

// guards are those of a session's two sockets.
type guards struct{ rtp, rtcp guard }

// use has a guard go on with these contexts; nil: with what it has.
func (g *guard) use(out, in *srtp.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if out != nil {
		g.out = out
	}
	if in != nil {
		g.in = in
	}
}

// ready reports whether packets can be sent.
func (g *guard) ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out != nil
}

// seal protects a packet; nil: it can't be. The result is only lent until the next one.
func (g *guard) seal(packet []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.out == nil {
		return nil
	}
	sealed, err := g.out.EncryptRTP(g.sealed[:0], packet, nil)
	if err != nil {
		return nil
	}
	g.sealed = sealed
	return sealed
}

// open checks and decrypts a packet; nil: it is not the peer's, or was seen before. The result is only lent until the next
// one.
func (g *guard) open(packet []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == nil {
		return nil
	}
	opened, err := g.in.DecryptRTP(g.opened[:0], packet, &g.header)
	if err != nil {
		return nil
	}
	g.opened = opened
	return opened
}

// sealControl is seal for RTCP.
func (g *guard) sealControl(packet []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.out == nil {
		return nil
	}
	sealed, err := g.out.EncryptRTCP(nil, packet, nil)
	if err != nil {
		return nil
	}
	return sealed
}

// openControl is open for RTCP.
func (g *guard) openControl(packet []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == nil {
		return nil
	}
	var header rtcp.Header
	opened, err := g.in.DecryptRTCP(nil, packet, &header)
	if err != nil {
		return nil
	}
	return opened
}

// protect takes over how sound is protected from now on. What did not change goes on with its counts of packets: a key must not
// protect two packets with the same number (RFC 3711 section 9.1). s.mu is held; the function returned, if there is one, is
// called when it is not.
func (s *Session) protect(x Secure, moved bool) (then func()) {
	before := s.params.Secure
	switch {
	case !x.On():
		s.guards = nil
		return s.endAssociations()
	case x.DTLS != DTLS{}:
		if before.DTLS == x.DTLS && !moved && s.guards != nil {
			return nil
		}
		s.guards = &guards{}
		end, begin := s.endAssociations(), s.associate(x.DTLS)
		return func() { end(); begin() }
	}
	if s.guards == nil || before.DTLS != (DTLS{}) {
		s.guards, before = &guards{}, Secure{}
	}
	var failed error
	fresh := func(key, had Key) *srtp.Context {
		if key == had {
			return nil
		}
		c, err := key.context()
		if err != nil {
			failed = err
		}
		return c
	}
	for _, g := range []*guard{&s.guards.rtp, &s.guards.rtcp} {
		g.use(fresh(x.Send, before.Send), fresh(x.Receive, before.Receive))
	}
	end := s.endAssociations()
	return func() {
		end()
		if failed != nil {
			s.logger().Sugar().Errorf("SRTP cannot begin: %v", failed)
		}
	}
}
