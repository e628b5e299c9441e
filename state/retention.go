package state

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// enterOver and leaveOver move a call in and out of those that may be dropped.
func (m *Memory) enterOver(c *stored) {
	heap.Push(&m.over, c)
	m.bytes += c.bytes
}

func (m *Memory) leaveOver(c *stored) {
	if c.place == notOver {
		return
	}
	heap.Remove(&m.over, c.place)
	m.bytes -= c.bytes
}

// drop forgets calls that are over: those whose time is up, and the oldest while there are too many, but never current,
// which has just been appended to: its next entry is about to follow.
func (m *Memory) drop(now time.Time, current *stored) {
	for len(m.over) > 0 {
		oldest := m.over[0]
		expired := now.Sub(oldest.quiet) > m.retention
		if oldest == current || !expired && m.bytes <= m.maxBytes {
			return
		}
		m.leaveOver(oldest)
		delete(m.calls, oldest.record.CallID)
		if i, found := slices.BinarySearchFunc(m.order, oldest.number, byNumber); found {
			m.order = slices.Delete(m.order, i, i+1)
		}
	}
}

func byNumber(c *stored, number uint64) int { return cmp.Compare(c.number, number) }

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
		n += len(e.Media.Detail)
	}
	return int64(n)
}
