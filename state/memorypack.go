package state

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/flate"
)

// A busy node has thousands of calls in memory on which nothing happens any more, most of them over. Each entry is several
// values that point at others, all of which the garbage collector follows again and again. So the journal of a call that has
// been quiet for packQuiet is packed into bytes, which it need not look at, and which are a third of the size. A call that is up
// then waits for something, and mostly for long: what it leaves is deflated besides, to a quarter of that. For one that is over
// this would take a good part of the time that its entries have taken, and where there are many of them there is none to spare.

const (
	packQuiet = time.Second
	// packAtOnce is how many calls at most are looked at when an entry is appended: nobody waits for long.
	packAtOnce = 2
)

// packer packs the journals of a store in memory. Its methods are called with the store's lock held.
type packer struct {
	codec    codec
	loose    []loose // calls that have entries that are not packed
	scratch  bytes.Buffer
	deflated bytes.Buffer
}

// loose is a call that has something to be packed, and since when it has been quiet, as far as was known when it was put here.
type loose struct {
	call  *stored
	quiet time.Time
}

// appended notes that a call has a new entry.
func (p *packer) appended(c *stored) {
	if !c.loose {
		c.loose = true
		p.loose = append(p.loose, loose{c, c.quiet})
	}
}

// next returns a call that is quiet and has something to be packed, of the few that it looks at; nil: none of these is.
func (p *packer) next(now time.Time) *stored {
	for range packAtOnce {
		if len(p.loose) == 0 || now.Sub(p.loose[0].quiet) < packQuiet {
			return nil
		}
		c := p.loose[0].call
		p.loose = p.loose[1:]
		if now.Sub(c.quiet) >= packQuiet {
			c.loose = false
			return c
		}
		p.loose = append(p.loose, loose{c, c.quiet})
	}
	return nil
}

// pack packs what is loose of a journal, and returns by how much the call is smaller. What cannot be packed stays as it is.
func (p *packer) pack(h *held) (freed int64) {
	p.scratch.Reset()
	for _, chunk := range h.entries.chunks {
		for i := range chunk {
			if err := p.codec.add(&p.scratch, &chunk[i]); err != nil {
				return 0
			}
		}
	}
	if h.record.live() && len(h.packed) == 0 {
		p.deflated.Reset()
		if err := flate.StatelessDeflate(&p.deflated, p.scratch.Bytes(), true, nil); err != nil {
			return 0
		}
		h.deflated = slices.Concat(h.deflated, p.deflated.Bytes())
	} else {
		h.packed = slices.Concat(h.packed, p.scratch.Bytes())
	}
	before := h.bytes
	h.entries.forget()
	h.bytes = int64(len(h.deflated)+len(h.packed)) + entryOverhead
	return before - h.bytes
}

// journal returns a call's whole journal.
func (p *packer) journal(c *stored) ([]Entry, error) {
	packed, err := inflate(c.deflated)
	if err != nil {
		return nil, err
	}
	packed = append(packed, c.packed...)
	journal, err := p.codec.unpack(c.id, part{first: 1, entries: packed}, make([]Entry, 0, c.entries.len()))
	return merge(journal, c.entries.all()), err
}

// inflate reads streams that follow each other.
func inflate(streams []byte) ([]byte, error) {
	var plain bytes.Buffer
	for from := bytes.NewReader(streams); from.Len() > 0; {
		if _, err := plain.ReadFrom(flate.NewReader(from)); err != nil {
			return nil, fmt.Errorf("%w: %w", errPack, err)
		}
	}
	return plain.Bytes(), nil
}
