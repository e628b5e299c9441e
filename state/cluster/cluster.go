package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Config says which cluster, and who this node is in it.
type Config struct {
	Node  string              // its name, and that of its partition: the same after a restart, and no other node's
	Lease time.Duration       // how long a node that has gone silent keeps its calls; 0: 10 s
	Store state.DurableConfig // of its partition, and of those that it takes over; its NATSURL is the cluster's
}

// Peer is how the other nodes reach a node.
type Peer struct {
	SIP    string `json:"sip"`    // URI
	Health string `json:"health"` // URL that answers 200 while the node lives; "": nobody can tell
}

// Handler is what a node does for the others. Its methods are called by many goroutines.
type Handler interface {
	// HasDialog reports whether the node has a dialog with this SIP Call-ID.
	HasDialog(sipCallID string) bool
	// Request is a request that another node has for a call that this one has. What it holds is the node's affair.
	Request(ctx context.Context, callID string, request []byte) (reply []byte)
	// TakenOver is called once with the store of each partition that this node takes over from another, open and read.
	TakenOver(store state.Store)
}

const (
	defaultLease = 10 * time.Second
	linkTime     = 10 * time.Second // to connect and to make buckets
)

// Cluster is a store whose journals are in a NATS cluster, beside those of other nodes. Make one with [New], then
// [Cluster.Open] it. It is safe for concurrent use.
type Cluster struct {
	cfg      Config
	log      *zap.Logger
	instance string // this process: what it asks and answers goes by this name
	http     *http.Client

	conn       *nats.Conn
	js         jetstream.JetStream
	leases     jetstream.KeyValue // partition: who writes it; a key that is not renewed goes away
	partitions jetstream.KeyValue // all that there are, and who wrote them last

	living  context.Context
	end     context.CancelFunc
	working sync.WaitGroup
	lost    chan error    // room for one
	served  chan struct{} // room for one: Serve was called

	mu      sync.Mutex
	self    Peer
	handler Handler
	own     *partition
	held    []*partition      // own among them
	others  map[string]holder // by partition, as of the last look
	vacant  map[string]int    // how often a partition was seen without a lease in a row
	failing error             // of the leases
	closed  bool
}

var _ state.Store = (*Cluster)(nil)

// partition is one that this node writes.
type partition struct {
	*state.Durable
	name     string
	revision uint64 // of its lease
}

// Option replaces a default of [New].
type Option func(*Cluster)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(c *Cluster) { c.log = l } }

// namePattern is what a name of a stream, of a key and of a subject's part has in common.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$`)

// New returns a node of a cluster that is not open.
func New(cfg Config, opts ...Option) (*Cluster, error) {
	if !namePattern.MatchString(cfg.Node) {
		return nil, fmt.Errorf("a node's name is of letters, digits, - and single _, not %q", cfg.Node)
	}
	if cfg.Lease <= 0 {
		cfg.Lease = defaultLease
	}
	c := &Cluster{
		cfg: cfg, log: zap.NewNop(), instance: rand.Text(), http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, lost: make(chan error, 1), served: make(chan struct{}, 1),
		others: map[string]holder{}, vacant: map[string]int{},
	}
	c.living, c.end = context.WithCancel(context.Background())
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// Open connects, makes a partition this node's own, and reads it. It returns when the node can write.
func (c *Cluster) Open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		return errors.Join(fmt.Errorf("NATS: %w", err), c.Close())
	}
	own, err := c.claimOwn(ctx)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	c.mu.Lock()
	c.own, c.held = own, append(c.held, own)
	c.mu.Unlock()
	c.working.Go(c.keep)
	return nil
}

// connectTime is how long NATS may take to greet: more than the two seconds it is given otherwise, as the machine may be busy.
const connectTime = 10 * time.Second

func (c *Cluster) connect(ctx context.Context) (err error) {
	c.conn, err = nats.Connect(c.cfg.Store.NATSURL, nats.Name("callengine "+c.cfg.Node), nats.Timeout(connectTime), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.NoCallbacksAfterClientClose())
	if err != nil {
		return err
	}
	if c.js, err = jetstream.New(c.conn); err != nil {
		return err
	}
	if c.leases, err = c.bucket(ctx, jetstream.KeyValueConfig{
		Bucket: "callengine_leases", TTL: c.cfg.Lease, Description: "which node of callengine writes a partition",
	}); err != nil {
		return err
	}
	if c.partitions, err = c.bucket(ctx, jetstream.KeyValueConfig{
		Bucket: "callengine_partitions", Description: "the partitions of callengine's nodes",
	}); err != nil {
		return err
	}
	_, err = c.conn.Subscribe(subject(c.instance), c.asked)
	return err
}

// bucket returns a bucket, which is made if there is none: by whoever comes first.
func (c *Cluster) bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	b, err := c.js.CreateKeyValue(ctx, cfg)
	if errors.Is(err, jetstream.ErrBucketExists) {
		b, err = c.js.KeyValue(ctx, cfg.Bucket)
	}
	if err != nil {
		err = fmt.Errorf("bucket %s: %w", cfg.Bucket, err)
	}
	return b, err
}

// Serve has h do what other nodes ask for, and tells them how this one is reached. From now on partitions are taken over.
func (c *Cluster) Serve(self Peer, h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.self, c.handler = self, h
	select {
	case c.served <- struct{}{}:
	default: // it is about to look
	}
}

// Name returns the name of the node's own partition, once it is open.
func (c *Cluster) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		return c.cfg.Node
	}
	return c.own.name
}

// Lost tells that another node has taken over what this one holds, because it was not heard of for too long: its calls are
// that one's now.
func (c *Cluster) Lost() <-chan error { return c.lost }

// Failing returns why nothing can be written; nil: all is well.
func (c *Cluster) Failing() error {
	for _, p := range c.all() {
		if err := p.Failing(); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failing
}

// Figures returns the sum of the figures of the partitions that the node holds.
func (c *Cluster) Figures() (sum state.Figures) {
	for _, p := range c.all() {
		f := p.Figures()
		sum.Failing = max(sum.Failing, f.Failing)
		sum.Calls += f.Calls
		sum.Unwritten += f.Unwritten
		sum.Stored += f.Stored
		sum.Entries += f.Entries
		sum.Messages += f.Messages
		sum.Bytes += f.Bytes
		sum.Failures += f.Failures
	}
	return sum
}

// all returns the partitions that the node holds, its own first.
func (c *Cluster) all() []*partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[:len(c.held):len(c.held)]
}

// Close writes what is not written yet and lets other nodes have the partitions. It is idempotent.
func (c *Cluster) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.working.Wait()
	var err error
	for _, p := range c.all() {
		err = errors.Join(err, p.Close(), c.letGo(p))
	}
	if c.conn != nil {
		c.conn.Close()
	}
	return err
}
