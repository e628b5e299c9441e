package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"go.uber.org/zap"
)

// DefaultTimeout is the time an attempt may take when neither its target nor the client says otherwise (docs/webhooks.md).
const DefaultTimeout = 15 * time.Second

const (
	maxConnect  = 30 * time.Second // connecting, TLS included; above the longest time-out an event may have, 25 s
	maxHeader   = 64 << 10         // bytes of a reply's header, interim replies (1xx) included
	idlePerHost = 100              // an application serves many calls at once
	idleFor     = 90 * time.Second
)

// ErrClosed is what is left of a connection when its client was closed.
var ErrClosed = errors.New("the webhook client is closed")

// Config says how applications may be reached. The zero value lets every address be reached.
type Config struct {
	AllowHosts []string       // globs ([path.Match]) over the URL's host, in any letter case; empty: any host
	DenyCIDRs  []netip.Prefix // addresses that are never connected to, whatever name led there
	CAFile     string         // PEM certificates trusted besides the system's; empty: none
	UserAgent  string         // "callengine/<version>"; empty: "callengine"
	Timeout    time.Duration  // of an attempt whose target names none; 0: [DefaultTimeout]
}

// Client asks applications. It is safe for concurrent use.
//
// Connections are HTTP/1.1, kept alive, and never go through a proxy of the environment: the address that is dialled is
// the one that was checked. No cookies are kept.
type Client struct {
	cfg      Config
	policy   policy
	log      *zap.Logger
	observer Observer
	tracer   Tracer
	connect  func(ctx context.Context, network, address string) (net.Conn, error) // nil: the host's network

	transport *http.Transport
	requests  *retryablehttp.Client // of all deliveries, which it tells of what becomes of theirs
	lifetime  context.Context       // ends with Close
	end       context.CancelCauseFunc

	mu    sync.Mutex
	conns map[*conn]struct{}
}

// Option replaces a default of [NewClient].
type Option func(*Client)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(c *Client) { c.log = l } }

// WithObserver tells o of every request. Default: nobody.
func WithObserver(o Observer) Option { return func(c *Client) { c.observer = o } }

// WithDialContext makes connections with dial. What deny_cidrs forbids is then looked up in the connection's RemoteAddr:
// a connection whose address cannot be told is refused as soon as there is something to forbid. Default: the host's network.
func WithDialContext(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(c *Client) { c.connect = dial }
}

// NewClient makes a client. Its errors name the key of the configuration that is wrong.
func NewClient(cfg Config, opts ...Option) (*Client, error) {
	p, err := newPolicy(cfg.AllowHosts, cfg.DenyCIDRs)
	if err != nil {
		return nil, err
	}
	roots, err := rootsWith(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "callengine"
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Client{cfg: cfg, policy: p, log: zap.NewNop(), observer: nobody{}, tracer: nobody{}, conns: map[*conn]struct{}{}}
	for _, o := range opts {
		o(c)
	}
	c.lifetime, c.end = context.WithCancelCause(context.Background())
	c.transport = &http.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    maxConnect,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleFor,
		MaxResponseHeaderBytes: maxHeader,
	}
	c.requests = requestsOf(c)
	return c, nil
}

// rootsWith returns the system's certificates and those of a file; nil stands for the system's alone.
func rootsWith(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("webhook.tls_ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without certificates of its own
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("webhook.tls_ca_file %s: no certificate in it", file)
	}
	return pool, nil
}

// HTTPClient returns a client for fetching what documents name (audio files) under the same rules: the same addresses,
// the same limit of redirects, no proxy, no cookies. It has no time-out of its own; a request's context bounds it.
func (c *Client) HTTPClient() *http.Client {
	return &http.Client{Transport: gate{c}, CheckRedirect: checkHop}
}

// Close ends every connection, with the requests that are under way on them. It is idempotent.
func (c *Client) Close() {
	c.end(ErrClosed)
	c.transport.CloseIdleConnections()
	c.mu.Lock()
	left := make([]*conn, 0, len(c.conns))
	for open := range c.conns {
		left = append(left, open)
	}
	c.mu.Unlock()
	for _, open := range left {
		_ = open.Close()
	}
}

// nobody is the observer of a client that has none.
type nobody struct{}

func (nobody) Request(Exchange) {}
func (nobody) Reply(Exchange)   {}
