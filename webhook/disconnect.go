package webhook

import "time"

// End is how a call ended.
type End struct {
	Time         time.Time
	Cause        string // "hangup", "cancel", "callback-error", …
	ErrorMessage string
	ErrorID      string
}

type disconnect struct {
	properties
	EndTime      Time   `json:"endTime"`
	Cause        string `json:"cause"`
	ErrorMessage string `json:"errorMessage,omitempty"`
	ErrorID      string `json:"errorId,omitempty"`
	SIPCallID    string `json:"sipCallId,omitempty"`
}

// NewDisconnect makes the event of a call that has ended, for whatever reason.
func NewDisconnect(c Call, e End) Event {
	p := propertiesOf("disconnect", c)
	return build(p, &disconnect{p, Time(e.Time), e.Cause, e.ErrorMessage, e.ErrorID, c.SIPCallID})
}
