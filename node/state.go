package node

import (
	"context"
	"errors"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cluster"
	"github.com/prometheus/client_golang/prometheus"
)

// durable is a store that survives the process.
type durable interface {
	Open(ctx context.Context) error
	Failing() error
	Figures() state.Figures
}

// assembleState makes the configured store, unless there is one. It opens nothing.
func (n *Node) assembleState() (err error) {
	switch cfg := n.cfg.State; {
	case n.store != nil:
	case cfg.NATSURL != "":
		n.cluster, err = cluster.New(cluster.Config{Node: cfg.nodeName(), Lease: cfg.Lease, Store: state.DurableConfig{
			NATSURL: cfg.NATSURL, Retention: cfg.CallRetention, MaxBytes: int64(cfg.MaxMB) << 20,
		}}, cluster.WithLogger(n.log))
		n.store, n.durable = n.cluster, n.cluster
	case cfg.Dir == "":
		n.store = state.NewMemory(state.MemoryConfig{Retention: cfg.CallRetention})
	default:
		var own *state.Durable
		own, err = state.NewDurable(state.DurableConfig{
			Dir: cfg.Dir, SyncAlways: cfg.Fsync == fsyncAlways,
			Retention: cfg.CallRetention, MaxBytes: int64(cfg.MaxMB) << 20,
		}, state.WithLogger(n.log))
		n.store, n.durable = own, own
	}
	n.metrics.state(n.durable)
	return err
}

// openState makes a durable store this node's own.
func (n *Node) openState(ctx context.Context) error {
	if n.durable == nil {
		return nil
	}
	err := n.durable.Open(ctx)
	if wrong := (*state.DirError)(nil); errors.As(err, &wrong) {
		return &ConfigError{Key: "state.dir", Reason: wrong.Error()}
	}
	return err
}

// stateTrouble says why state cannot be written; empty: it can.
func (n *Node) stateTrouble() string {
	if n.durable == nil {
		return ""
	}
	if err := n.durable.Failing(); err != nil {
		return "state cannot be written: " + err.Error()
	}
	return ""
}

// state has the figures of a durable store served; nil: there is none, and they are zero.
func (m *metrics) state(d durable) {
	figures := func() state.Figures {
		if d == nil {
			return state.Figures{}
		}
		return d.Figures()
	}
	for _, g := range []struct {
		name, help string
		value      func(state.Figures) float64
	}{
		{"state_failing", "1 while state cannot be written, and calls go on in memory alone.", func(f state.Figures) float64 { return f.Failing }},
		{"state_unwritten_entries", "Journal entries that are in memory alone.", func(f state.Figures) float64 { return float64(f.Unwritten) }},
		{"state_bytes", "Bytes of journals on disk.", func(f state.Figures) float64 { return float64(f.Stored) }},
		{"state_calls", "Calls that are kept, in memory or on disk.", func(f state.Figures) float64 { return float64(f.Calls) }},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callengine_" + g.name, Help: g.help},
			func() float64 { return g.value(figures()) }))
	}
	for _, c := range []struct {
		name, help string
		value      func(state.Figures) uint64
	}{
		{"state_entries_written_total", "Journal entries sent to the disk.", func(f state.Figures) uint64 { return f.Entries }},
		{"state_messages_written_total", "Messages that these entries, and values of calls, were packed into.", func(f state.Figures) uint64 { return f.Messages }},
		{"state_bytes_written_total", "Bytes of these messages.", func(f state.Figures) uint64 { return f.Bytes }},
		{"state_failures_total", "Times that state could not be written any more.", func(f state.Figures) uint64 { return f.Failures }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "callengine_" + c.name, Help: c.help},
			func() float64 { return float64(c.value(figures())) }))
	}
}
