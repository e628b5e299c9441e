package state

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"go.uber.org/zap"
)

// cycle is how far the writer has come with the values of calls. A value is derived from the call's journal; the
// checkpoint says up to which message of the journals' stream the values are up to date, so that nothing before it has to
// be read when the store is opened.
type cycle struct {
	left   int    // calls at the head of those with values that are out of date whose turn is still to come in this round
	some   int    // how many of them at a time
	open   int    // values on their way
	goal   uint64 // what the checkpoint will be when they have been written
	pinned uint64 // what it is
	seq    uint64 // of its message
}

// giveUp ends a round in which not all values could be written.
func (c *cycle) giveUp() { c.left, c.goal = 0, c.pinned }

// reset forgets what was on its way besides.
func (c *cycle) reset() {
	c.giveUp()
	c.open = 0
}

// A round's values are written in up to so many parts, each valuePause after the one before, so that what is done for calls does not have
// to wait for all of them: at most half a second for the whole round.
const (
	valueParts = 50
	valuePause = 10 * time.Millisecond
	minValues  = 8 // in one part
)

// checkpoint is the value of checkpointKey.
func checkpoint(pinned uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{packVersion}, pinned)
}

func readCheckpoint(value []byte) (uint64, error) {
	if len(value) != 9 || value[0] != packVersion && value[0] != packOfOne {
		return 0, errPack
	}
	return binary.BigEndian.Uint64(value[1:]), nil
}

// beginValues begins a round, in which the values are written that are out of date by now, unless the one before it is not over.
// It writes the checkpoint of that.
func (d *Durable) beginValues() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing != nil || d.cycle.left > 0 || d.cycle.open > 0 {
		return
	}
	if d.cycle.goal > d.cycle.pinned {
		d.cycle.pinned = d.cycle.goal
		d.send(d.names.record+checkpointKey, bytes.NewBuffer(checkpoint(d.cycle.pinned)), func(seq uint64) { d.cycle.seq = seq })
	}
	d.cycle.left = len(d.fresh)
	d.cycle.some = max(d.cycle.left/d.parts(), minValues)
	d.cycle.goal = d.acked // what is acknowledged later is in the next round
}

// parts is how many parts a round is in. One where each message is synced: what comes in one go takes less CPU time then (calls in
// BenchmarkReferState took a sixth more with parts).
func (d *Durable) parts() int {
	if d.cfg.SyncAlways {
		return 1
	}
	return valueParts
}

// publishValues writes the next values of a round. It reports whether some are left.
func (d *Durable) publishValues() (left bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range d.cycle.some {
		if d.cycle.left == 0 {
			return false
		}
		c := d.fresh[0]
		d.fresh[0] = nil
		d.fresh = d.fresh[1:]
		d.cycle.left--
		d.publishValue(c)
	}
	return d.cycle.left > 0
}

// publishValue writes the value of a call, which was the first of those that are out of date. A value tells of nothing that the
// journal on disk does not: a call with more in memory waits for the next round, and the checkpoint with it. It is called with the
// lock held, and lets go of it while it works.
func (d *Durable) publishValue(c *stored) {
	switch {
	case c.held == nil || d.calls[c.id] != c:
		return
	case c.disk.first == 0 || c.disk.written < uint64(c.entries.len()):
		d.fresh = append(d.fresh, c)
		if c.disk.untold != 0 {
			d.cycle.goal = min(d.cycle.goal, c.disk.untold-1)
		}
		return
	}
	f := c.filed()
	over := c.sealable(time.Now())
	c.disk.file()
	d.cycle.open++
	d.mu.Unlock()
	err := d.codec.file(&d.scratch, &f)
	var value []byte
	if over {
		value = slices.Clone(d.scratch.Bytes())
	}
	d.mu.Lock()
	if err != nil {
		d.log.Error("a call's value could not be packed", zap.String("call_id", c.id), zap.Error(err))
		d.cycle.open--
		return
	}
	if d.send(d.names.record+c.id, &d.scratch, func(seq uint64) { d.filed(c, seq, value) }) {
		return
	}
	d.cycle.giveUp()
	if c.disk.unfile() { // otherwise the failure has done so
		d.cycle.open--
		d.refresh(c)
	}
}

// refresh has a call's value written again.
func (d *Durable) refresh(c *stored) {
	if c.held != nil && !c.disk.fresh {
		d.leaveOver(c)
		c.disk.fresh = true
		d.fresh = append(d.fresh, c)
	}
}

// filed notes that a call's value is written; not nil: nothing was left to do of the call.
func (d *Durable) filed(c *stored, seq uint64, value []byte) {
	d.cycle.open--
	c.disk.filing, c.disk.value = false, seq
	switch {
	case c.held == nil || d.calls[c.id] != c:
	case c.disk.fresh: // there is more to tell already
	case value != nil:
		d.seal(c, value)
	default:
		d.settleDown(c)
		d.calm = append(d.calm, calm{c, c.entries.len(), time.Now()})
	}
}

// seal takes all out of memory of a call that is over but its value.
func (d *Durable) seal(c *stored, value []byte) {
	d.leaveOver(c)
	d.omit(c.held)
	c.held, c.sealed = nil, value
	d.enterOver(c)
}

// unseal takes a call apart again, of which something more may come. It reports whether it could.
func (d *Durable) unseal(c *stored) bool {
	if c.sealed == nil {
		return false
	}
	f, err := d.codec.unfile(c.sealed)
	d.leaveOver(c)
	c.sealed = nil
	if err == nil {
		c.held = f.held()
	}
	return err == nil // otherwise it is read from the disk
}

// calm is a call that was not over and had so many entries when its value was written, or of which something was left to do.
type calm struct {
	call    *stored
	entries int
	since   time.Time
}

// leaveOut takes out of memory what is on disk of calls of which there has been nothing new for a while. What is looked for without
// a call's journal stays. A call whose caller may not have learned of its end is over when nobody waits any longer.
func (d *Durable) leaveOut(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for ; n < len(d.calm) && now.Sub(d.calm[n].since) >= d.calmTime; n++ {
		c, entries := d.calm[n].call, d.calm[n].entries
		known := c.held != nil && d.calls[c.id] == c && !c.disk.fresh && !c.disk.moving
		if !known || c.entries.len() != entries || c.disk.written != uint64(entries) {
			continue
		}
		d.leaveOver(c)
		d.omit(c.held)
		d.settleDown(c)
		switch {
		case c.rest.hangs(now) && !c.busy():
			d.calm = append(d.calm, calm{c, entries, now})
		case c.sealable(now):
			f, value := c.filed(), bytes.Buffer{}
			if err := d.codec.file(&value, &f); err != nil {
				d.log.Error("the value of a call that is over could not be packed, and stays in memory", zap.String("call_id", c.id), zap.Error(err))
				continue
			}
			d.seal(c, value.Bytes())
		}
	}
	d.calm = slices.Delete(d.calm, 0, n)
}

// filed is the call's value.
func (c *stored) filed() filed {
	return filed{
		Number: c.number, First: c.disk.first, Trail: c.disk.trail, Own: c.disk.own, Since: c.disk.since.Unix(), Last: c.entries.len(), Quiet: c.quiet.UnixNano(),
		Record: c.record, Rest: c.rest.filed(), Owed: slices.Clone(c.owed), Dead: slices.Clone(c.dead),
	}
}

// filed is the form of the rest in a call's value.
func (r *rest) filed() filedRest {
	f := filedRest{
		Begun: r.begun, Ended: r.ended, Told: r.told, Outlive: r.outlive, Settled: r.settled, Invited: r.invited, Refused: r.refused,
		Declined: r.declined, Gone: r.gone, CSeq: r.cseq, Asked: r.asked,
	}
	if !r.over.IsZero() {
		f.Over = r.over.UnixNano()
	}
	if !r.askedAt.IsZero() {
		f.AskedAt = r.askedAt.UnixNano()
	}
	return f
}

// rest is what filed was made of.
func (f *filedRest) rest() rest {
	r := rest{
		begun: f.Begun, ended: f.Ended, told: f.Told, outlive: f.Outlive, settled: f.Settled, invited: f.Invited, refused: f.Refused,
		declined: f.Declined, gone: f.Gone, cseq: f.CSeq, asked: f.Asked,
	}
	if f.Over != 0 {
		r.over = time.Unix(0, f.Over)
	}
	if f.AskedAt != 0 {
		r.askedAt = time.Unix(0, f.AskedAt)
	}
	return r
}
