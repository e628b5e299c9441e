package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	checkpointKey   = "_checkpoint" // among the values of calls: up to which message of the journals these are up to date
	maxPayload      = 8 << 20
	syncInterval    = time.Second
	linkTime        = 30 * time.Second // to start, connect and make streams; a machine may be busy, and a disk slow
	scanBatch       = 10_000
	scanBytes       = 16 << 20
	directGetPrefix = "$JS.API.DIRECT.GET."
)

// link is the connection to JetStream, and the server where that is in the process.
type link struct {
	server *server.Server // nil: it is elsewhere
	conn   *nats.Conn
	out    publisher // the connection, for what the writer sends
	js     jetstream.JetStream
	names  names
}

// publisher sends a message whose answer goes to reply. A [nats.Conn] is one.
type publisher interface {
	PublishRequest(subject, reply string, data []byte) error
}

// connect starts the server, if it is to be in the process, connects to it, and sees to it that the streams are there.
func (d *Durable) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, linkTime)
	defer cancel()
	l := &link{names: d.names}
	opts := linkOptions()
	url := d.cfg.NATSURL
	if d.dir != nil {
		var err error
		if l.server, err = startServer(d.dir.path, d.cfg.SyncAlways, d.log); err != nil {
			return nil, err
		}
		url = ""
		opts = append(opts, nats.InProcessServer(l.server))
	}
	var err error
	if l.conn, err = nats.Connect(url, opts...); err != nil {
		return nil, errors.Join(fmt.Errorf("NATS: %w", err), l.close())
	}
	l.out = l.conn
	if l.js, err = jetstream.New(l.conn); err == nil {
		err = l.streams(ctx, d.dir != nil)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("NATS JetStream: %w", err), l.close())
	}
	return l, nil
}

// linkOptions are those of every connection. On a busy machine even a server in the process may take more than the two seconds that
// a connection is given otherwise.
func linkOptions() []nats.Option {
	return []nats.Option{
		nats.Name("callengine"), nats.Timeout(linkTime), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.NoCallbacksAfterClientClose(),
	}
}

// startServer starts a NATS server in the process. It opens no port.
func startServer(dir string, syncAlways bool, log *zap.Logger) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "callengine", DontListen: true, NoSigs: true, MaxPayload: maxPayload,
		JetStream: true, StoreDir: filepath.Join(dir, storeDir), JetStreamMaxStore: math.MaxInt64 >> 1,
		SyncInterval: syncInterval, SyncAlways: syncAlways, DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded NATS: %w", err)
	}
	s.SetLoggerV2(&serverLog{log.Named("nats").Sugar()}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(linkTime) {
		s.Shutdown()
		return nil, errors.New("embedded NATS: it does not get ready")
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, errors.New("embedded NATS: JetStream could not be started; the log says why")
	}
	return s, nil
}

func (l *link) streams(ctx context.Context, own bool) error {
	journal := jetstream.StreamConfig{
		Name: l.names.journals, Subjects: []string{l.names.journal + "*"}, Storage: jetstream.FileStorage, AllowDirect: true,
		Description: "the journals of callengine's calls",
	}
	records := jetstream.StreamConfig{
		Name: l.names.records, Subjects: []string{l.names.record + ">"}, Storage: jetstream.FileStorage, AllowDirect: true,
		MaxMsgsPerSubject: 1, AllowRollup: true, DenyDelete: true, Discard: jetstream.DiscardNew,
		Description: "the records of callengine's calls, derived from their journals",
	}
	if own {
		records.PersistMode = jetstream.AsyncPersistMode // they can be derived anew
	}
	for _, cfg := range []jetstream.StreamConfig{journal, records} {
		_, err := l.js.CreateStream(ctx, cfg)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}

// close ends the connection, and the server where it is in the process.
func (l *link) close() error {
	if l.conn != nil {
		l.conn.Close()
	}
	if l.server != nil {
		l.server.Shutdown()
		l.server.WaitForShutdown()
	}
	return nil
}

// streamed is a message of a stream.
type streamed struct {
	seq     uint64
	time    time.Time // when it was written; of a value: zero
	subject string
	data    []byte
}

// scan reads the messages of a stream whose subject matches, from a sequence number on, in order. It needs no consumer:
// a request is answered with many messages (NATS ADR-31).
func (l *link) scan(ctx context.Context, stream, subject string, from uint64, read func(streamed) error) error {
	for {
		next, err := l.scanSome(ctx, stream, subject, from, read)
		if err != nil || next == 0 {
			return err
		}
		from = next
	}
}

// scanSome reads messages up to the limits of one request and returns where to go on; 0: there are no more.
func (l *link) scanSome(ctx context.Context, stream, subject string, from uint64, read func(streamed) error) (next uint64, err error) {
	request, err := json.Marshal(map[string]any{"seq": max(from, 1), "next_by_subj": subject, "batch": scanBatch, "max_bytes": scanBytes})
	if err != nil {
		return 0, err
	}
	inbox := l.conn.NewInbox()
	answers, err := l.conn.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection may be gone
	if err := answers.SetPendingLimits(-1, -1); err != nil {
		return 0, err
	}
	if err := l.conn.PublishRequest(directGetPrefix+stream, inbox, request); err != nil {
		return 0, err
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", stream, err)
		}
		switch m.Header.Get("Status") {
		case "":
		case "204":
			if pending, _ := strconv.Atoi(m.Header.Get("Nats-Num-Pending")); pending == 0 {
				return 0, nil
			}
			last, err := strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
			return last + 1, err
		case "404":
			return 0, nil
		default:
			return 0, fmt.Errorf("read %s: %s %s", stream, m.Header.Get("Status"), m.Header.Get("Description"))
		}
		s, err := streamedOf(stream, m)
		if err == nil {
			err = read(s)
		}
		if err != nil {
			return 0, err
		}
	}
}

// streamedOf reads a message as a direct answer holds it.
func streamedOf(stream string, m *nats.Msg) (s streamed, err error) {
	s.subject, s.data = m.Header.Get("Nats-Subject"), m.Data
	if s.seq, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err == nil {
		s.time, err = time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	}
	if err != nil {
		err = fmt.Errorf("read %s: %w", stream, err)
	}
	return s, err
}

// fetchWindow is how many messages are asked for at once.
const fetchWindow = 256

// fetch reads messages of a stream by their sequence numbers, in any order. Those that are not there are left out.
func (l *link) fetch(ctx context.Context, stream string, seqs []uint64, read func(streamed) error) error {
	answers, err := l.conn.SubscribeSync(l.conn.NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection may be gone
	if err := answers.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	for asked, got := 0, 0; got < len(seqs); got++ {
		for ; asked < len(seqs) && asked-got < fetchWindow; asked++ {
			request := strconv.AppendUint([]byte(`{"seq":`), seqs[asked], 10)
			if err := l.conn.PublishRequest(directGetPrefix+stream, answers.Subject, append(request, '}')); err != nil {
				return err
			}
		}
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		switch m.Header.Get("Status") {
		case "":
			var s streamed
			if s, err = streamedOf(stream, m); err == nil {
				err = read(s)
			}
		case "404":
		default:
			err = fmt.Errorf("read %s: %s %s", stream, m.Header.Get("Status"), m.Header.Get("Description"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// value reads the value of a call; ErrNotFound: there is none.
func (l *link) value(ctx context.Context, of names, key string) (streamed, error) {
	request, err := json.Marshal(map[string]any{"last_by_subj": of.record + key})
	if err != nil {
		return streamed{}, err
	}
	m, err := l.conn.RequestWithContext(ctx, directGetPrefix+of.records, request)
	if err != nil {
		return streamed{}, fmt.Errorf("read the record of call %s: %w", key, err)
	}
	switch m.Header.Get("Status") {
	case "":
	case "404":
		return streamed{}, ErrNotFound
	default:
		return streamed{}, fmt.Errorf("read the record of call %s: %s", key, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	return streamed{seq: seq, subject: m.Header.Get("Nats-Subject"), data: m.Data}, err
}

// serverLog has the embedded server's log lines in the node's log.
type serverLog struct{ log *zap.SugaredLogger }

var _ server.Logger = (*serverLog)(nil)

func (s *serverLog) Noticef(format string, v ...any) { s.log.Debugf(format, v...) }
func (s *serverLog) Debugf(format string, v ...any)  {}
func (s *serverLog) Tracef(format string, v ...any)  {}
func (s *serverLog) Warnf(format string, v ...any)   { s.log.Warnf(format, v...) }
func (s *serverLog) Errorf(format string, v ...any)  { s.log.Errorf(format, v...) }
func (s *serverLog) Fatalf(format string, v ...any)  { s.log.Errorf(format, v...) } // the process is not the server's to end

// isKey reports whether a call's id can be a token of a subject and a key.
func isKey(id string) bool {
	return id != "" && id[0] != '_' && strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}
