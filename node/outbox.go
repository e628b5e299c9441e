package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/webhook"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// resumeOutbox takes up what a store owes since before the node had it.
func (n *Node) resumeOutbox(ctx context.Context, from state.Store) error {
	debts, err := from.Debts(ctx)
	if err != nil {
		return err
	}
	for _, d := range debts {
		if err := n.outbox.Resume(owed(d)); err != nil {
			n.log.Error("an event that is owed cannot be read", zap.String("call_id", d.CallID), zap.Uint64("seq", d.Seq), zap.Error(err))
		}
	}
	if len(debts) > 0 {
		n.log.Info("events are owed since before the start", zap.Int("events", len(debts)))
	}
	return nil
}

func owed(d state.Debt) webhook.Owed {
	return webhook.Owed{CallID: d.CallID, Seq: d.Seq, Since: d.Since, Event: d.Event}
}

// outboxDesk shows and resends what is not delivered: what is owed is in the outbox, what was given up in the store.
type outboxDesk struct{ node *Node }

var _ api.Outbox = outboxDesk{}

// Events implements [api.Outbox].
func (o outboxDesk) Events(ctx context.Context) ([]api.OutboxEvent, error) {
	letters, err := o.node.store.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	var events []api.OutboxEvent
	for _, l := range letters {
		p, err := owed(l.Debt).Describe()
		if err != nil {
			o.node.log.Error("an event that was given up cannot be read", zap.String("call_id", l.CallID), zap.Error(err))
			continue
		}
		e := outboxEvent(p, api.EventDead)
		e.DeadTime, e.LastError = &l.GivenUp, l.Reason
		events = append(events, e)
	}
	for _, p := range o.node.outbox.Pending() {
		e := outboxEvent(p, api.EventOwed)
		e.NextTime = moment(p.Next)
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(a, b api.OutboxEvent) int { return a.OwedTime.Compare(b.OwedTime) })
	return events, nil
}

func outboxEvent(p webhook.PendingEvent, state string) api.OutboxEvent {
	return api.OutboxEvent{
		EventID: p.ID, EventType: p.Type, CallID: p.CallID, Method: p.Method, URL: p.URL, State: state,
		OwedTime: p.Owed, Attempts: p.Attempts, LastError: p.LastError,
	}
}

// Resend implements [api.Outbox].
func (o outboxDesk) Resend(ctx context.Context, eventID string) error {
	if o.node.outbox.Hurry(eventID) {
		return nil
	}
	n, err := o.resend(ctx, func(id string) bool { return id == eventID })
	if err == nil && n == 0 {
		return api.ErrNoEvent
	}
	return err
}

// ResendAll implements [api.Outbox].
func (o outboxDesk) ResendAll(ctx context.Context) (int, error) {
	return o.resend(ctx, func(string) bool { return true })
}

func (o outboxDesk) resend(ctx context.Context, which func(eventID string) bool) (n int, err error) {
	letters, err := o.node.store.DeadLetters(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range letters {
		p, unread := owed(l.Debt).Describe()
		if unread != nil || !which(p.ID) {
			continue
		}
		if failed := o.node.outbox.Resend(context.WithoutCancel(ctx), owed(l.Debt)); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		n++
	}
	return n, err
}

// outbox has the figures of an outbox served.
func (m *metrics) outbox(o *webhook.Outbox) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callengine_events_owed", Help: "Asynchronous events that are not delivered yet."},
			func() float64 { return float64(o.Waiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callengine_events_oldest_seconds", Help: "Age of the oldest event that is not delivered yet."},
			func() float64 {
				if since := o.Oldest(); !since.IsZero() {
					return time.Since(since).Seconds()
				}
				return 0
			}),
	)
}
