package api

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/recordings"
	"go.uber.org/zap"
)

// Store is what the API reads. [state.Store] is one.
type Store interface {
	Journal(ctx context.Context, callID string) ([]state.Entry, error)
	Record(ctx context.Context, callID string) (state.Record, error)
	Records(ctx context.Context, q state.Query) (records []state.Record, next string, err error)
}

// Config is what the operator decides.
type Config struct {
	AccountID string // the only account there is; any other is 403
	Username  string // HTTP Basic; without it nobody is asked for credentials
	Password  string
	PublicURL string // scheme and authority under which the API is reached from outside, for links; empty: where it listens
}

// Server answers HTTP requests. Make one with [New]; it is safe for concurrent use.
type Server struct {
	cfg     Config
	store   Store
	ready   func() (bool, string)
	metrics http.Handler
	mask    func(string) string
	log     *zap.Logger
	modify  Modifier
	kept    Recordings
	outbox  Outbox
	texts   Transcriptions
	copies  RecordingTexts
	count   func(method, path string, code int)
	others  func() []string // nodes of the cluster
	client  *http.Client    // that asks them
	handler http.Handler
}

// Option replaces a default of [New].
type Option func(*Server)

// WithReady sets what /readyz asks: whether the node takes calls and, if not, why. Default: it does.
func WithReady(f func() (ready bool, reason string)) Option { return func(s *Server) { s.ready = f } }

// WithMetrics sets what answers /metrics. Default: nothing, 404.
func WithMetrics(h http.Handler) Option { return func(s *Server) { s.metrics = h } }

// WithMask sets what takes the secrets out of a BXML document. Default: journals come without the text of documents.
func WithMask(f func(document string) string) Option { return func(s *Server) { s.mask = f } }

// WithModifier sets what changes calls. Default: nothing can be changed, 409.
func WithModifier(m Modifier) Option { return func(s *Server) { s.modify = m } }

// WithRecordings sets where recordings are. Default: there are none.
func WithRecordings(r Recordings) Option { return func(s *Server) { s.kept = r } }

// WithRecordingTexts sets what transcribes recordings. Default: nothing does.
func WithRecordingTexts(t RecordingTexts) Option { return func(s *Server) { s.copies = t } }

// WithTranscriptions sets where the texts of live transcriptions are. Default: there are none.
func WithTranscriptions(t Transcriptions) Option { return func(s *Server) { s.texts = t } }

// WithRequests is told of every answer: the method ("other": none that the API knows), the pattern of its path
// ("other": there is no such path), and the status. It must not block. Default: nobody.
func WithRequests(f func(method, path string, code int)) Option {
	return func(s *Server) { s.count = f }
}

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(s *Server) { s.log = l } }

// New returns a server that reads from store. It opens nothing.
func New(cfg Config, store Store, opts ...Option) *Server {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	s := &Server{
		cfg: cfg, store: store, log: zap.NewNop(),
		ready:  func() (bool, string) { return true, "" },
		modify: rigid{}, texts: noTranscriptions{}, copies: noTexts{}, outbox: empty{}, kept: recordings.New(recordings.Config{}), count: func(string, string, int) {},
		others: func() []string { return nil }, client: newOthersClient(othersTime),
	}
	for _, o := range opts {
		o(s)
	}
	s.handler = s.observed(s.authenticated(s.routes()))
	return s
}

// Handler answers all of the server's paths.
func (s *Server) Handler() http.Handler { return s.handler }

// Limits of a connection. A page of 10,000 records is some 6 MB, which a slow line needs a while for.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
	shutdownTimeout   = 3 * time.Second
)

// Serve answers requests on l until ctx ends: then it closes l, gives the requests on their way three seconds, and
// returns nil. It returns an error when l ends by itself.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if s.cfg.PublicURL == "" {
		s.cfg.PublicURL = "http://" + l.Addr().String() // as the events have it
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdLog(s.log),
	}
	served := make(chan error, 1) // so that the goroutine ends even where nobody reads
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err), server.Close())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		s.log.Warn("HTTP requests were cut off at the end", zap.Error(err))
		_ = server.Close() // its error is that of closing l a second time
	}
	<-served
	return nil
}

// stdLog takes what net/http has to say of single connections (a TLS hello on a plain port, say): worth no more than a
// line for those who look for it.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l.Named("http"), zap.DebugLevel)
	if err != nil { // only for a level that zap does not know
		return zap.NewStdLog(l)
	}
	return std
}
