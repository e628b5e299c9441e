package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/callengine/callengine/state"
	"go.uber.org/zap"
)

// holderOfCall returns the partition of this node that has a call; nil: none has.
func (c *Cluster) holderOfCall(callID string) *partition {
	for _, p := range c.all() {
		if p.Has(callID) {
			return p
		}
	}
	return nil
}

var errNotOpen = errors.New("the cluster's store is not open")

// write returns the partition in which a call is written: its own, or for a new call this node's.
func (c *Cluster) write(callID string) (*partition, error) {
	held := c.all()
	if len(held) > 1 {
		if p := c.holderOfCall(callID); p != nil {
			return p, nil
		}
	}
	if len(held) == 0 {
		return nil, errNotOpen
	}
	return held[0], nil
}

// Append implements [state.Store].
func (c *Cluster) Append(ctx context.Context, e state.Entry) (uint64, error) {
	p, err := c.write(e.CallID)
	if err != nil {
		return 0, err
	}
	return p.Append(ctx, e)
}

// Await implements [state.Store].
func (c *Cluster) Await(ctx context.Context, callID string) error {
	p, err := c.write(callID)
	if err != nil {
		return err
	}
	return p.Await(ctx, callID)
}

// Owe implements [state.Store].
func (c *Cluster) Owe(ctx context.Context, o state.Owed) (uint64, error) {
	p, err := c.write(o.CallID)
	if err != nil {
		return 0, err
	}
	return p.Owe(ctx, o)
}

// Delivered implements [state.Store].
func (c *Cluster) Delivered(ctx context.Context, callID string, seq uint64) error {
	p, err := c.write(callID)
	if err != nil {
		return err
	}
	return p.Delivered(ctx, callID, seq)
}

// Failed implements [state.Store].
func (c *Cluster) Failed(ctx context.Context, callID string, seq uint64, reason string) error {
	p, err := c.write(callID)
	if err != nil {
		return err
	}
	return p.Failed(ctx, callID, seq, reason)
}

// Journal implements [state.Store], for the calls of all nodes. What another node has appended a moment ago may be missing.
func (c *Cluster) Journal(ctx context.Context, callID string) ([]state.Entry, error) {
	if p := c.holderOfCall(callID); p != nil {
		return p.Journal(ctx, callID)
	}
	held := c.all()
	if len(held) == 0 {
		return nil, errNotOpen
	}
	c.mu.Lock()
	var others []string
	for name := range c.others {
		others = append(others, name)
	}
	c.mu.Unlock()
	err := state.ErrNotFound
	for _, name := range others {
		journal, failed := held[0].JournalOf(ctx, name, callID)
		if failed == nil {
			return journal, nil
		}
		if !errors.Is(failed, state.ErrNotFound) {
			err = fmt.Errorf("partition %s: %w", name, failed)
		}
	}
	return nil, err
}

// Record implements [state.Store], for the calls of all nodes.
func (c *Cluster) Record(ctx context.Context, callID string) (state.Record, error) {
	if p := c.holderOfCall(callID); p != nil {
		return p.Record(ctx, callID)
	}
	journal, err := c.Journal(ctx, callID)
	if err != nil {
		return state.Record{}, err
	}
	return state.RecordOf(callID, journal)
}

// Records implements [state.Store], for the calls of all nodes that answer.
func (c *Cluster) Records(ctx context.Context, q state.Query) ([]state.Record, string, error) {
	own, err := c.ownPage(ctx, q)
	if err != nil {
		return nil, "", err
	}
	pages := []state.Page{own}
	c.askAll(ctx, request{Op: opRecords, Query: &q}, func(from holder, r reply, err error) bool {
		if err == nil && r.OK && r.Page != nil {
			pages = append(pages, *r.Page)
		} else {
			c.log.Warn("a node does not tell of its calls; they are missing in a list", zap.String("sip", from.SIP), zap.Error(err))
		}
		return false
	})
	records, next := state.MergePages(q, pages...).Records()
	return records, next, nil
}

// ownPage is the page of what this node holds.
func (c *Cluster) ownPage(ctx context.Context, q state.Query) (state.Page, error) {
	var pages []state.Page
	for _, p := range c.all() {
		page, err := p.Page(ctx, q)
		if err != nil {
			return state.Page{}, err
		}
		pages = append(pages, page)
	}
	return state.MergePages(q, pages...), nil
}

// Unfinished implements [state.Store], for what this node holds.
func (c *Cluster) Unfinished(ctx context.Context) (ids []string, err error) {
	return gather(c, func(p *partition) ([]string, error) { return p.Unfinished(ctx) })
}

// Debts implements [state.Store], for what this node holds.
func (c *Cluster) Debts(ctx context.Context) ([]state.Debt, error) {
	return gather(c, func(p *partition) ([]state.Debt, error) { return p.Debts(ctx) })
}

// DeadLetters implements [state.Store], for what this node holds.
func (c *Cluster) DeadLetters(ctx context.Context) ([]state.DeadLetter, error) {
	return gather(c, func(p *partition) ([]state.DeadLetter, error) { return p.DeadLetters(ctx) })
}

func gather[T any](c *Cluster, of func(*partition) ([]T, error)) (all []T, err error) {
	for _, p := range c.all() {
		some, err := of(p)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
