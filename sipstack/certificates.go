package sipstack

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// TLSConfig is what TLS listeners show and ask for. The files are PEM. They are looked at with each handshake, and read
// again when they have changed; while what they hold cannot be used, what they held before is.
type TLSConfig struct {
	CertFile, KeyFile string // the certificate with its chain, and its key; needed for a TLS listener, and shown to peers that we connect to

	// CAFile holds the authorities that may have signed the certificates of peers; "": those of the system.
	CAFile string

	// VerifyClient asks peers that connect for a certificate of one of CAFile's authorities, and takes no others.
	VerifyClient bool
}

// TLSState is how a stack's TLS fares.
type TLSState struct {
	Expiry           time.Time // of the certificate in use; zero: there is none
	ReloadFailures   int64     // changed files that could not be used
	FailedHandshakes int64     // in both directions
}

// TLS looks at the files of TLS, as a handshake does, and tells how it fares.
func (s *Stack) TLS() TLSState {
	var expiry time.Time
	if m := s.certificates.look(); m != nil {
		expiry = m.expiry
	}
	return TLSState{
		Expiry: expiry, ReloadFailures: s.certificates.failures.Load(), FailedHandshakes: s.certificates.refused.Load(),
	}
}

// certificates are the files of TLS.
type certificates struct {
	cfg      TLSConfig
	log      *zap.Logger
	failures atomic.Int64
	refused  atomic.Int64

	turn chan struct{} // held by whoever looks at the files: the others take what is there

	mu      sync.Mutex
	current *identity // nil: there are no files
	stamp   string    // of the files when they were read, or could not be
}

// identity is what the files held at one time. Its configurations do not change.
type identity struct {
	server, client *tls.Config
	expiry         time.Time
}

func newCertificates(cfg TLSConfig, log *zap.Logger) *certificates {
	return &certificates{cfg: cfg, log: log, turn: make(chan struct{}, 1)}
}

// open reads the files for the first time. Without files it does nothing: TLS connections of ours then show no
// certificate.
func (c *certificates) open() error {
	stamp := c.cfg.stamp()
	now, err := c.cfg.read()
	if err != nil {
		return err
	}
	c.take(now, stamp)
	return nil
}

// look returns what the files hold, or held when they could be used last; nil before open.
func (c *certificates) look() *identity {
	select {
	case c.turn <- struct{}{}:
		c.renew()
		<-c.turn
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// renew reads the files if they have changed. A change that cannot be used is told once.
func (c *certificates) renew() {
	c.mu.Lock()
	before, opened := c.stamp, c.current != nil
	c.mu.Unlock()
	stamp := c.cfg.stamp()
	if !opened || stamp == before {
		return
	}
	now, err := c.cfg.read()
	if err != nil {
		c.failures.Add(1)
		c.log.Error("the TLS files have changed and cannot be used; what they held before stays in use", zap.Error(err))
		c.take(nil, stamp)
		return
	}
	c.take(now, stamp)
	c.log.Info("TLS files read again", zap.Time("expires", now.expiry))
}

// take notes what the files hold; nil: nothing of use.
func (c *certificates) take(now *identity, stamp string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp = stamp
	if now != nil {
		c.current = now
	}
}

// stamp tells one state of the files from another.
func (cfg TLSConfig) stamp() string {
	var stamp string
	for _, name := range []string{cfg.CertFile, cfg.KeyFile, cfg.CAFile} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			stamp += "-;"
			continue
		}
		stamp += fmt.Sprintf("%d %d;", info.ModTime().UnixNano(), info.Size())
	}
	return stamp
}

// FileError is a file of TLS that cannot be used.
type FileError struct {
	Key string // of the configuration: "sip.tls.cert_file"
	Err error
}

func (e *FileError) Error() string { return e.Key + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// read reads the files. Its errors are [FileError]s.
func (cfg TLSConfig) read() (*identity, error) {
	id := &identity{client: &tls.Config{MinVersion: tls.VersionTLS12}}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, &FileError{"sip.tls.ca_file", err}
		}
		id.client.RootCAs = x509.NewCertPool()
		if !id.client.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &FileError{"sip.tls.ca_file", fmt.Errorf("%s holds no certificate", cfg.CAFile)}
		}
	}
	if cfg.CertFile == "" {
		return id, nil
	}
	chain, err := os.ReadFile(cfg.CertFile)
	if err != nil {
		return nil, &FileError{"sip.tls.cert_file", err}
	}
	key, err := os.ReadFile(cfg.KeyFile)
	if err != nil {
		return nil, &FileError{"sip.tls.key_file", err}
	}
	own, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, &FileError{"sip.tls.cert_file", fmt.Errorf("with sip.tls.key_file: %w", err)}
	}
	id.expiry = own.Leaf.NotAfter
	if time.Now().After(id.expiry) {
		return nil, &FileError{"sip.tls.cert_file", fmt.Errorf("the certificate expired at %s", id.expiry.UTC().Format(time.RFC3339))}
	}
	id.client.Certificates = []tls.Certificate{own}
	id.server = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: id.client.Certificates}
	if cfg.VerifyClient {
		id.server.ClientAuth, id.server.ClientCAs = tls.RequireAndVerifyClientCert, id.client.RootCAs
	}
	return id, nil
}

// check names the key that is missing.
func (cfg TLSConfig) check(listening bool) error {
	switch {
	case listening && cfg.CertFile == "":
		return errors.New("sip.tls.cert_file: needed with a tls listener")
	case (cfg.CertFile == "") != (cfg.KeyFile == ""):
		return errors.New("sip.tls.key_file: goes with sip.tls.cert_file")
	case cfg.VerifyClient && cfg.CAFile == "":
		return errors.New("sip.tls.ca_file: needed with sip.tls.verify_client")
	}
	return nil
}

// server returns the configuration of a TLS listener.
func (c *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.look().server, nil },
	}
}

// failed counts a handshake that failed.
func (c *certificates) failed(conn net.Conn, err error) {
	c.refused.Add(1)
	c.log.Debug("TLS handshake failed", zap.Stringer("peer", conn.RemoteAddr()), zap.Error(err))
}

// connect makes the TLS connection on one that we dialled. name is the host of the URI that led there, which the peer's
// certificate has to name (RFC 5922 section 4).
func (c *certificates) connect(conn net.Conn, name string) *tls.Conn {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if id := c.look(); id != nil {
		cfg = id.client.Clone()
	}
	cfg.ServerName = name
	return tls.Client(conn, cfg)
}
