package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/media/transcribe"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cluster"
	"github.com/callengine/callengine/state/recordings/s3"
	"github.com/callengine/callengine/verbs"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// BuildInfo says which program runs.
type BuildInfo struct{ Version, Commit, Go string }

// Node is one call-processing node. Make it with [New], then Start it once, Drain it if its calls are to end by
// themselves, and Close it.
type Node struct {
	cfg     Config
	build   BuildInfo
	log     *zap.Logger
	network Network                // nil: the host's
	speech  media.Synthesizer      // nil: the configured engine
	hearing transcribe.Transcriber // nil: the configured engine

	store          state.Store
	durable        durable          // nil: the store is none
	cluster        *cluster.Cluster // nil: the node is alone
	metrics        *metrics
	journal        *journal
	parser         *verbs.Parser
	client         *webhook.Client
	outbox         *webhook.Outbox
	media          *media.Engine
	sip            *sipstack.Stack
	api            *api.Server
	gate           *gate
	keeper         *keeper
	recordingStore *s3.Store // nil: recordings stay in their folder
	calls          *calls
	streams        *streams
	scribe         *scribe
	copyist        *copyist
	hep            *hepTap  // nil: nothing is exported
	tracing        *tracing // nil: nothing is traced

	drained context.Context // ends, with its cause, when the time of a drain is over
	drainIt context.CancelCauseFunc
	closed  context.Context // ends when nothing can be waited for any more
	closeIt context.CancelCauseFunc

	started  atomic.Bool
	apiAddr  net.Addr
	serving  sync.WaitGroup
	failures chan error
	closing  sync.Once
}

// Option replaces a default of [New].
type Option func(*Node)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(n *Node) { n.log = l } }

// WithNetwork opens every socket through net. Default: the host's network.
func WithNetwork(net Network) Option { return func(n *Node) { n.network = net } }

// WithSynthesizer speaks with s in place of the configured engine.
func WithSynthesizer(s media.Synthesizer) Option { return func(n *Node) { n.speech = s } }

// WithTranscriber turns speech into text with t in place of the configured engine.
func WithTranscriber(t transcribe.Transcriber) Option { return func(n *Node) { n.hearing = t } }

// WithStore keeps the journals in s, which Close closes. Default: the configured store.
func WithStore(s state.Store) Option { return func(n *Node) { n.store = s } }

// WithBuildInfo says which program runs, for the metrics.
func WithBuildInfo(b BuildInfo) Option { return func(n *Node) { n.build = b } }

// New puts a node together from a configuration that [LoadConfig] has checked. It opens no socket.
func New(cfg Config, opts ...Option) (*Node, error) {
	n := &Node{cfg: cfg, log: zap.NewNop(), failures: make(chan error, 2)} // 2: SIP and HTTP, each at most once
	for _, o := range opts {
		o(n)
	}
	n.drained, n.drainIt = context.WithCancelCause(context.Background())
	n.closed, n.closeIt = context.WithCancelCause(context.Background())
	n.metrics = newMetrics(n.build)
	if err := n.assembleState(); err != nil {
		return nil, err
	}
	n.journal = &journal{Store: n.store, metrics: n.metrics, log: n.log, details: newDetails(cfg.CDR, n.log)}
	n.gate = newGate(cfg, n.metrics)
	n.parser = verbs.NewParser(cfg.languageConfig())
	for _, assemble := range []func() error{n.assembleExport, n.assembleWebhooks, n.assembleMedia, n.assembleTranscription, n.assembleRecordings, n.assembleSIP} {
		if err := assemble(); err != nil {
			n.tracing.close() // the one that has begun something
			return nil, err
		}
	}
	n.api = api.New(api.Config{
		AccountID: cfg.AccountID, Username: cfg.API.Username, Password: cfg.API.Password, PublicURL: cfg.API.PublicURL,
	}, n.store, api.WithModifier(n.calls), api.WithTranscriptions(n.scribe.archive), api.WithRecordingTexts(n.copyist), api.WithOutbox(outboxDesk{n}), api.WithRecordings(n.keeper.archive), api.WithRequests(n.metrics.httpRequest), api.WithReady(n.ready), api.WithMetrics(n.metrics.handler()), api.WithMask(verbs.Mask), api.WithOthers(n.otherAPIs), api.WithLogger(n.log))
	return n, nil
}

// assembleExport makes what tells other systems of calls.
func (n *Node) assembleExport() error {
	if n.cfg.HEP.Address != "" {
		own, err := n.cfg.mediaAddress()
		if err != nil {
			return err
		}
		n.hep = newHEPTap(n.cfg.HEP, own, n.metrics, n.log, n.network)
	}
	if n.cfg.Tracing.OTLPURL != "" {
		var err error
		n.tracing, err = newTracing(n.cfg.Tracing, n.build, n.metrics, n.log, n.network)
		return err
	}
	return nil
}

func (n *Node) assembleWebhooks() error {
	opts := []webhook.Option{
		webhook.WithLogger(n.log), webhook.WithObserver(&webhookTap{journal: n.journal, metrics: n.metrics}),
	}
	if n.network != nil {
		opts = append(opts, webhook.WithDialContext(n.network.DialContext))
	}
	if n.tracing != nil {
		opts = append(opts, webhook.WithTracer(n.tracing))
	}
	client, err := webhook.NewClient(webhook.Config{
		AllowHosts: n.cfg.Webhook.AllowHosts, DenyCIDRs: n.cfg.Webhook.DenyCIDRs, CAFile: n.cfg.Webhook.TLSCAFile,
		UserAgent: "callengine/" + n.build.Version,
	}, opts...)
	if err != nil {
		return err
	}
	n.client = client
	n.streams = &streams{client: client.HTTPClient(), metrics: n.metrics, accountID: n.cfg.AccountID, userAgent: "callengine/" + n.build.Version}
	n.outbox = webhook.NewOutbox(client, n.journal, webhook.OutboxConfig{MaxAge: n.cfg.State.OutboxMaxAge}, webhook.WithOutboxLogger(n.log))
	n.metrics.outbox(n.outbox)
	return nil
}

func (n *Node) assembleMedia() error {
	opts := []media.Option{
		media.WithLogger(n.log), media.WithHTTPClient(n.client.HTTPClient()), media.WithCounters(n.metrics),
	}
	if n.hep != nil {
		opts = append(opts, media.WithControlObserver(n.hep.rtcp))
	}
	if n.network != nil {
		opts = append(opts, media.WithListenPacket(n.network.ListenPacket))
	}
	if n.speech != nil {
		opts = append(opts, media.WithSynthesizer(n.speech))
	}
	var err error
	n.media, err = media.New(n.cfg.mediaConfig(), opts...)
	return err
}

func (n *Node) assembleTranscription() error {
	engine, err := n.hearing, error(nil)
	if engine == nil {
		engine, err = transcribe.New(n.cfg.hearingConfig(), n.client.HTTPClient(), n.log)
	}
	if err == nil {
		n.scribe = newScribe(n, engine)
	}
	return err
}

func (n *Node) assembleRecordings() error {
	store, err := n.cfg.recordingStore(n.network)
	if err != nil {
		return err
	}
	n.recordingStore = store
	n.keeper = newKeeper(n, store)
	n.metrics.waiting(n.keeper.archive.Waiting)
	n.copyist = newCopyist(n.scribe, n.keeper)
	return nil
}

func (n *Node) assembleSIP() error {
	tap := &sipTap{journal: n.journal, metrics: n.metrics, log: n.log, hep: n.hep, tracing: n.tracing}
	opts := []sipstack.Option{sipstack.WithLogger(n.log), sipstack.WithObserver(tap), sipstack.WithDoor(&door{gate: n.gate, metrics: n.metrics, log: n.log})}
	if n.cluster != nil {
		opts = append(opts, sipstack.WithOwners(member{n}))
	}
	if n.network != nil {
		opts = append(opts, sipstack.WithNetwork(n.network))
	}
	cfg, err := n.cfg.sipConfig()
	if err != nil {
		return err
	}
	n.sip, err = sipstack.New(cfg, n.media, opts...)
	if err != nil {
		return err
	}
	n.calls = newCalls(n)
	n.sip.OnInvite(n.calls.admit)
	n.metrics.tls(n.sip.TLS)
	n.metrics.oversized(n.sip.Oversized)
	return nil
}

// Start opens the store and the sockets and begins to take calls. It returns when everything listens; ctx bounds the opening alone.
func (n *Node) Start(ctx context.Context) error {
	if err := n.openState(ctx); err != nil {
		return err
	}
	listen := listenHTTP
	if n.network != nil {
		listen = n.network.Listen
	}
	l, err := listen(ctx, "tcp", n.cfg.API.Listen)
	if err != nil {
		return fmt.Errorf("api.listen %s: %w", n.cfg.API.Listen, err)
	}
	n.apiAddr = l.Addr()
	// Before there is somebody who owes more: what is owed meanwhile would be taken up, too, and told twice.
	if err := n.resumeOutbox(ctx, n.store); err != nil {
		return errors.Join(err, l.Close())
	}
	if err := n.scribe.archive.Open(); err != nil {
		return errors.Join(&ConfigError{Key: "transcriptions.dir", Reason: err.Error()}, l.Close())
	}
	if err := n.keeper.archive.Open(); err != nil {
		return errors.Join(&ConfigError{Key: "recordings.dir", Reason: err.Error()}, l.Close())
	}
	n.copyist.resume()
	if err := n.openDetails(); err != nil {
		return errors.Join(err, l.Close())
	}
	n.tellLostTexts(ctx)
	if err := n.startSIP(ctx); err != nil {
		if file := (*sipstack.FileError)(nil); errors.As(err, &file) {
			err = &ConfigError{Key: file.Key, Reason: file.Err.Error()}
		}
		return errors.Join(err, l.Close())
	}
	if n.hep != nil {
		n.hep.exporter.Start()
	}
	n.serving.Go(func() {
		if err := n.api.Serve(n.closed, l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			n.failures <- fmt.Errorf("HTTP: %w", err)
		}
	})
	n.serving.Go(func() {
		select {
		case err := <-n.sip.Err():
			n.failures <- fmt.Errorf("SIP: %w", err)
		case <-n.closed.Done():
		}
	})
	if missing := n.SpeechMissing(); missing != "" {
		n.log.Warn("SpeakSentence cannot work", zap.String("missing", missing))
	}
	if missing := transcribe.Missing(n.scribe.engine); missing != "" && n.cfg.Media.STT.Engine != EngineNone {
		n.log.Warn("transcription cannot work", zap.String("missing", missing))
	}
	n.started.Store(true)
	n.joinCluster()
	var sip []string
	for i, a := range n.sip.Addrs() {
		sip = append(sip, n.cfg.SIP.Listen[i].Network+"://"+a.String())
	}
	n.log.Info("taking calls", zap.Strings("sip", sip), zap.Stringer("api", n.apiAddr))
	return nil
}

// startSIP begins to take calls, when those of another process are taken up.
func (n *Node) startSIP(ctx context.Context) error {
	if err := n.sip.Bind(ctx); err != nil {
		return err
	}
	if err := n.recover(ctx); err != nil {
		return err
	}
	return n.sip.Start(ctx)
}

// Failed tells of a listener that ended by itself. A node that has lost one should be drained and closed.
func (n *Node) Failed() <-chan error { return n.failures }

// ready reports whether the node takes calls, and why not.
func (n *Node) ready() (bool, string) {
	if !n.started.Load() {
		return false, "starting"
	}
	if reason := n.gate.reason(time.Now()); reason != "" {
		return false, whyFull[reason]
	}
	trouble := n.stateTrouble()
	return trouble == "", trouble
}

// SIPAddrs returns the addresses that SIP listens on, in the configuration's order.
func (n *Node) SIPAddrs() []net.Addr { return n.sip.Addrs() }

// APIAddr returns the address that HTTP listens on; nil before Start.
func (n *Node) APIAddr() net.Addr { return n.apiAddr }

// Store returns the node's store, for reading.
func (n *Node) Store() state.Store { return n.store }

// SpeechMissing says what has to be installed before SpeakSentence can work; empty: nothing.
func (n *Node) SpeechMissing() string { return n.media.SpeechMissing() }

// callURL is the address of a call's record. Without a public URL it is where HTTP listens.
func (n *Node) callURL(id string) string {
	base := strings.TrimRight(n.cfg.API.PublicURL, "/")
	if base == "" {
		base = "http://" + n.apiAddr.String()
	}
	return base + "/api/v2/accounts/" + n.cfg.AccountID + "/calls/" + id
}

// closeWait is how long Close waits for the BYEs of calls that are still up.
const closeWait = 2 * time.Second

// Close ends what is left, sockets and goroutines included, and returns when all of it has ended. Calls that are still up
// are hung up; their events are lost: who wants them delivered calls Drain first.
func (n *Node) Close() error {
	var err error
	n.closing.Do(func() {
		idle := n.gate.drain()
		n.drainIt(verbs.ErrDrained)
		n.closeIt(errClosed)
		wait(context.Background(), idle, closeWait)
		err = errors.Join(n.sip.Close(), n.media.Close())
		if n.hep != nil {
			n.hep.exporter.Close()
		}
		n.keeper.close()
		n.scribe.close()
		if n.recordingStore != nil {
			n.recordingStore.Close()
		}
		n.outbox.Close()
		n.client.Close()
		n.tracing.close()
		n.serving.Wait()
		if n.journal.details != nil {
			err = errors.Join(err, n.journal.details.Close())
		}
		err = errors.Join(err, n.store.Close())
	})
	return err
}

var errClosed = errors.New("the node was closed")
