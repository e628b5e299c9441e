package sipstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/emiago/sipgo/sip"
	"go.uber.org/zap"
)

// Listener is an address to take SIP messages at.
type Listener struct {
	Network string // "udp", "tcp" or "tls"
	Address string // host:port; port 0: any free one
}

// Credential answers digest challenges (401, 407) of one realm to requests of ours.
type Credential struct{ Realm, Username, Password string }

// Config is what users set of the stack.
type Config struct {
	Listeners []Listener

	// Advertise is the host, or host:port, that Via, Contact and SDP name instead of the listener's; the port holds for
	// the first listener only. It is needed when a listener has a wildcard address. An IP address does not hold for
	// listeners of the other family: they name their own.
	Advertise string

	// AdvertiseIP is the address in SDP where Advertise is a name, for listeners of its family; zero: the listener's.
	AdvertiseIP netip.Addr

	// Allow are the networks that may send requests; empty: all. Others get no answer at all.
	Allow []netip.Prefix

	// PSTNTrunks are the networks whose calls are telephone calls.
	PSTNTrunks []netip.Prefix

	// Users may place calls, after they have shown that they know their password; none: everybody may.
	Users []User

	// Realm is what their phones are asked for; "": Advertise's host, else "callengine".
	Realm string

	// NonceLifetime is how long a phone may sign requests for one challenge; 0: 5 minutes.
	NonceLifetime time.Duration

	// MaxRequestsPerSource is how many requests that belong to no call one address may send per second, as many at once;
	// 0: any number.
	MaxRequestsPerSource int

	// SilenceAfter is how many failures an address may have before it gets no answer for a while; 0: any number. Those in
	// Allow and PSTNTrunks, and those that placed a call lately, always get one.
	SilenceAfter int

	Credentials []Credential

	// Codecs are those that may be used, in the order of our offers; empty: PCMU, PCMA.
	Codecs []media.Codec

	// SRTP says whether sound is protected; "": SRTPOff.
	SRTP SRTP

	// Keepalive is the time between two OPTIONS in an answered dialog; 0: none are sent.
	Keepalive time.Duration

	// TransactionTimeout is how long a request of ours waits for its final response (timers B and F of RFC 3261), and a 2xx
	// to an INVITE for its ACK (section 13.3.1.4); 0: 64*T1, which is 32 s, and more than that has no effect. What it does
	// not change is how soon a request is repeated.
	TransactionTimeout time.Duration

	// SessionExpires is the session interval that we ask for, and the longest that we take (RFC 4028); 0: no session
	// timers. MinSE is the shortest that we take; 0: 90 s, which is the least.
	SessionExpires, MinSE time.Duration

	// NotifyTimeout is the time allowed from a REFER's acceptance to its final NOTIFY; 0: 30 s.
	NotifyTimeout time.Duration

	TLS TLSConfig

	// MaxConnections bounds the TCP and TLS connections of each listener; 0: no limit. When there are as many, the one
	// that has been silent the longest, for five minutes at least, makes room; without such a one the new one is closed.
	MaxConnections int

	// MediaAddress is the address in SDP, at all listeners; zero: Advertise or AdvertiseIP, else the listener's.
	MediaAddress netip.Addr
}

// Network opens the stack's sockets. One that has DialContext too, as [net.Dialer] has it, also opens the TCP connections
// to peers whose own is gone, and one that has LookupNetIP and LookupSRV, as [net.Resolver] has them, looks up the names
// in Contacts and routes, with LookupNAPTR also those of [NAPTR] records; without these the host's network does.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
}

// dialer and resolver are the optional parts of a [Network].
type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Option replaces a default of [New].
type Option func(*Stack)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(s *Stack) { s.log = l } }

// WithObserver tells o what happens. Default: nobody.
func WithObserver(o Observer) Option { return func(s *Stack) { s.observer = o } }

// WithNetwork opens the sockets through n. Default: the host's network.
func WithNetwork(n Network) Option {
	return func(s *Stack) {
		s.network = n
		if d, ok := n.(dialer); ok {
			s.dialer = d
		}
		if r, ok := n.(resolver); ok {
			s.resolver = r
		}
	}
}

// check completes the configuration with its defaults. Its errors name the key.
func (c *Config) check() error {
	if len(c.Listeners) == 0 {
		return errors.New("sip.listen: no listener")
	}
	if _, _, err := splitAdvertise(c.Advertise); err != nil {
		return fmt.Errorf("sip.advertise: %w", err)
	}
	for _, l := range c.Listeners {
		if l.Network != "udp" && l.Network != "tcp" && l.Network != "tls" {
			return fmt.Errorf("sip.listen: %q is none of udp, tcp and tls", l.Network)
		}
		host, _, err := net.SplitHostPort(l.Address)
		if err != nil {
			return fmt.Errorf("sip.listen: %w", err)
		}
		if c.Advertise == "" && wildcard(host) {
			return fmt.Errorf("sip.advertise: needed with the wildcard listener %s", l.Address)
		}
	}
	if err := c.TLS.check(slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Network == "tls" })); err != nil {
		return err
	}
	if c.MaxConnections < 0 {
		return fmt.Errorf("sip.max_connections: %d is negative", c.MaxConnections)
	}
	if c.Keepalive < 0 {
		return fmt.Errorf("sip.keepalive: %v is negative", c.Keepalive)
	}
	if c.TransactionTimeout < 0 {
		return fmt.Errorf("sip.transaction_timeout: %v is negative", c.TransactionTimeout)
	}
	if c.TransactionTimeout == 0 {
		c.TransactionTimeout = 64 * sip.T1
	}
	if c.MinSE == 0 {
		c.MinSE = leastSession
	}
	if c.MinSE < leastSession {
		return fmt.Errorf("sip.min_se: %v is less than %v", c.MinSE, leastSession)
	}
	if c.SessionExpires != 0 && c.SessionExpires < c.MinSE {
		return fmt.Errorf("sip.session_expires: %v is less than sip.min_se, %v", c.SessionExpires, c.MinSE)
	}
	if c.NonceLifetime < 0 {
		return fmt.Errorf("sip.nonce_lifetime: %v is negative", c.NonceLifetime)
	}
	if c.NonceLifetime == 0 {
		c.NonceLifetime = defaultNonceLifetime
	}
	if c.Realm == "" {
		c.Realm = defaultRealm
		if host, _, _ := splitAdvertise(c.Advertise); host != "" {
			c.Realm = host
		}
	}
	if c.NotifyTimeout < 0 {
		return fmt.Errorf("refer.notify_timeout: %v is negative", c.NotifyTimeout)
	}
	if c.NotifyTimeout == 0 {
		c.NotifyTimeout = defaultNotifyTimeout
	}
	return nil
}

func wildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// splitAdvertise returns the host without brackets, and the port; 0: none.
func splitAdvertise(advertise string) (host string, port int, err error) {
	if ip, err := netip.ParseAddr(advertise); err == nil {
		return ip.String(), 0, nil
	}
	wrong := fmt.Errorf("%q is neither a host nor a host:port", advertise)
	if inner, ok := strings.CutPrefix(advertise, "["); ok && strings.HasSuffix(inner, "]") {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil {
			return "", 0, wrong
		}
		return ip.String(), 0, nil
	}
	if !strings.Contains(advertise, ":") {
		return advertise, 0, nil
	}
	host, p, err := net.SplitHostPort(advertise)
	if err != nil {
		return "", 0, wrong
	}
	port, err = strconv.Atoi(p)
	if err != nil || port < 1 || port > 65535 || host == "" {
		return "", 0, wrong
	}
	return host, port, nil
}
