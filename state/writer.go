package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// packTime is how long an entry that nobody waits for waits for others of its call.
	packTime = 20 * time.Millisecond
	// packTimeSynced is the same where each message waits for the disk itself.
	packTimeSynced = 100 * time.Millisecond
	// spacing is how far apart messages are in a busy store, so that each has what more calls append: a message costs what many
	// entries do. A store that has been quiet may write burst of them one right after the other.
	spacing = 3 * time.Millisecond
	burst   = 16
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
	var next time.Time          // message that keeps the spacing
	var values <-chan time.Time // more of them are due
	for {
		select {
		case <-d.wake:
			if !d.until(next) {
				return
			}
			if d.publishListed() {
				next = spaced(next, time.Now())
			}
		case <-clock.C:
			d.lookAfter()
			values = d.someValues()
		case <-values:
			values = d.someValues()
		case <-d.ending:
			return
		}
	}
}

// someValues writes some values and returns when to go on; nil: there are no more.
func (d *Durable) someValues() <-chan time.Time {
	if !d.publishValues() {
		return nil
	}
	return time.After(valuePause)
}

// until waits for a time; false: the store is being closed.
func (d *Durable) until(t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	select {
	case <-time.After(wait):
		return true
	case <-d.ending:
		return false
	}
}

// spaced is when the next message may be written after one that might have been at next, and was at now.
func spaced(next, now time.Time) time.Time {
	if earliest := now.Add(-(burst - 1) * spacing); next.Before(earliest) {
		next = earliest
	}
	return next.Add(spacing)
}

// publishListed writes what is new of the calls that wait for it, in one message, unless one is on its way. It reports whether
// there was something to write.
func (d *Durable) publishListed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != nil || d.writing {
		return false
	}
	pieces := d.take()
	d.publish(pieces)
	return len(pieces) > 0
}

// piece is what a message has of one call.
type piece struct {
	call       *stored
	from, last uint64 // number of the entry before the first, and of the last one
}

// take puts a message together of as much of what waits as makes up one, and returns what it has.
func (d *Durable) take() (pieces []piece) {
	d.codec.begin(&d.scratch)
	calls := d.urgent
	if len(d.patient) > 0 && time.Since(d.patience) >= d.packAfter() { // otherwise the timer is running
		for _, c := range d.patient {
			c.disk.listed = false
		}
		calls = append(calls, d.patient...)
		d.patient = nil
	}
	d.urgent = nil
	for i, c := range calls {
		for c.held != nil && c.disk.handed < uint64(c.entries.len()) {
			if d.scratch.Len() >= maxPack {
				d.urgent = calls[i:]
				return pieces
			}
			begin, end := c.pages.next(c.disk.handed, uint64(c.entries.len()))
			d.codec.head(&d.scratch, c.id, begin.entry+1, end.at-begin.at)
			c.pages.write(&d.scratch, begin.at, end.at)
			c.disk.handed = end.entry
			pieces = append(pieces, piece{c, begin.entry, end.entry})
		}
	}
	return pieces
}

// publish sends the message that has the pieces. It is called with the lock held, and lets go of it while it works.
func (d *Durable) publish(pieces []piece) {
	if len(pieces) == 0 {
		return
	}
	d.writing = true
	sent := d.send(d.names.group, &d.scratch, func(seq uint64) {
		d.writing = false
		d.acked = max(d.acked, seq)
		for i := range pieces {
			d.wrote(&pieces[i], seq)
		}
		if len(d.urgent)+len(d.patient) > 0 {
			d.rouse()
		}
	})
	if sent {
		for _, p := range pieces {
			d.figures.Entries += p.last - p.from
		}
		return
	}
	d.writing = false
	for _, p := range slices.Backward(pieces) { // unless a failure has done so
		if p.call.disk.handed == p.last {
			p.call.disk.handed = p.from
		}
	}
}

// send publishes a message, unless the disk fails. It is called with the lock held, and lets go of it while it works.
func (d *Durable) send(subject string, data *bytes.Buffer, done func(seq uint64)) (sent bool) {
	for len(d.pending) >= maxPending && d.failing == nil {
		d.room.Wait()
	}
	if d.failing != nil {
		return false
	}
	d.token++
	d.pending[d.token] = receipt{time.Now(), done}
	d.figures.Messages++
	d.figures.Bytes += uint64(data.Len())
	reply := d.replies + strconv.FormatUint(d.token, 36)
	d.mu.Unlock()
	err := d.link.out.PublishRequest(subject, reply, data.Bytes())
	d.mu.Lock()
	if err != nil {
		d.broken = true
		d.fail(fmt.Errorf("NATS: %w", err))
	}
	return err == nil
}

// wrote notes that entries of a call are safe.
func (d *Durable) wrote(p *piece, seq uint64) {
	c := p.call
	c.disk.wrote(p.from, p.last, seq)
	if c.held != nil && d.calls[c.id] == c {
		c.pages.wrote(c.disk.written)
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
		d.broken = true
		d.fail(err)
		return
	}
	delete(d.pending, token)
	if n := len(d.pending); n == 0 || n == maxPending-1 {
		d.room.Broadcast()
	}
	r.done(a.Seq)
	if d.stalled && !d.slow() {
		d.proceed()
	}
}
