package state

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/klauspost/compress/flate"
)

// A busy node has thousands of calls in memory, most of them over. An entry is several values that point at others, all of which
// the garbage collector would follow again and again, and a call has dozens. So an entry is packed into bytes as it is appended:
// these it need not look at, and they are a third of the size.
//
// What a call that is up and quiet leaves is deflated besides, to a quarter of that: it waits for something, and mostly for
// long. Of one that is over, all that there is of it is soon made one piece of memory ([sealed]). To deflate it, too, would take
// a good part of the time that its entries have taken, and where there are many such calls there is none to spare.

const (
	// packQuiet is how long nothing has happened on a call that is up, or owes an event, when it is packed.
	packQuiet = time.Second
	// sealQuiet is the same for one that is over: little is still to come of it, and nearly all of that at once.
	sealQuiet = 100 * time.Millisecond
	// packAtOnce is how many calls at most are looked at when an entry is appended: nobody waits for long.
	packAtOnce = 2
)

// packer packs the journals of a store in memory. Its methods are called with the store's lock held.
type packer struct {
	codec    codec
	up, over queue
	unsure   queue // over and packed; their callers may not have learned it
	entry    Entry // that is being packed
	scratch  bytes.Buffer
	deflated bytes.Buffer
	paper
}

// packed are the entries of a call in bytes, as addBrief adds them, one after the other.
type packed struct {
	deflated []byte   // the first of them, as streams of RFC 1951
	plain    []byte   // those that follow
	sheets   [][]byte // those that were appended since the call was last quiet
}

// note adds an entry to a call's journal. One that cannot be packed stays as it is, and so does what follows it.
func (p *packer) note(h *held, e Entry) {
	p.scratch.Reset()
	p.entry = e // otherwise it would have to be allocated
	loose := len(h.entries.chunks) > 0 || p.codec.addBrief(&p.scratch, &p.entry) != nil
	p.entry = Entry{}
	if loose {
		h.add(e)
		return
	}
	h.entries.base++
	h.bytes += int64(p.scratch.Len())
	h.packed.sheets = p.write(h.packed.sheets, p.scratch.Bytes())
}

// next returns a call that has been quiet and is to be packed, of the few that it looks at; nil: none of these is.
func (p *packer) next(now time.Time) *stored {
	for range packAtOnce {
		from := &p.over
		c := from.due(now, sealQuiet)
		if c == nil {
			from = &p.up
			c = from.due(now, packQuiet)
		}
		if c == nil {
			from = &p.unsure
			c = from.due(now, hangsFor)
		}
		if c == nil {
			return nil
		}
		if c.queued != from {
			continue // it has been packed, or waits in the other one
		}
		c.queued = nil
		if to, quiet := p.queue(c); now.Sub(c.quiet) < quiet {
			to.add(c)
			continue
		}
		return c
	}
	return nil
}

// appended notes that a call has a new entry.
func (p *packer) appended(c *stored) {
	if to, _ := p.queue(c); c.queued != to && c.queued != &p.over {
		to.add(c)
	}
}

// queue returns where a call waits to be packed, and how long.
func (p *packer) queue(c *stored) (*queue, time.Duration) {
	if c.place == notOver {
		return &p.up, packQuiet
	}
	return &p.over, sealQuiet
}

// pack packs what has been appended to a call that was quiet.
func (p *packer) pack(c *stored, now time.Time) {
	if c.held == nil || c.sealable(now) && p.seal(c) == nil {
		return
	}
	if !c.keep() && c.rest.hangs(now) {
		p.unsure.add(c)
	}
	if len(c.packed.sheets) == 0 {
		return
	}
	j := &c.packed
	before := j.len()
	if c.record.live() && len(j.plain) == 0 {
		p.scratch.Reset()
		for _, s := range j.sheets {
			p.scratch.Write(s)
		}
		p.deflated.Reset()
		if err := flate.StatelessDeflate(&p.deflated, p.scratch.Bytes(), true, nil); err != nil {
			return
		}
		j.deflated = slices.Concat(j.deflated, p.deflated.Bytes())
	} else {
		j.plain = slices.Concat(append([][]byte{j.plain}, j.sheets...)...)
	}
	p.reuse(j.sheets)
	j.sheets = nil
	c.bytes += int64(j.len() - before)
}

// len is how many bytes there are.
func (j *packed) len() int {
	n := len(j.deflated) + len(j.plain)
	for _, s := range j.sheets {
		n += len(s)
	}
	return n
}

// excerpt is what it takes to read a call's journal without the store's lock.
type excerpt struct {
	deflated, plain []byte
	loose           []Entry // what is not packed
}

func (p *packer) excerpt(h *held) excerpt {
	return excerpt{
		deflated: h.packed.deflated,
		plain:    slices.Concat(append([][]byte{h.packed.plain}, h.packed.sheets...)...), // sheets are used again
		loose:    h.entries.all(),
	}
}

// journal returns the journal of a call.
func (c codec) journal(callID string, e excerpt) ([]Entry, error) {
	all, err := inflate(e.deflated)
	if err != nil {
		return nil, err
	}
	journal, err := c.unpackBrief(callID, append(all, e.plain...))
	return append(journal, e.loose...), err
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
