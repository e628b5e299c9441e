package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Direction is the direction of a call, seen from the node.
type Direction string

const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// Call holds the properties of a call at one moment, as every event about it carries them. A zero time or an empty
// string stands for "no value": the property is left out of the event.
type Call struct {
	AccountID     string
	ApplicationID string
	From          string
	To            string
	Direction     Direction
	CallID        string // the node's own id, "c-…"
	CallURL       string
	StartTime     time.Time
	AnswerTime    time.Time
	Tag           string
	SIPCallID     string // the Call-ID header of the call's dialog
}

// Answered reports whether the call has been answered.
func (c Call) Answered() bool { return !c.AnswerTime.IsZero() }

// Event is one event of a call, complete and immutable: whoever delivers it, and however often, sends this id and this
// body. Make one with a constructor of this package ([NewInitiate], …).
type Event struct {
	ID     string          `json:"id"`     // the header Callengine-Event-Id
	Type   string          `json:"type"`   // eventType
	CallID string          `json:"callId"` // the call it belongs to
	Body   json.RawMessage `json:"body"`   // the JSON object sent by POST; by GET its properties are query parameters
}

// Time is a time as events print it: UTC, ISO 8601 with milliseconds.
type Time time.Time

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	const layout = "2006-01-02T15:04:05.000Z"
	return time.Time(t).UTC().AppendFormat(make([]byte, 0, len(layout)+len("000000")), layout), nil // nanoseconds, on the way
}

// properties are those that all events share, in the order in which the events' pages list them.
type properties struct {
	EventType     string    `json:"eventType"`
	EventTime     Time      `json:"eventTime"`
	AccountID     string    `json:"accountId"`
	ApplicationID string    `json:"applicationId"`
	From          string    `json:"from"`
	To            string    `json:"to"`
	Direction     Direction `json:"direction"`
	CallID        string    `json:"callId"`
	CallURL       string    `json:"callUrl"`
	StartTime     Time      `json:"startTime,omitzero"`
	AnswerTime    Time      `json:"answerTime,omitzero"`
	Tag           string    `json:"tag,omitempty"`
}

func propertiesOf(eventType string, c Call) properties {
	return properties{
		EventType: eventType, EventTime: Time(time.Now()),
		AccountID: c.AccountID, ApplicationID: c.ApplicationID,
		From: c.From, To: c.To, Direction: c.Direction,
		CallID: c.CallID, CallURL: c.CallURL,
		StartTime: Time(c.StartTime), AnswerTime: Time(c.AnswerTime), Tag: c.Tag,
	}
}

// build gives the event its id. The payloads are pointers to structs of strings, numbers and maps of strings, which always
// marshal; of a struct itself each time would be copied on its way.
func build(p properties, payload any) Event {
	body, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("webhook: event %s does not marshal: %v", p.EventType, err))
	}
	return Event{ID: uuid.NewString(), Type: p.EventType, CallID: p.CallID, Body: body}
}
