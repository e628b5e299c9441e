package state

import (
	"fmt"
	"slices"
	"time"
)

// sealed is what stands before the journal of a call of which nothing is left to do, in the one piece of memory that there is of
// it: what is looked for without reading the journal, in CBOR. The garbage collector has hardly more to follow of such a call than
// that it is there. What is written is never changed, so that it can be read without the store's lock.
type sealed struct {
	_        struct{} `cbor:",toarray"`
	Last     int      // number of the last entry
	Deflated int      // so many of the bytes that follow are deflated
	Record   Record
	Rest     filedRest
}

// sealable reports whether nothing is left to do for a call, nor is it looked for but by its id and its record.
func (h *held) sealable(now time.Time) bool {
	return !h.keep() && len(h.dead) == 0 && len(h.entries.chunks) == 0 && !h.rest.unfinished(h.record.Refers, now)
}

// seal makes one piece of memory of a call that is sealable. It stays as it is if it cannot be packed.
func (p *packer) seal(c *stored) error {
	j := &c.packed
	s := sealed{Last: c.entries.len(), Deflated: len(j.deflated), Record: c.record, Rest: c.rest.filed()}
	s.Record.CallID = ""
	p.scratch.Reset()
	if err := p.codec.encode.MarshalToBuffer(&s, &p.scratch); err != nil {
		return err
	}
	c.sealed = slices.Concat(append([][]byte{p.scratch.Bytes(), j.deflated, j.plain}, j.sheets...)...)
	p.reuse(j.sheets)
	c.held = nil
	return nil
}

// unseal takes a call apart again, of which something more has come.
func (p *packer) unseal(c *stored) error {
	s, journal, err := p.codec.unseal(c.id, c.sealed)
	if err != nil {
		return err
	}
	c.sealed = nil
	c.held = &held{
		entries: entries{base: s.Last}, record: s.Record, rest: s.Rest.rest(),
		packed: packed{deflated: journal.deflated, plain: journal.plain}, bytes: int64(len(journal.deflated) + len(journal.plain)),
	}
	return nil
}

// unseal reads what a sealed call is.
func (c codec) unseal(callID string, text []byte) (s sealed, journal excerpt, err error) {
	rest, err := c.decode.UnmarshalFirst(text, &s)
	if err != nil {
		return s, journal, fmt.Errorf("%w: %w", errPack, err)
	}
	s.Record.CallID = callID
	return s, excerpt{deflated: rest[:s.Deflated], plain: rest[s.Deflated:]}, nil
}
