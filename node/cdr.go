package node

import (
	"context"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cdr"
	"go.uber.org/zap"
)

// detail has a call detail record written when an entry was the last that a call's record depends on: its end, or the
// outcome of a Refer that outlived it.
func (j *journal) detail(e state.Entry) {
	if j.details == nil {
		return
	}
	ended := e.Call != nil && e.Call.Event == state.CallEnded
	if !ended && (e.Verb == nil || e.Verb.Refer == nil || e.Verb.Refer.Status == state.ReferPending) {
		return
	}
	if r, err := j.Record(context.Background(), e.CallID); err == nil && isComplete(r) {
		j.details.Write(r)
	}
}

// isComplete reports whether nothing is to come of a call that its record tells.
func isComplete(r state.Record) bool {
	for _, f := range r.Refers {
		if f.Status == state.ReferPending {
			return false
		}
	}
	return r.State == state.StateDisconnected
}

// openDetails begins to write call detail records, those first that an earlier process did not come to. Whoever adds them
// up goes by callId: a call that ended in the moment of a crash may be there twice.
func (n *Node) openDetails() error {
	if n.journal.details == nil {
		return nil
	}
	ids, last, err := n.journal.details.Last()
	if err == nil {
		err = n.journal.details.Open()
	}
	if err != nil {
		return &ConfigError{Key: "cdr.dir", Reason: err.Error()}
	}
	if !last.IsZero() {
		n.serving.Go(func() { n.missedDetails(ids, last.Add(-missedMargin)) })
	}
	return nil
}

// missedMargin is how much earlier than the last record's call another one may have ended whose record was not written.
const missedMargin = time.Minute

func (n *Node) missedDetails(known map[string]bool, since time.Time) {
	now := time.Now() // what ends from now on is written as it does
	for q := (state.Query{}); n.closed.Err() == nil; {
		records, next, err := n.store.Records(context.Background(), q)
		if err != nil {
			n.log.Error("call detail records of before the start may be missing", zap.Error(err))
			return
		}
		for _, r := range records {
			if isComplete(r) && r.EndTime != nil && r.LastUpdate.After(since) && r.LastUpdate.Before(now) && !known[r.CallID] {
				n.journal.details.Write(r)
			}
		}
		if q.After = next; next == "" {
			return
		}
	}
}

func newDetails(cfg CDRConfig, log *zap.Logger) *cdr.Writer {
	if cfg.Dir == "" {
		return nil
	}
	return cdr.New(cdr.Config{Dir: cfg.Dir, MaxBytes: int64(cfg.MaxMB) << 20, Retention: cfg.Retention}, log)
}
