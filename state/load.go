package state

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// load reads what there is: the values of calls, then the journals of those with messages that no value tells, which are
// behind the checkpoint, and of those that are not over. No message is read twice, however many calls it is about.
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
	found, err := d.behind(ctx, told)
	if err != nil {
		return err
	}
	for _, c := range d.calls {
		if c.held != nil && (c.busy() || c.rest.hangs(time.Now())) && found[c.id] == nil {
			found[c.id] = &foundCall{}
		}
	}
	if err := d.ahead(ctx, told, found); err != nil {
		return err
	}
	d.loadJournals(found)
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
	c.disk = disk{
		handed: last, written: last, first: f.First, trail: f.Trail, tail: f.Trail.last(), own: f.Own, since: time.Unix(f.Since, 0), value: seq,
	}
	h := f.held()
	if h.busy() || h.rest.hangs(time.Now()) || len(h.owed) > 0 || len(h.dead) > 0 {
		c.held = h
	}
	return c
}

// held is what is in memory of the call, its journal apart.
func (f *filed) held() *held {
	return &held{
		entries: entries{base: f.Last}, pages: pages{before: uint64(f.Last)}, record: f.Record, rest: f.Rest.rest(), owed: f.Owed, dead: f.Dead,
	}
}

// foundCall is what is found of a call's journal.
type foundCall struct {
	parts []part
	since time.Time // when the first message behind the checkpoint was written
}

// behind returns the calls of the journals' messages behind the checkpoint, and what these hold of them.
func (d *Durable) behind(ctx context.Context, told uint64) (map[string]*foundCall, error) {
	found := map[string]*foundCall{}
	err := d.link.scan(ctx, d.names.journals, d.names.journal+"*", told+1, func(m streamed) error {
		d.readParts(d.names, m, func(call []byte, p part) {
			f := found[string(call)]
			if f == nil {
				f = &foundCall{since: m.time}
				found[string(call)] = f
			}
			f.parts = append(f.parts, p)
		})
		return nil
	})
	return found, err
}

// ahead reads what the messages up to the checkpoint hold of the calls that were found.
func (d *Durable) ahead(ctx context.Context, told uint64, found map[string]*foundCall) error {
	var seqs []uint64
	for id, f := range found {
		known := d.calls[id]
		if known == nil {
			continue
		}
		for _, seq := range known.disk.trail.seqs() {
			if seq <= told {
				seqs = append(seqs, seq)
			}
		}
		if known.disk.own {
			err := d.link.scan(ctx, d.names.journals, d.names.journal+id, known.disk.first, func(m streamed) error {
				d.readParts(d.names, m, func(_ []byte, p part) {
					if p.message <= told {
						f.parts = append(f.parts, p)
					}
				})
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	slices.Sort(seqs)
	return d.link.fetch(ctx, d.names.journals, slices.Compact(seqs), func(m streamed) error {
		d.readParts(d.names, m, func(call []byte, p part) {
			if f := found[string(call)]; f != nil {
				f.parts = append(f.parts, p)
			}
		})
		return nil
	})
}

// readParts reads what a message holds. What cannot be read is told of.
func (d *Durable) readParts(of names, m streamed, read func(call []byte, p part)) {
	if err := d.codec.parts(strings.TrimPrefix(m.subject, of.journal), m, read); err != nil {
		d.log.Error("a message of the journals could not be read", zap.String("stream", of.journals), zap.Uint64("message", m.seq), zap.Error(err))
	}
}

// loadJournals takes the calls that were found into memory. What cannot be read is told of; it is no reason not to start.
func (d *Durable) loadJournals(found map[string]*foundCall) {
	ids := slices.Collect(maps.Keys(found))
	calls := make([]*stored, len(ids))
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(ids)); i = next.Add(1) - 1 {
				calls[i] = d.loadJournal(ids[i], found[ids[i]])
			}
		})
	}
	working.Wait()
	for i, c := range calls {
		if c == nil {
			d.log.Error("a call's journal is missing; what is known of the call is dropped", zap.String("call_id", ids[i]))
			delete(d.calls, ids[i])
			continue
		}
		d.calls[c.id] = c
		d.fresh = append(d.fresh, c)
	}
}

// loadJournal returns a call of which this was found; nil: there is nothing of its journal.
func (d *Durable) loadJournal(id string, found *foundCall) *stored {
	journal := d.join(id, found.parts)
	if len(journal) == 0 {
		return nil
	}
	c := &stored{id: id, number: uint64(journal[0].Time.UnixNano()), place: notOver, held: replayed(id, journal)}
	c.pages = pages{read: journal}
	last := uint64(len(journal))
	c.quiet = journal[last-1].Time
	seqs := make([]uint64, 0, len(found.parts))
	for _, p := range found.parts { // which are in order now
		seqs = append(seqs, p.message)
	}
	seqs = slices.Compact(seqs)
	first := seqs[0]
	c.disk = disk{
		handed: last, written: last, first: first, trail: trailOf(seqs), tail: seqs[len(seqs)-1], since: found.since, untold: first, fresh: true,
	}
	if known := d.calls[id]; known != nil {
		c.number, c.disk.value, c.disk.since = known.number, known.disk.value, known.disk.since
	}
	return c
}

// join makes a journal of what messages hold of it, and puts these in order.
func (d *Durable) join(callID string, parts []part) (journal []Entry) {
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.message, b.message) })
	for i, p := range parts {
		if i > 0 && p.message == parts[i-1].message && p.first == parts[i-1].first {
			continue
		}
		var err error
		if journal, err = d.codec.unpack(callID, p, journal); err != nil { // what can be read of it counts
			d.log.Error("a message of a journal could not be read", zap.String("call_id", callID), zap.Uint64("message", p.message), zap.Error(err))
		}
	}
	return journal
}

// replayed derives what is in memory of a call from its journal, which is on disk.
func replayed(id string, journal []Entry) *held {
	h := &held{entries: entries{base: len(journal)}, pages: pages{before: uint64(len(journal))}}
	h.record.CallID = id
	for _, e := range journal {
		h.apply(e)
	}
	return h
}

// readJournal reads the journal of a call.
func (d *Durable) readJournal(ctx context.Context, callID string, where disk) ([]Entry, error) {
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	return d.read(ctx, callID, where)
}

func (d *Durable) read(ctx context.Context, callID string, where disk) ([]Entry, error) {
	parts, err := d.gather(ctx, d.names, callID, where)
	return d.join(callID, parts), err
}

// gather reads what messages hold of a call's journal.
func (d *Durable) gather(ctx context.Context, of names, callID string, where disk) (parts []part, err error) {
	add := func(m streamed) error {
		d.readParts(of, m, func(call []byte, p part) {
			if string(call) == callID {
				parts = append(parts, p)
			}
		})
		return nil
	}
	if where.own {
		err = d.link.scan(ctx, of.journals, of.journal+callID, where.first, add)
	}
	if err == nil {
		err = d.link.fetch(ctx, of.journals, where.trail.seqs(), add)
	}
	return parts, err
}

// revive takes a call into memory of which that has at most the value.
func (d *Durable) revive(ctx context.Context, c *stored) error {
	d.mu.Lock()
	where, unsealed := c.disk, d.unseal(c)
	d.mu.Unlock()
	if unsealed {
		return nil
	}
	journal, err := d.readJournal(ctx, c.id, where)
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
