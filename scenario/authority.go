package scenario

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates for addresses of the loopback network, so that a node and the phones that call it over TLS
// trust each other. Its files are in a directory of its own, which Close removes.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificateTime is how long its certificates are good for.
const certificateTime = 24 * time.Hour

// NewAuthority makes an authority. Close it.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scenario"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateTime), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "callengine-scenario-")
	if err != nil {
		return nil, err
	}
	a := &Authority{dir: dir, cert: cert, key: key}
	if err := a.write("ca.pem", "CERTIFICATE", der); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Close removes the files.
func (a *Authority) Close() error { return os.RemoveAll(a.dir) }

// CAFile is the authority's own certificate, as PEM.
func (a *Authority) CAFile() string { return filepath.Join(a.dir, "ca.pem") }

// Issue signs a certificate, for servers and for clients, and writes it and its key as PEM. A later one of the same name
// takes the place of the first.
func (a *Authority) Issue(name string) (certFile, keyFile string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateTime), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	if err := errors.Join(a.write(name+".key", "PRIVATE KEY", secret), a.write(name+".pem", "CERTIFICATE", der)); err != nil {
		return "", "", err
	}
	return filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"), nil
}

func (a *Authority) write(name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// PhoneTLS is what a phone needs to call over TLS: a certificate of its own, and trust in those of the authority.
func (a *Authority) PhoneTLS() (*tls.Config, error) {
	certFile, keyFile, err := a.Issue("phone")
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.VerifyClientCertIfGiven,
	}, nil
}
