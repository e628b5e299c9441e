package hep

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config says where packets go.
type Config struct {
	Network   string // "udp" or "tcp"; "": udp
	Address   string // of the collector, host:port
	CaptureID uint32 // of all packets
	Password  string // of all packets; empty: none
	Queue     int    // how many packets may wait; 0: 4096, which is a second of two thousand calls that begin
}

// Result is what has become of a packet.
type Result string

const (
	Sent    Result = "sent"
	Dropped Result = "dropped" // the queue was full
	Failed  Result = "failed"  // it could not be written, or not be a packet at all
)

// Exporter sends packets to a collector, from a goroutine of its own. Make it with [NewExporter], Start it, Close it. Its
// methods may be called by several goroutines at once.
type Exporter struct {
	cfg   Config
	log   *zap.Logger
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	count func(Result)

	queue   chan func() (Packet, error)
	closing chan struct{}
	once    sync.Once
	living  context.Context // ends when nothing more is waited for
	end     context.CancelFunc
	running sync.WaitGroup

	conn    net.Conn
	unwatch func() bool // ends the watch that closes conn when living ends
	since   time.Time   // when conn was made
	retry   time.Time   // no other is made before
	failing bool        // a row of failures, of which the first was logged
	buf     []byte
}

// Option replaces a default of [NewExporter].
type Option func(*Exporter)

// WithLogger sets the logger. Default: none.
func WithLogger(l *zap.Logger) Option { return func(e *Exporter) { e.log = l } }

// WithDialContext makes connections with dial, UDP's too. Default: the host's network.
func WithDialContext(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(e *Exporter) { e.dial = dial }
}

// WithCounter tells count what becomes of each packet. It is called from many goroutines. Default: nobody.
func WithCounter(count func(Result)) Option { return func(e *Exporter) { e.count = count } }

const (
	retryPause   = time.Second     // between two connections
	writeTimeout = 5 * time.Second // of TCP: a collector that does not read
	farewell     = time.Second     // what Close waits for the queue to empty
)

// NewExporter makes an exporter. It opens no socket.
func NewExporter(cfg Config, opts ...Option) *Exporter {
	if cfg.Network == "" {
		cfg.Network = "udp"
	}
	if cfg.Queue <= 0 {
		cfg.Queue = 4096
	}
	e := &Exporter{
		cfg: cfg, log: zap.NewNop(), dial: (&net.Dialer{}).DialContext, count: func(Result) {},
		queue: make(chan func() (Packet, error), cfg.Queue), closing: make(chan struct{}),
	}
	e.living, e.end = context.WithCancel(context.Background())
	for _, o := range opts {
		o(e)
	}
	return e
}

// Start begins to send. It returns at once: a collector that is not there is tried again and again.
func (e *Exporter) Start() { e.running.Go(e.run) }

// Send has a packet sent. It does not wait: a packet for which there is no room is dropped. The packet itself is made by
// the exporter's goroutine, so that this costs nothing here; an error of make counts as [Failed]. CaptureID and Password
// are the exporter's.
func (e *Exporter) Send(make func() (Packet, error)) {
	select {
	case e.queue <- make:
	default:
		e.count(Dropped)
	}
}

// Close sends what waits, for a second at the most, and returns when the exporter has ended. It is idempotent.
func (e *Exporter) Close() {
	e.once.Do(func() { close(e.closing) })
	timer := time.AfterFunc(farewell, e.end)
	e.running.Wait()
	timer.Stop()
	e.end()
}

func (e *Exporter) run() {
	defer e.disconnect()
	for {
		select {
		case p := <-e.queue:
			e.export(p)
			continue
		case <-e.closing:
		}
		for {
			select {
			case p := <-e.queue:
				e.export(p)
			default:
				return
			}
		}
	}
}

func (e *Exporter) export(make func() (Packet, error)) {
	p, err := e.packet(make)
	if err == nil {
		p.CaptureID, p.Password = e.cfg.CaptureID, e.cfg.Password
		e.buf, err = p.AppendBinary(e.buf[:0])
	}
	switch {
	case errors.Is(err, ErrNoReport): // there was nothing to tell
	case err != nil:
		e.count(Failed)
		e.log.Debug("a message cannot be a HEP packet", zap.Error(err))
	default:
		e.told(e.write())
	}
}

// packet keeps a panic over foreign bytes away from the process.
func (e *Exporter) packet(make func() (Packet, error)) (p Packet, err error) {
	defer func() {
		if v := recover(); v != nil {
			e.log.Error("a HEP packet failed inside the node", zap.Any("panic", v), zap.Stack("stack"))
			err = errPanic
		}
	}()
	return make()
}

var errPanic = errors.New("hep: internal error")

// told counts a packet that was written, or was not, and logs where a row of failures begins and ends.
func (e *Exporter) told(err error) {
	address := zap.String("address", e.cfg.Network+"://"+e.cfg.Address)
	if err != nil {
		e.count(Failed)
		e.disconnect()
		if !e.failing && e.living.Err() == nil {
			e.log.Warn("HEP cannot be sent", address, zap.Error(err))
		}
		e.failing = true
		return
	}
	e.count(Sent)
	// Over UDP it is later writes that tell that nobody is there.
	if e.failing && (e.cfg.Network == "tcp" || time.Since(e.since) > retryPause) {
		e.log.Info("HEP is sent again", address)
		e.failing = false
	}
}

// write writes the packet in the buffer, over a new connection if there is none. Connections are not made more often than
// once in a pause, which the packets spend in the queue.
func (e *Exporter) write() error {
	if e.conn == nil {
		if err := e.connect(); err != nil {
			return err
		}
	}
	if err := e.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := e.conn.Write(e.buf)
	return err
}

func (e *Exporter) connect() error {
	if err := e.pause(time.Until(e.retry)); err != nil {
		return err
	}
	e.retry = time.Now().Add(retryPause)
	ctx, cancel := context.WithTimeout(e.living, writeTimeout)
	defer cancel()
	conn, err := e.dial(ctx, e.cfg.Network, e.cfg.Address)
	if err != nil {
		return err
	}
	e.conn, e.since = conn, time.Now()
	e.unwatch = context.AfterFunc(e.living, func() { _ = conn.Close() })
	return nil
}

// pause waits, unless the exporter has no time left.
func (e *Exporter) pause(d time.Duration) error {
	if d <= 0 {
		return e.living.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-e.living.Done():
		return e.living.Err()
	}
}

func (e *Exporter) disconnect() {
	if e.conn != nil {
		e.unwatch()
		_ = e.conn.Close() // what it had to tell, the write before it told
		e.conn = nil
	}
}
