package state

import (
	"context"
	"errors"
)

// Has reports whether the store has a journal of the call.
func (d *Durable) Has(callID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[callID] != nil
}

// JournalOf reads a call's journal from a partition of another store in the same NATS cluster, as far as it is written. It
// returns ErrNotFound where there is none.
func (d *Durable) JournalOf(ctx context.Context, partition, callID string) ([]Entry, error) {
	if !isKey(callID) {
		return nil, ErrNotFound
	}
	of := namesOf(partition)
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	where := disk{own: true, first: 1} // unless there is a value that tells
	m, err := d.link.value(ctx, of, callID)
	if err == nil {
		var f filed
		if f, err = d.codec.unfile(m.data); err == nil {
			where = disk{own: f.Own, first: f.First, trail: f.Trail}
		}
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	found, err := d.gather(ctx, of, callID, where)
	if err != nil {
		return nil, err
	}
	told, err := d.toldOf(ctx, of)
	if err != nil {
		return nil, err
	}
	// What no value tells of is behind the checkpoint.
	err = d.link.scan(ctx, of.journals, of.group, told+1, func(m streamed) error {
		d.readParts(of, m, func(call []byte, p part) {
			if string(call) == callID {
				found = append(found, p)
			}
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	journal := d.join(callID, found)
	if len(journal) == 0 {
		return nil, ErrNotFound
	}
	return journal, nil
}

// toldOf reads the checkpoint of a partition; 0: there is none.
func (d *Durable) toldOf(ctx context.Context, of names) (uint64, error) {
	m, err := d.link.value(ctx, of, checkpointKey)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return readCheckpoint(m.data)
}

// RecordOf derives a call's record from its journal; ErrNotFound: nothing is known of it but SIP messages.
func RecordOf(callID string, journal []Entry) (Record, error) {
	r := Record{CallID: callID}
	for _, e := range journal {
		r.Apply(e)
	}
	if r.State == "" {
		return Record{}, ErrNotFound
	}
	return r, nil
}
