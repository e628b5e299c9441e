package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Outbox is what the API shows of asynchronous events, and what it resends.
type Outbox interface {
	// Events returns the events that are owed, and those that were given up, the oldest first.
	Events(ctx context.Context) ([]OutboxEvent, error)
	// Resend has an event tried at once: one that was given up is owed anew. ErrNoEvent: there is none with this id.
	Resend(ctx context.Context, eventID string) error
	// ResendAll does so with all that were given up, and returns how many those were.
	ResendAll(ctx context.Context) (int, error)
}

// ErrNoEvent is returned for an event that is neither owed nor given up.
var ErrNoEvent = errors.New("no such event")

// States of an event in the outbox.
const (
	EventOwed = "owed" // it will be tried again
	EventDead = "dead" // it was given up
)

// OutboxEvent is an asynchronous event that is not delivered. Nothing of it is secret.
type OutboxEvent struct {
	EventID   string     `json:"eventId"` // Callengine-Event-Id
	EventType string     `json:"eventType"`
	CallID    string     `json:"callId"`
	Method    string     `json:"method"`
	URL       string     `json:"url"` // without user information and query
	State     string     `json:"state"`
	OwedTime  time.Time  `json:"owedTime"`
	Attempts  int        `json:"attempts"`            // since the node started
	NextTime  *time.Time `json:"nextTime,omitempty"`  // of an owed one that waits: when it is tried again
	DeadTime  *time.Time `json:"deadTime,omitempty"`  // when it was given up
	LastError string     `json:"lastError,omitempty"` // of the last attempt; of a dead one, why it is dead
}

// WithOutbox sets whose events are shown. Default: there are none.
func WithOutbox(o Outbox) Option { return func(s *Server) { s.outbox = o } }

// empty is the outbox of a server that has none.
type empty struct{}

func (empty) Events(context.Context) ([]OutboxEvent, error) { return nil, nil }
func (empty) Resend(context.Context, string) error          { return ErrNoEvent }
func (empty) ResendAll(context.Context) (int, error)        { return 0, nil }

// listOutbox answers GET …/outbox (docs/api.md).
func (s *Server) listOutbox(w http.ResponseWriter, r *http.Request) {
	state := r.URL.Query().Get("state")
	if state != "" && state != EventOwed && state != EventDead {
		invalid("Invalid state: must be %s or %s", EventOwed, EventDead).write(w)
		return
	}
	events, err := s.outbox.Events(r.Context())
	if err != nil {
		s.internal(w, r, "the outbox could not be read", zap.Error(err))
		return
	}
	views := make([]OutboxEvent, 0, len(events))
	for _, e := range events {
		if state == "" || e.State == state {
			views = append(views, e)
		}
	}
	writeJSON(w, http.StatusOK, views)
}

// resent is the answer to a resending.
type resent struct {
	Events int `json:"events"`
}

// resendEvent answers POST …/outbox/{eventId}/resend (docs/api.md).
func (s *Server) resendEvent(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("eventId")
	switch err := s.outbox.Resend(r.Context(), id); {
	case errors.Is(err, ErrNoEvent):
		notFound("Event [%s] is neither owed nor given up", id).write(w)
	case err != nil:
		s.internal(w, r, "an event could not be resent", zap.Error(err))
	default:
		writeJSON(w, http.StatusAccepted, resent{1})
	}
}

// resendAll answers POST …/outbox/resend (docs/api.md).
func (s *Server) resendAll(w http.ResponseWriter, r *http.Request) {
	n, err := s.outbox.ResendAll(r.Context())
	if err != nil {
		s.internal(w, r, "events could not be resent", zap.Error(err))
		return
	}
	writeJSON(w, http.StatusAccepted, resent{n})
}
