package webhook

import "time"

// MediaStream is a stream as its events describe it.
type MediaStream struct {
	Destination string
	ID          string // "s-…"
	Name        string
	StartTime   time.Time
	Tracks      []string // "inbound", "outbound"
}

type mediaStream struct {
	Destination string    `json:"destination"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	StartTime   Time      `json:"startTime"`
	Tracks      []string  `json:"tracks"`
	Type        string    `json:"type"`
	Duration    *Duration `json:"duration,omitempty"`
}

func (m MediaStream) described() mediaStream {
	return mediaStream{m.Destination, m.ID, m.Name, Time(m.StartTime), m.Tracks, "WebSocket", nil}
}

type mediaStreamStarted struct {
	properties
	MediaStream mediaStream `json:"mediaStream"`
}

// NewMediaStreamStarted makes the event of a <StartStream> that has connected.
func NewMediaStreamStarted(c Call, m MediaStream) Event {
	p := propertiesOf("mediaStreamStarted", c)
	return build(p, &mediaStreamStarted{p, m.described()})
}

type mediaStreamRejected struct {
	properties
	Cause               string       `json:"cause"`
	ErrorMessage        string       `json:"errorMessage"`
	MediaStream         mediaStream  `json:"mediaStream"`
	OriginalMediaStream *mediaStream `json:"originalMediaStream,omitempty"`
}

// NewMediaStreamRejected makes the event of a <StartStream> that could not start. original is the stream that has the
// name already; nil: the cause is another.
func NewMediaStreamRejected(c Call, m MediaStream, cause, message string, original *MediaStream) Event {
	p := propertiesOf("mediaStreamRejected", c)
	payload := mediaStreamRejected{p, cause, message, m.described(), nil}
	if original != nil {
		described := original.described()
		payload.OriginalMediaStream = &described
	}
	return build(p, &payload)
}

type mediaStreamStopped struct {
	properties
	Cause        string      `json:"cause"`
	ErrorMessage string      `json:"errorMessage,omitempty"`
	MediaStream  mediaStream `json:"mediaStream"`
}

// NewMediaStreamStopped makes the event of a stream that has ended, for whatever reason.
func NewMediaStreamStopped(c Call, m MediaStream, lasted time.Duration, cause, message string) Event {
	p := propertiesOf("mediaStreamStopped", c)
	described := m.described()
	described.Duration = (*Duration)(&lasted)
	return build(p, &mediaStreamStopped{p, cause, message, described})
}
