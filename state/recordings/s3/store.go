// Package s3 keeps recordings in a store that speaks S3: Amazon's, or any other that does.
package s3

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Config says where the store is.
type Config struct {
	Endpoint             string // http:// or https:// and host, with a port where it is another than the scheme's
	Bucket               string // which is there already
	Region               string // empty: the store tells
	AccessKey, SecretKey string
	Prefix               string // of all keys: "recordings/"
	// DialContext opens connections; nil: the host's network.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Store is a bucket. It is safe for concurrent use.
type Store struct {
	client         *minio.Client
	bucket, prefix string
	transport      *http.Transport
}

const (
	dialTimeout  = 10 * time.Second
	replyTimeout = 30 * time.Second // until a reply begins
)

// New returns a store. It does not connect: the store may be down when the node starts.
func New(cfg Config) (*Store, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("s3 endpoint: %w", err)
	}
	dial := cfg.DialContext
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	transport := &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: replyTimeout,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: u.Scheme == "https", Region: cfg.Region,
		Transport: transport, BucketLookup: minio.BucketLookupAuto,
		MaxRetries: 1, // whoever waits for it tries again, and knows when not to
	})
	if err != nil {
		return nil, fmt.Errorf("s3 endpoint: %w", err)
	}
	return &Store{client, cfg.Bucket, strings.TrimPrefix(cfg.Prefix, "/"), transport}, nil
}

// Put implements [recordings.Store].
func (s *Store) Put(ctx context.Context, key, path, contentType string) error {
	_, err := s.client.FPutObject(ctx, s.bucket, s.prefix+key, path, minio.PutObjectOptions{ContentType: contentType})
	return err
}

// Get implements [recordings.Store].
func (s *Store) Get(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	return s.client.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
}

// Delete implements [recordings.Store].
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.client.RemoveObject(ctx, s.bucket, s.prefix+key, minio.RemoveObjectOptions{})
}

// Close closes the connections that wait for further use.
func (s *Store) Close() { s.transport.CloseIdleConnections() }
