package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// load reads what there is: the values of calls, then the journals of those with messages that no value tells, and of
// those that are not over.
func (d *Durable) load(ctx context.Context) error {
	journals, err := d.link.js.Stream(ctx, d.names.journals)
	if err != nil {
		return fmt.Errorf("NATS JetStream: stream %s: %w", d.names.journals, err)
	}
	there := journals.CachedInfo().State
	told, err := d.loadValues(ctx, there.FirstSeq)
	if err != nil {
		return err
	}
	d.acked, d.figures.Stored = there.LastSeq, there.Bytes
	if told > there.LastSeq {
		d.log.Error("the end of the journals is missing; calls are read from what is left",
			zap.Uint64("messages", told-there.LastSeq), zap.Uint64("left_up_to", there.LastSeq))
		told = 0
	}
	touched, err := d.touched(ctx, told+1)
	if err != nil {
		return err
	}
	for _, c := range d.calls {
		if _, known := touched[c.id]; !known && c.held != nil && (c.busy() || c.rest.hangs(time.Now())) {
			touched[c.id] = c.disk.first
		}
	}
	if err := d.loadJournals(ctx, touched); err != nil {
		return err
	}
	d.index.order = d.index.order[:0]
	for _, c := range d.calls {
		d.index.order = append(d.index.order, c)
		d.last = max(d.last, c.number)
		if c.held != nil {
			d.settleDown(c)
		}
	}
	slices.SortFunc(d.index.order, func(a, b *stored) int { return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.id, b.id)) })
	return nil
}

// busy reports whether there is something left to do for the call but to deliver what it owes.
func (h *held) busy() bool { return h.record.live() || h.rest.busy(h.record.Refers) }

// loadValues reads the values of the calls whose journals begin with the message first or a later one, and returns the
// checkpoint; 0: there is none, or a value cannot be read.
func (d *Durable) loadValues(ctx context.Context, first uint64) (told uint64, err error) {
	broken := false
	err = d.link.scan(ctx, d.names.records, d.names.record+">", 1, func(m streamed) error {
		id := strings.TrimPrefix(m.subject, d.names.record)
		if id == checkpointKey {
			d.cycle.seq = m.seq
			if told, err = readCheckpoint(m.data); err != nil {
				broken = true
			}
			return nil
		}
		f, err := d.codec.unfile(m.data)
		if err != nil {
			broken = true
			d.log.Error("a call's value could not be read; it is derived from its journal anew", zap.String("call_id", id), zap.Error(err))
			return nil
		}
		if f.First >= first { // otherwise its journal was dropped
			d.calls[id] = f.stored(id, m.seq)
		}
		return nil
	})
	if broken {
		told = 0
	}
	d.cycle.pinned, d.cycle.goal = told, told
	return told, err
}

// stored is the call of a value, in memory as far as there is something to do for it.
func (f *filed) stored(id string, seq uint64) *stored {
	c := &stored{id: id, number: f.Number, quiet: time.Unix(0, f.Quiet), place: notOver}
	last := uint64(f.Last)
	c.disk = disk{handed: last, written: last, first: f.First, since: time.Unix(f.Since, 0), value: seq}
	h := &held{entries: entries{base: f.Last}, record: f.Record, owed: f.Owed, dead: f.Dead}
	h.rest = rest{
		begun: f.Rest.Begun, ended: f.Rest.Ended, told: f.Rest.Told, outlive: f.Rest.Outlive, settled: f.Rest.Settled,
		invited: f.Rest.Invited, refused: f.Rest.Refused, declined: f.Rest.Declined, gone: f.Rest.Gone, cseq: f.Rest.CSeq,
	}
	if f.Rest.Over != 0 {
		h.rest.over = time.Unix(0, f.Rest.Over)
	}
	if h.busy() || h.rest.hangs(time.Now()) || len(h.owed) > 0 || len(h.dead) > 0 {
		c.held = h
	}
	return c
}

// touched returns the calls of the journals' messages from one on, and the first of these.
func (d *Durable) touched(ctx context.Context, from uint64) (map[string]uint64, error) {
	calls := map[string]uint64{}
	err := d.link.scan(ctx, d.names.journals, d.names.journal+"*", from, func(m streamed) error {
		id := strings.TrimPrefix(m.subject, d.names.journal)
		if _, known := calls[id]; !known {
			calls[id] = m.seq
		}
		return nil
	})
	return calls, err
}

// loadJournals reads the journals of calls. What cannot be read is told of; it is no reason not to start.
func (d *Durable) loadJournals(ctx context.Context, calls map[string]uint64) error {
	for id, first := range calls {
		if known := d.calls[id]; known != nil {
			calls[id] = min(first, known.disk.first)
		}
	}
	together, err := d.readTogether(ctx, calls)
	if err != nil {
		return err
	}
	for id, first := range calls {
		known := d.calls[id]
		j, read := together[id]
		if !read {
			if j, err = d.read(ctx, id, first); err != nil {
				return err
			}
		}
		if len(j.entries) == 0 {
			d.log.Error("a call's journal is missing; what is known of the call is dropped", zap.String("call_id", id))
			delete(d.calls, id)
			continue
		}
		c := &stored{id: id, number: uint64(j.entries[0].Time.UnixNano()), place: notOver, held: replayed(id, j.entries)}
		last := uint64(len(j.entries))
		c.quiet = j.entries[last-1].Time
		c.disk = disk{handed: last, written: last, first: first, since: j.since, untold: first, fresh: true}
		if known != nil {
			c.number, c.disk.value = known.number, known.disk.value
		}
		d.calls[id] = c
		d.fresh = append(d.fresh, c)
	}
	return nil
}

// readJournal is a call's journal as it was read.
type readJournal struct {
	entries []Entry
	since   time.Time // when its first message was written
}

// spread is up to how many messages are read for each call that is looked for in them: with many calls at a time that is
// far quicker than to look for each call's own.
const spread = 64

// readTogether reads the journals of those of the calls, by their first messages, that are near the end of all journals.
func (d *Durable) readTogether(ctx context.Context, calls map[string]uint64) (map[string]*readJournal, error) {
	from := d.acked + 1
	from -= min(from, spread*uint64(len(calls)))
	read := map[string]*readJournal{}
	begin := d.acked + 1
	for id, first := range calls {
		if first >= from {
			read[id] = &readJournal{}
			begin = min(begin, first)
		}
	}
	if len(read) < 2 {
		return nil, nil
	}
	err := d.link.scan(ctx, d.names.journals, d.names.journal+"*", begin, func(m streamed) error {
		if id := strings.TrimPrefix(m.subject, d.names.journal); read[id] != nil && m.seq >= calls[id] {
			d.readMessage(read[id], id, m)
		}
		return nil
	})
	return read, err
}

// replayed derives what is in memory of a call from its journal.
func replayed(id string, journal []Entry) *held {
	h := &held{}
	h.record.CallID = id
	for _, e := range journal {
		h.apply(e)
	}
	return h
}

// wholeJournal reads the journal of a call whose first message is known.
func (d *Durable) wholeJournal(ctx context.Context, callID string, first uint64) ([]Entry, error) {
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	j, err := d.read(ctx, callID, first)
	if err != nil {
		return nil, err
	}
	return j.entries, nil
}

// read returns a call's journal.
func (d *Durable) read(ctx context.Context, callID string, first uint64) (*readJournal, error) {
	j := &readJournal{}
	err := d.link.scan(ctx, d.names.journals, d.names.journal+callID, first, func(m streamed) error {
		d.readMessage(j, callID, m)
		return nil
	})
	return j, err
}

// readMessage takes the next message of a call's journal.
func (d *Durable) readMessage(j *readJournal, callID string, m streamed) {
	entries, err := d.codec.unpack(callID, m.data)
	if err != nil { // what can be read of it counts
		d.log.Error("a message of a journal could not be read", zap.String("call_id", callID), zap.Uint64("message", m.seq), zap.Error(err))
	}
	if j.since.IsZero() {
		j.since = m.time
	}
	j.entries = merge(j.entries, entries)
}

// revive takes a call into memory that is on disk alone.
func (d *Durable) revive(ctx context.Context, c *stored) error {
	journal, err := d.wholeJournal(ctx, c.id, c.disk.first)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.held != nil || d.calls[c.id] != c {
		return nil
	}
	c.held = replayed(c.id, journal)
	last := uint64(len(journal))
	c.disk.handed, c.disk.written = last, last
	return nil
}
