package state

import "context"

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
	names := namesOf(partition)
	d.linkMu.RLock()
	defer d.linkMu.RUnlock()
	var journal []Entry
	err := d.link.scan(ctx, names.journals, names.journal+callID, 1, func(m streamed) error {
		entries, err := d.codec.unpack(callID, m.data)
		journal = merge(journal, entries) // what can be read of it counts
		return err
	})
	if len(journal) == 0 && err == nil {
		err = ErrNotFound
	}
	return journal, err
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
