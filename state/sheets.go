package state

import "time"

const (
	// sheetLen is how many bytes of a journal are written on one piece of memory. No journal is copied to grow.
	sheetLen = 4 << 10
	// spareSheets is how many are kept for other calls when one needs them no longer: a busy store allocates none.
	spareSheets = 1024
)

// paper is sheets that nobody uses.
type paper struct{ spare [][]byte }

// write adds to what is written on sheets.
func (p *paper) write(sheets [][]byte, text []byte) [][]byte {
	for len(text) > 0 {
		last := len(sheets) - 1
		if last < 0 || len(sheets[last]) == sheetLen {
			sheets = append(sheets, p.sheet())
			last++
		}
		n := min(len(text), sheetLen-len(sheets[last]))
		sheets[last] = append(sheets[last], text[:n]...)
		text = text[n:]
	}
	return sheets
}

// sheet returns one on which there is nothing.
func (p *paper) sheet() []byte {
	last := len(p.spare) - 1
	if last < 0 {
		return make([]byte, 0, sheetLen)
	}
	s := p.spare[last]
	p.spare = p.spare[:last]
	return s
}

// reuse takes sheets that are needed no longer.
func (p *paper) reuse(sheets [][]byte) {
	for _, s := range sheets[:min(len(sheets), spareSheets-len(p.spare))] {
		p.spare = append(p.spare, s[:0])
	}
}

// shed gives up half of them: a store that is busy no longer needs none in the end.
func (p *paper) shed() {
	keep := len(p.spare) / 2
	clear(p.spare[keep:])
	p.spare = p.spare[:keep]
}

// queue is calls that wait to be packed.
type queue []waiting

// waiting is a call that waits, and since when it has been quiet, as far as was known when it was put here.
type waiting struct {
	call  *stored
	quiet time.Time
}

func (q *queue) add(c *stored) {
	c.queued = q
	*q = append(*q, waiting{c, c.quiet})
}

// due takes out the first call if it has, or had, been quiet for so long; nil: it has not.
func (q *queue) due(now time.Time, quiet time.Duration) *stored {
	if len(*q) == 0 || now.Sub((*q)[0].quiet) < quiet {
		return nil
	}
	c := (*q)[0].call
	(*q)[0] = waiting{}
	*q = (*q)[1:]
	return c
}
