package state

import (
	"bytes"

	"go.uber.org/zap"
)

// pages are what is in memory of a journal that a durable store keeps: the entries that are not on disk, and as long as something
// happens on the call those before them. An entry is packed as it is appended, in the form in which a message holds it: bytes
// the garbage collector need not look at, and the message is put together by copying them.
type pages struct {
	before uint64   // number of the entry before the first one that is in memory
	read   []Entry  // the first of them, as they were read when the store was opened
	sheets [][]byte // those that follow
	size   int      // how many bytes they have
	marks  []mark   // where a message that holds some of these ends, in order; behind the one that was written last
}

// mark is the end of an entry among the bytes.
type mark struct {
	entry uint64 // its number
	at    int
}

// mark notes that a message may end with the entry that was added last.
func (p *pages) mark(entry uint64) mark {
	m := mark{entry, p.size}
	p.marks = append(p.marks, m)
	return m
}

// next returns where a message begins with the entry behind from, and where it may end. last is the number of the call's last entry.
func (p *pages) next(from, last uint64) (begin, end mark) {
	begin.entry = from
	for _, m := range p.marks {
		switch {
		case m.entry == from:
			begin = m
		case m.entry > from:
			return begin, m
		}
	}
	return begin, p.mark(last)
}

// wrote forgets the marks that are not needed when all up to an entry is written.
func (p *pages) wrote(entry uint64) {
	n := 0
	for n < len(p.marks) && p.marks[n].entry < entry {
		n++
	}
	p.marks = append(p.marks[:0], p.marks[n:]...)
}

// write adds the bytes from one place to another to a message.
func (p *pages) write(to *bytes.Buffer, from, end int) {
	at := 0
	for _, s := range p.sheets {
		if from < at+len(s) && end > at {
			to.Write(s[max(from-at, 0):min(end-at, len(s))])
		}
		at += len(s)
	}
}

// part is a copy of the entries that are packed.
func (p *pages) part() part {
	return part{first: p.before + uint64(len(p.read)) + 1, entries: bytes.Join(p.sheets, nil)} // sheets are used again
}

// omit takes out of memory what is on disk: the journal.
func (d *Durable) omit(h *held) {
	d.noted.reuse(h.pages.sheets)
	h.pages = pages{before: uint64(h.entries.len())}
	h.bytes = 0
}

// rewrite packs a journal anew, which is to be written once more.
func (d *Durable) rewrite(h *held, journal []Entry) {
	d.noted.reuse(h.pages.sheets)
	h.pages, h.entries, h.bytes = pages{}, entries{}, 0
	for _, e := range journal {
		d.note(h, e)
	}
}

// notes is what it takes to pack entries.
type notes struct {
	entry Entry // that is being packed: otherwise it would have to be allocated
	text  bytes.Buffer
	paper
}

// note packs an entry. One that cannot be packed is left without what it tells, so that there is no gap.
func (d *Durable) note(h *held, e Entry) {
	n := &d.noted
	n.text.Reset()
	n.entry = e
	if err := d.codec.add(&n.text, &n.entry); err != nil {
		d.log.Error("a journal's entry could not be packed", zap.String("call_id", e.CallID), zap.Error(err))
		n.entry = Entry{Seq: e.Seq, Type: e.Type}
		if err := d.codec.add(&n.text, &n.entry); err != nil {
			panic("state: a type does not marshal: " + err.Error())
		}
	}
	n.entry = Entry{}
	p := &h.pages
	begin := 0
	if last := len(p.marks) - 1; last >= 0 {
		begin = p.marks[last].at
	}
	if p.size-begin >= maxPack {
		p.mark(uint64(h.entries.len()))
	}
	h.entries.base++
	h.bytes += int64(n.text.Len())
	p.sheets = n.write(p.sheets, n.text.Bytes())
	p.size += n.text.Len()
}
