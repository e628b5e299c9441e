package state

import "time"

// Record is what a call's journal says of it in short: the call state object of the API.
type Record struct {
	ApplicationID string `json:"applicationId"`
	AccountID     string `json:"accountId"`
	CallID        string `json:"callId"`
	To            string `json:"to"`
	From          string `json:"from"`
	Direction     string `json:"direction"`
	State         string `json:"state"` // "initiated", "answered", "disconnected"
	Tag           string `json:"tag,omitempty"`
	SIPCallID     string `json:"sipCallId,omitempty"`
	// StirShaken is what a telephone network has found out about the caller's number; nil: nothing.
	StirShaken      map[string]string `json:"stirShaken,omitempty"`
	StartTime       *time.Time        `json:"startTime"`
	AnswerTime      *time.Time        `json:"answerTime"`
	EndTime         *time.Time        `json:"endTime"`
	DisconnectCause *string           `json:"disconnectCause"`
	ErrorMessage    *string           `json:"errorMessage"`
	ErrorID         *string           `json:"errorId"`
	LastUpdate      time.Time         `json:"lastUpdate"`
	Refers          []Refer           `json:"refers,omitempty"`
}

// Status of a Refer.
const (
	ReferPending = "pending"
	ReferSuccess = "success"
	ReferFailure = "failure"
)

// Refer is one executed Refer of a call.
type Refer struct {
	ID                    string     `json:"id"` // within the call: the CSeq of its first REFER
	Target                string     `json:"target"`
	SentTime              time.Time  `json:"sentTime"`
	AcceptedTime          *time.Time `json:"acceptedTime,omitempty"`
	EndTime               *time.Time `json:"endTime,omitempty"`
	ReferSIPResponseCode  int        `json:"referSipResponseCode,omitempty"`
	NotifySIPResponseCode int        `json:"notifySipResponseCode,omitempty"`
	Status                string     `json:"status"`   // ReferPending, …
	Billable              bool       `json:"billable"` // true from a 2xx to the REFER on
	// Evidence says how the outcome is known: final-notify, rejected, no-response, transport-error, subscription-ended,
	// notify-timeout, auth-failed, interrupted. Empty while pending.
	Evidence string `json:"evidence,omitempty"`
}
