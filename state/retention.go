package state

import (
	"container/heap"
	"time"
)

// enterOver and leaveOver move a call in and out of those that may leave the memory.
func (x *index) enterOver(c *stored) {
	heap.Push(&x.over, c)
	x.bytes += c.size()
}

func (x *index) leaveOver(c *stored) {
	if c.place == notOver {
		return
	}
	heap.Remove(&x.over, c.place)
	x.bytes -= c.size()
}

// drop releases calls that are over: those whose time is up, and the oldest while there are too many, but never current,
// which has just been appended to: its next entry is about to follow.
func (x *index) drop(now time.Time, current *stored) {
	for len(x.over) > 0 {
		oldest := x.over[0]
		expired := now.Sub(oldest.quiet) > x.retention
		if oldest == current || !expired && x.bytes <= x.maxBytes {
			return
		}
		x.leaveOver(oldest)
		x.shelf.release(oldest, expired)
	}
}

// overQueue is a heap of calls by the time of their last entry.
type overQueue []*stored

func (q overQueue) Len() int { return len(q) }

func (q overQueue) Less(i, j int) bool { return q[i].quiet.Before(q[j].quiet) }

func (q overQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements [heap.Interface].
func (q *overQueue) Push(x any) {
	c := x.(*stored)
	c.place = len(*q)
	*q = append(*q, c)
}

// Pop implements [heap.Interface].
func (q *overQueue) Pop() any {
	old := *q
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	c.place = notOver
	return c
}

// callOverhead is about what a call takes besides its journal.
const callOverhead = 512

// size is about how many bytes of memory the call takes.
func (c *stored) size() int64 {
	if c.held == nil {
		return callOverhead + int64(len(c.sealed))
	}
	return callOverhead + c.bytes
}

// entryOverhead is about what an entry takes besides its texts: the entry itself, its payload, their allocation.
const entryOverhead = 320

// sizeOf estimates the memory of an entry in bytes.
func sizeOf(e *Entry) int64 {
	n := entryOverhead
	switch {
	case e.SIP != nil:
		n += len(e.SIP.Raw) + len(e.SIP.Summary)
	case e.Webhook != nil:
		n += len(e.Webhook.Body) + len(e.Webhook.Owed) + len(e.Webhook.URL) + len(e.Webhook.Error)
	case e.Document != nil:
		n += len(e.Document.Body) + len(e.Document.URL) + len(e.Document.Error)
		for _, w := range e.Document.Warnings {
			n += len(w)
		}
	case e.Verb != nil:
		n += len(e.Verb.Error)
	case e.Call != nil:
		n += len(e.Call.ErrorMessage) + len(e.Call.Follow)
	case e.Dialog != nil:
		n += len(e.Dialog.Snapshot)
	case e.Media != nil:
		n += len(e.Media.Detail) + len(e.Media.Stream) + len(e.Media.Cause)
	}
	return int64(n)
}
