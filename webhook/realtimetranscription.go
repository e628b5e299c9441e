package webhook

import "time"

// RealTimeTranscription is a transcription of a call that is live, as its events describe it.
type RealTimeTranscription struct {
	ID          string // "t-…"
	Name        string
	StartTime   time.Time
	Tracks      []string      // "inbound", "outbound"
	Destination string        // "": there is none, and nothing is said of Stabilized
	Stabilized  bool          // only updates that will not change any more are sent there
	Duration    time.Duration // 0: it goes on
}

type realTimeTranscription struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	StartTime     Time      `json:"startTime"`
	Tracks        []string  `json:"tracks"`
	Destination   string    `json:"destination,omitempty"`
	Stabilized    *bool     `json:"stabilized,omitempty"`
	Duration      *Duration `json:"duration,omitempty"`
	Status        string    `json:"status,omitempty"`
	URL           string    `json:"url,omitempty"`
	CompletedTime Time      `json:"completedTime,omitzero"`
}

func (t RealTimeTranscription) described() realTimeTranscription {
	d := realTimeTranscription{ID: t.ID, Name: t.Name, StartTime: Time(t.StartTime), Tracks: t.Tracks, Destination: t.Destination}
	if t.Destination != "" {
		d.Stabilized = &t.Stabilized
	}
	if t.Duration > 0 {
		lasted := Duration(t.Duration)
		d.Duration = &lasted
	}
	return d
}

type realTimeTranscriptionEvent struct {
	properties
	Cause         string                 `json:"cause,omitempty"`
	ErrorMessage  string                 `json:"errorMessage,omitempty"`
	Transcription realTimeTranscription  `json:"realTimeTranscription"`
	Original      *realTimeTranscription `json:"originalTranscription,omitempty"`
}

// NewRealTimeTranscriptionStarted makes the event of a <StartTranscription> with a destination that has started.
func NewRealTimeTranscriptionStarted(c Call, t RealTimeTranscription) Event {
	p := propertiesOf("realTimeTranscriptionStarted", c)
	return build(p, &realTimeTranscriptionEvent{properties: p, Transcription: t.described()})
}

// NewRealTimeTranscriptionRejected makes the event of a <StartTranscription> that could not start. original is the one
// that has the name already; nil: the cause is another.
func NewRealTimeTranscriptionRejected(c Call, t RealTimeTranscription, cause, message string, original *RealTimeTranscription) Event {
	p := propertiesOf("realTimeTranscriptionRejected", c)
	e := realTimeTranscriptionEvent{properties: p, Cause: cause, ErrorMessage: message, Transcription: t.described()}
	if original != nil {
		described := original.described()
		e.Original = &described
	}
	return build(p, &e)
}

// NewRealTimeTranscriptionStopped makes the event of a transcription with a destination that has ended, for whatever reason.
func NewRealTimeTranscriptionStopped(c Call, t RealTimeTranscription, cause, message string) Event {
	p := propertiesOf("realTimeTranscriptionStopped", c)
	return build(p, &realTimeTranscriptionEvent{properties: p, Cause: cause, ErrorMessage: message, Transcription: t.described()})
}

// NewRealTimeTranscriptionAvailable makes the event that says where the text of a transcription can be fetched; one that
// is not whole has failed.
func NewRealTimeTranscriptionAvailable(c Call, t RealTimeTranscription, url string, completed time.Time, whole bool) Event {
	p := propertiesOf("realTimeTranscriptionAvailable", c)
	d := t.described()
	if d.Status = "failed"; whole {
		d.Status = "available"
	}
	d.URL, d.CompletedTime = url, Time(completed)
	return build(p, &realTimeTranscriptionEvent{properties: p, Transcription: d})
}
