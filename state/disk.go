package state

import "time"

// disk is what a durable store knows of how much of a call is written.
type disk struct {
	handed  uint64    // number of the last entry that is on its way to the journals' stream
	written uint64    // number of the last entry that is safe there, and all before it
	vital   uint64    // number of the last one that is vital, since the store was opened
	first   uint64    // sequence number of the journal's first message; 0: none is known
	trail   trail     // of all its messages
	tail    uint64    // of the last one
	own     bool      // some, which trail does not tell, have the call in their subject: an earlier version wrote them
	since   time.Time // when that was written
	moving  bool      // the journal is written once more, behind what is about to be dropped
	listed  bool      // it waits for the writer
	waiting []waiter

	fresh  bool   // something is appended that its value among the records does not tell
	filing bool   // its value is on its way
	value  uint64 // sequence number of the value; 0: there is none
	// Sequence numbers of the journal's first message that the value does not tell, and that the one before it did not;
	// 0: there is no such message.
	untold, untoldBefore uint64
}

// waiter waits until an entry is safe.
type waiter struct {
	seq  uint64
	safe chan struct{}
}

// wrote notes that the entries behind from up to last are safe, in a message of the journals' stream.
func (d *disk) wrote(from, last, message uint64) {
	if d.untold == 0 {
		d.untold = message
	}
	if d.written < from {
		return // what is before it is not: all of it is written again
	}
	if d.first == 0 || d.moving && from == 0 {
		d.first, d.since, d.moving = message, time.Now(), false
		d.trail, d.tail, d.own = nil, 0, false
	}
	if last <= d.written {
		return
	}
	if message <= d.tail { // the stream was begun anew, and what was in it is gone
		d.trail, d.tail = nil, 0
	}
	d.trail, d.tail = d.trail.add(message, d.tail), message
	d.written = last
	d.wake(last)
}

// wake tells those who wait for the entries up to one.
func (d *disk) wake(seq uint64) {
	left := d.waiting[:0]
	for _, w := range d.waiting {
		if w.seq <= seq {
			close(w.safe)
		} else {
			left = append(left, w)
		}
	}
	d.waiting = left
	if len(left) == 0 {
		d.waiting = nil
	}
}

// file notes that the value is on its way.
func (d *disk) file() {
	d.fresh, d.filing = false, true
	d.untoldBefore, d.untold = d.untold, 0
}

// interrupt notes that what is on its way will not arrive.
func (d *disk) interrupt() (refresh bool) {
	d.handed, d.listed = d.written, false
	d.wake(^uint64(0))
	return d.unfile()
}

// unfile notes that the value that was on its way, if one was, will not arrive.
func (d *disk) unfile() (refresh bool) {
	if !d.filing {
		return false
	}
	d.filing = false
	if d.untoldBefore != 0 {
		d.untold = d.untoldBefore
	}
	return true
}
