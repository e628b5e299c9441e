package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// holder is who writes a partition, as its lease tells.
type holder struct {
	Instance string `json:"instance"`
	Peer
}

const (
	// healthTime is how long a node that is not heard of any more may take to say that it lives.
	healthTime = 2 * time.Second
	// vacantLooks is how often in a row a partition has to be seen without a lease before it is taken over.
	vacantLooks = 2
	// maxPartitions bounds how many partitions a node that keeps coming back while its calls are elsewhere may begin.
	maxPartitions = 100
)

func (c *Cluster) me() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, _ := json.Marshal(holder{c.instance, c.self}) // strings always marshal
	return b
}

// holder returns who holds a partition, and the lease's revision.
func (c *Cluster) holder(ctx context.Context, name string) (h holder, revision uint64, err error) {
	lease, err := c.leases.Get(ctx, name)
	if err != nil {
		return holder{}, 0, err
	}
	err = json.Unmarshal(lease.Value(), &h)
	return h, lease.Revision(), err
}

// claimOwn makes a partition of the node's name its own: the first that is free, or whose holder gives it up.
func (c *Cluster) claimOwn(ctx context.Context) (*partition, error) {
	name := c.cfg.Node
	for n := 2; n <= maxPartitions; n++ {
		revision, err := c.leases.Create(ctx, name, c.me())
		if errors.Is(err, jetstream.ErrKeyExists) {
			revision, err = c.claimFrom(ctx, name)
		}
		switch {
		case err == nil:
			return c.open(ctx, name, revision)
		case !errors.Is(err, errHeld):
			return nil, fmt.Errorf("the lease of %s: %w", name, err)
		}
		c.log.Warn("another node has calls of this one; a partition of its own is begun", zap.String("partition", name))
		name = c.cfg.Node + "_" + strconv.Itoa(n)
	}
	return nil, fmt.Errorf("all %d partitions of %s are held by others", maxPartitions, c.cfg.Node)
}

// errHeld says that a partition is another node's.
var errHeld = errors.New("another node holds it")

// claimFrom claims a partition that has a lease: from a holder that is gone, or has nothing to do for it any more.
func (c *Cluster) claimFrom(ctx context.Context, name string) (revision uint64, err error) {
	h, held, err := c.holder(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return c.leases.Create(ctx, name, c.me())
	}
	if err != nil {
		return 0, err
	}
	answer, err := c.ask(ctx, h.Instance, request{Op: opRelease, Partition: name})
	switch {
	case err == nil && answer.OK: // the key is gone
		return c.leases.Create(ctx, name, c.me())
	case err == nil || c.healthy(ctx, h.Peer):
		return 0, errHeld
	}
	if revision, err = c.leases.Update(ctx, name, c.me(), held); err != nil {
		return 0, errors.Join(errHeld, err)
	}
	return revision, nil
}

// open opens a partition that is claimed.
func (c *Cluster) open(ctx context.Context, name string, revision uint64) (*partition, error) {
	cfg := c.cfg.Store
	cfg.Partition, cfg.Dir = name, ""
	store, err := state.NewDurable(cfg, state.WithLogger(c.log))
	if err == nil {
		err = store.Open(ctx)
	}
	p := &partition{Durable: store, name: name, revision: revision}
	if err == nil {
		_, err = c.partitions.Put(ctx, name, c.me())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("partition %s: %w", name, err), c.letGo(p))
	}
	return p, nil
}

// letGo gives a lease back, if it is still this node's.
func (c *Cluster) letGo(p *partition) error {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	c.mu.Lock()
	revision := p.revision
	c.mu.Unlock()
	err := c.leases.Delete(ctx, p.name, jetstream.LastRevision(revision))
	if errors.Is(err, jetstream.ErrKeyExists) { // NATS's word for another revision: of a renewal whose answer came too late, or of another node
		var h holder
		h, revision, err = c.holder(ctx, p.name)
		if err == nil && h.Instance == c.instance {
			err = c.leases.Delete(ctx, p.name, jetstream.LastRevision(revision))
		}
	}
	if err != nil {
		c.log.Warn("a lease could not be given back; it runs out", zap.String("partition", p.name), zap.Error(err))
	}
	return nil
}

// keep renews the leases, and looks for partitions that nobody writes any more.
func (c *Cluster) keep() {
	clock := time.NewTicker(c.cfg.Lease / 3)
	defer clock.Stop()
	for {
		serves := false
		select {
		case <-clock.C:
		case <-c.served:
			serves = true
		case <-c.living.Done():
			return
		}
		ctx, cancel := context.WithTimeout(c.living, c.cfg.Lease/3)
		err := c.renew(ctx)
		if err == nil && serves {
			err = c.announce(ctx)
		}
		if err == nil {
			err = c.survey(ctx)
		}
		cancel()
		c.mu.Lock()
		if err != nil && c.failing == nil && c.living.Err() == nil {
			c.log.Warn("the cluster cannot be reached; calls go on", zap.Error(err))
		}
		c.failing = err
		c.mu.Unlock()
	}
}

// renew renews the leases of all partitions that the node holds. One that has run out meanwhile is taken anew, unless
// another node was faster.
func (c *Cluster) renew(ctx context.Context) error {
	for _, p := range c.all() {
		revision, err := c.leases.Update(ctx, p.name, c.me(), p.revision)
		if errors.Is(err, jetstream.ErrKeyExists) { // NATS's word for another revision
			revision, err = c.leases.Create(ctx, p.name, c.me())
			if errors.Is(err, jetstream.ErrKeyExists) {
				return c.lose(ctx, p)
			}
		}
		if err != nil {
			return fmt.Errorf("the lease of %s: %w", p.name, err)
		}
		c.mu.Lock()
		p.revision = revision
		c.mu.Unlock()
	}
	return nil
}

// announce notes how this node is reached for the time when its leases have run out.
func (c *Cluster) announce(ctx context.Context) error {
	for _, p := range c.all() {
		if _, err := c.partitions.Put(ctx, p.name, c.me()); err != nil {
			return fmt.Errorf("partition %s: %w", p.name, err)
		}
	}
	return nil
}

// lose finds out who holds a partition, and if it is not this node tells that its calls are lost to it.
func (c *Cluster) lose(ctx context.Context, p *partition) error {
	h, revision, err := c.holder(ctx, p.name)
	if err != nil {
		return fmt.Errorf("the lease of %s: %w", p.name, err)
	}
	if h.Instance == c.instance { // the answer to a renewal was lost
		c.mu.Lock()
		p.revision = revision
		c.mu.Unlock()
		return nil
	}
	err = fmt.Errorf("another node has taken over %s: this one was not heard of for too long", p.name)
	select {
	case c.lost <- err:
	default:
	}
	return err
}

// survey looks which partitions there are and who holds them, and takes over one that nobody holds any more.
func (c *Cluster) survey(ctx context.Context) error {
	names, err := keys(ctx, c.partitions)
	if err != nil {
		return err
	}
	seen := map[string]holder{}
	for _, name := range names {
		h, leased, err := c.holderOf(ctx, name)
		if err != nil {
			return err
		}
		if h.Instance == c.instance {
			continue
		}
		seen[name] = h
		c.mu.Lock()
		c.vacant[name]++
		if leased || c.holds(name) || c.handler == nil {
			c.vacant[name] = 0
		}
		looks := c.vacant[name]
		c.mu.Unlock()
		if looks >= vacantLooks && !c.healthy(ctx, h.Peer) {
			c.takeOver(ctx, name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others = seen
	return nil
}

func keys(ctx context.Context, bucket jetstream.KeyValue) ([]string, error) {
	names, err := bucket.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// holderOf returns who holds a partition, or who did last.
func (c *Cluster) holderOf(ctx context.Context, name string) (h holder, leased bool, err error) {
	lease, err := c.leases.Get(ctx, name)
	leased = err == nil
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		lease, err = c.partitions.Get(ctx, name)
	}
	if err == nil {
		err = json.Unmarshal(lease.Value(), &h)
	}
	if err != nil {
		err = fmt.Errorf("who holds %s: %w", name, err)
	}
	return h, leased, err
}

// holds is called with the lock held.
func (c *Cluster) holds(name string) bool {
	return slices.ContainsFunc(c.held, func(p *partition) bool { return p.name == name })
}

// takeOver makes a partition that nobody holds this node's, too.
func (c *Cluster) takeOver(ctx context.Context, name string) {
	revision, err := c.leases.Create(ctx, name, c.me())
	if errors.Is(err, jetstream.ErrKeyExists) {
		return // another node was faster
	}
	var p *partition
	if err == nil {
		ctx, cancel := context.WithTimeout(c.living, linkTime)
		defer cancel()
		p, err = c.open(ctx, name, revision)
	}
	if err != nil {
		c.log.Error("the calls of a node that is gone cannot be taken over", zap.String("partition", name), zap.Error(err))
		return
	}
	c.mu.Lock()
	c.held = append(c.held[:len(c.held):len(c.held)], p)
	h := c.handler
	c.mu.Unlock()
	c.log.Warn("a node is gone; its calls are taken over", zap.String("partition", name))
	c.working.Go(func() { h.TakenOver(p) }) // the leases are to be renewed meanwhile
}

// giveUp releases a partition that was taken over and has nothing left to do, because its node is back; false: it has.
func (c *Cluster) giveUp(ctx context.Context, name string) bool {
	c.mu.Lock()
	i := slices.IndexFunc(c.held, func(p *partition) bool { return p.name == name && p != c.own })
	if i < 0 {
		c.mu.Unlock()
		return false
	}
	p := c.held[i]
	c.mu.Unlock()
	if unfinished, err := p.Unfinished(ctx); err != nil || len(unfinished) > 0 {
		return false
	}
	if debts, err := p.Debts(ctx); err != nil || len(debts) > 0 {
		return false
	}
	c.mu.Lock()
	c.held = slices.DeleteFunc(slices.Clone(c.held), func(had *partition) bool { return had == p })
	c.mu.Unlock()
	if err := errors.Join(p.Close(), c.letGo(p)); err != nil {
		c.log.Error("a partition could not be given back in order", zap.String("partition", name), zap.Error(err))
	}
	return true
}

// healthy reports whether a node that the cluster does not hear of lives all the same: it is cut off, and its calls are up.
func (c *Cluster) healthy(ctx context.Context, p Peer) bool {
	if p.Health == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Health, nil)
	if err != nil {
		return false
	}
	res, err := c.http.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close() // its status is all
	return res.StatusCode == http.StatusOK
}
