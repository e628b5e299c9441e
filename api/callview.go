package api

import (
	"time"

	"github.com/callengine/callengine/state"
)

// callView is a call's record as the API answers with it (docs/journal.md). A value that is not there is null.
type callView struct {
	ApplicationID   string      `json:"applicationId"`
	AccountID       string      `json:"accountId"`
	CallID          string      `json:"callId"`
	ParentCallID    *string     `json:"parentCallId"`
	To              string      `json:"to"`
	From            string      `json:"from"`
	Direction       string      `json:"direction"`
	State           string      `json:"state"`
	StirShaken      stirShaken  `json:"stirShaken"`
	Identity        *string     `json:"identity"`
	EnqueuedTime    *moment     `json:"enqueuedTime"`
	StartTime       *moment     `json:"startTime"`
	AnswerTime      *moment     `json:"answerTime"`
	EndTime         *moment     `json:"endTime"`
	DisconnectCause *string     `json:"disconnectCause"`
	ErrorMessage    *string     `json:"errorMessage"`
	ErrorID         *string     `json:"errorId"`
	LastUpdate      moment      `json:"lastUpdate"`
	Tag             *string     `json:"tag"`
	SIPCallID       *string     `json:"sipCallId"`
	Refers          []referView `json:"refers"`
}

// stirShaken has verstat, attestationIndicator, originatingId; nil is null.
type stirShaken map[string]string

// referView is one Refer of a call.
type referView struct {
	ID                    string  `json:"id"`
	Target                string  `json:"target"`
	SentTime              moment  `json:"sentTime"`
	AcceptedTime          *moment `json:"acceptedTime"`
	EndTime               *moment `json:"endTime"`
	ReferSIPResponseCode  *int    `json:"referSipResponseCode"`
	NotifySIPResponseCode *int    `json:"notifySipResponseCode"`
	Status                string  `json:"status"`
	Billable              bool    `json:"billable"`
	Evidence              *string `json:"evidence"`
}

func viewOf(r state.Record) callView {
	v := callView{
		ApplicationID: r.ApplicationID, AccountID: r.AccountID, CallID: r.CallID,
		To: r.To, From: r.From, Direction: r.Direction, State: r.State,
		StartTime: momentOf(r.StartTime), AnswerTime: momentOf(r.AnswerTime), EndTime: momentOf(r.EndTime),
		DisconnectCause: r.DisconnectCause, ErrorMessage: r.ErrorMessage, ErrorID: r.ErrorID,
		StirShaken: r.StirShaken, LastUpdate: moment(r.LastUpdate), Tag: nonZero(r.Tag), SIPCallID: nonZero(r.SIPCallID),
		Refers: make([]referView, 0, len(r.Refers)), // a list, if an empty one
	}
	for _, f := range r.Refers {
		v.Refers = append(v.Refers, referView{
			ID: f.ID, Target: f.Target, SentTime: moment(f.SentTime),
			AcceptedTime: momentOf(f.AcceptedTime), EndTime: momentOf(f.EndTime),
			ReferSIPResponseCode: nonZero(f.ReferSIPResponseCode), NotifySIPResponseCode: nonZero(f.NotifySIPResponseCode),
			Status: f.Status, Billable: f.Billable, Evidence: nonZero(f.Evidence),
		})
	}
	return v
}

// moment is a time as the API prints it: ISO 8601, UTC, with milliseconds.
type moment time.Time

// MarshalJSON implements [json.Marshaler].
func (m moment) MarshalJSON() ([]byte, error) {
	return []byte(`"` + time.Time(m).UTC().Format("2006-01-02T15:04:05.000Z") + `"`), nil
}

func momentOf(t *time.Time) *moment {
	if t == nil {
		return nil
	}
	m := moment(*t)
	return &m
}

func nonZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
