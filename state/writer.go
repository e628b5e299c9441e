package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

const (
	// packTime is how long an entry that nobody waits for waits for others of its call.
	packTime = 20 * time.Millisecond
	// packTimeSynced is the same where each message waits for the disk itself.
	packTimeSynced = 100 * time.Millisecond
	// maxPending is how many messages may be on their way; the server refuses more than 10,000.
	maxPending = 2048
	// ackTime is how long a message may take to be written before the disk counts as failing.
	ackTime = 5 * time.Second
	// tick is how often the rest is looked after: values, the disk's room, a disk that failed.
	tick = time.Second
)

// receipt is what to do when a message has been written.
type receipt struct {
	sent time.Time
	done func(seq uint64) // with the lock held
}

func (d *Durable) packAfter() time.Duration {
	if d.cfg.SyncAlways {
		return packTimeSynced
	}
	return packTime
}

// write is the goroutine that writes: it alone publishes.
func (d *Durable) write() {
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for {
		select {
		case <-d.wake:
			d.publishListed()
		case <-clock.C:
			d.lookAfter()
		case <-d.ending:
			return
		}
	}
}

// publishListed writes what is new of the calls that wait for it.
func (d *Durable) publishListed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.failing == nil && len(d.urgent) > 0 {
		some := d.urgent
		d.urgent = nil
		d.publishCalls(some)
	}
	if d.failing != nil || len(d.patient) == 0 {
		return
	}
	if waited := time.Since(d.patience); waited < d.packAfter() {
		return // the timer is running
	}
	some := d.patient
	d.patient = nil
	for _, c := range some {
		c.disk.listed = false
	}
	d.publishCalls(some)
}

// publishCalls is called with the lock held, and lets go of it while it works.
func (d *Durable) publishCalls(calls []*stored) {
	for _, c := range calls {
		for d.failing == nil && c.held != nil && c.disk.handed < uint64(c.entries.len()) {
			from := max(c.disk.handed, uint64(c.entries.base))
			some := c.entries.after(from)
			d.mu.Unlock()
			n, err := d.codec.pack(&d.scratch, some)
			d.mu.Lock()
			if err != nil { // it would fail each time
				d.log.Error("a journal's entry could not be packed", zap.String("call_id", c.id), zap.Error(err))
				return
			}
			if d.failing != nil {
				return
			}
			c.disk.handed = from + uint64(n)
			d.figures.Entries += uint64(n)
			d.send(d.names.journal+c.id, &d.scratch, func(seq uint64) { d.wrote(c, from, from+uint64(n), seq) })
		}
	}
}

// send publishes a message. It is called with the lock held, and lets go of it while it works.
func (d *Durable) send(subject string, data *bytes.Buffer, done func(seq uint64)) {
	for len(d.pending) >= maxPending && d.failing == nil {
		d.room.Wait()
	}
	if d.failing != nil {
		return
	}
	d.token++
	d.pending[d.token] = receipt{time.Now(), done}
	d.figures.Messages++
	d.figures.Bytes += uint64(data.Len())
	reply := d.replies + strconv.FormatUint(d.token, 36)
	d.mu.Unlock()
	err := d.link.conn.PublishRequest(subject, reply, data.Bytes())
	d.mu.Lock()
	if err != nil {
		d.fail(fmt.Errorf("NATS: %w", err))
	}
}

// wrote notes that entries of a call are safe.
func (d *Durable) wrote(c *stored, from, last, seq uint64) {
	d.acked = max(d.acked, seq)
	c.disk.wrote(from, last, seq)
	if c.held != nil && d.calls[c.id] == c {
		d.settleDown(c)
	}
}

// listen has the answers to what is written.
func (d *Durable) listen() error {
	prefix := d.link.conn.NewInbox() + "."
	d.replies = prefix
	sub, err := d.link.conn.Subscribe(prefix+"*", func(m *nats.Msg) { d.answered(prefix, m) })
	if err != nil {
		return err
	}
	return sub.SetPendingLimits(-1, -1)
}

// answer is JetStream's to what was published.
type answer struct {
	Seq   uint64 `json:"seq"`
	Error *struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	} `json:"error"`
}

func (d *Durable) answered(prefix string, m *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, prefix), 36, 64)
	if err != nil {
		return
	}
	var a answer
	switch {
	case m.Header.Get("Status") == "503":
		err = errors.New("JetStream does not answer")
	default:
		if err = json.Unmarshal(m.Data, &a); err == nil && a.Error != nil {
			err = errors.New(a.Error.Description)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r, known := d.pending[token]
	if !known || prefix != d.replies {
		return
	}
	if err != nil {
		d.fail(err)
		return
	}
	delete(d.pending, token)
	if n := len(d.pending); n == 0 || n == maxPending-1 {
		d.room.Broadcast()
	}
	r.done(a.Seq)
}
