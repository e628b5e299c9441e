package webhook

import "time"

// Recording holds the properties of a recording, as the events about it carry them.
type Recording struct {
	ID       string // "r-…"
	MediaURL string // where its file can be fetched; "": there is none
	Start    time.Time
	End      time.Time
	Duration time.Duration // of its sound
	Channels int
	Format   string // "wav" or "mp3"
}

type recording struct {
	properties
	RecordingID string   `json:"recordingId"`
	MediaURL    string   `json:"mediaUrl,omitempty"`
	EndTime     Time     `json:"endTime"`
	Duration    Duration `json:"duration"`
	Channels    int      `json:"channels,omitempty"`
	FileFormat  string   `json:"fileFormat"`
	Status      string   `json:"status,omitempty"`
}

// recordingOf makes the properties of a recording's event, in which startTime is the recording's.
func recordingOf(eventType string, c Call, r Recording) recording {
	c.StartTime = r.Start
	return recording{
		propertiesOf(eventType, c), r.ID, r.MediaURL, Time(r.End), Duration(r.Duration), r.Channels, r.Format, "",
	}
}

// NewRecordComplete makes the event that tells the application of the end of a <Record>, and asks for the next document.
func NewRecordComplete(c Call, r Recording) Event {
	e := recordingOf("recordComplete", c, r)
	return build(e.properties, &e)
}

// NewRecordingAvailable makes the event that tells the application that a recording can be had: status is "complete" or
// "partial"; or that it cannot: "error". The call's answerTime is not in it.
func NewRecordingAvailable(c Call, r Recording, status string) Event {
	c.AnswerTime = time.Time{}
	e := recordingOf("recordingAvailable", c, r)
	e.Status = status
	return build(e.properties, &e)
}

type transcriptionAvailable struct {
	recording
	Transcription transcription `json:"transcription"`
}

type transcription struct {
	ID            string `json:"id"`
	URL           string `json:"url"`
	Status        string `json:"status"`
	CompletedTime Time   `json:"completedTime,omitzero"`
}

// Transcription is that of a recording, as its event tells of it.
type Transcription struct {
	ID        string // "t-…"
	URL       string
	Status    string // "available", "error", "timeout", "file-size-too-big", "file-size-too-small"
	Completed time.Time
}

// NewTranscriptionAvailable makes the event that tells the application what has become of the transcription of a
// recording. The recording's channels and status are not in it, nor is the call's answerTime.
func NewTranscriptionAvailable(c Call, r Recording, t Transcription) Event {
	c.AnswerTime = time.Time{}
	r.Channels = 0
	e := transcriptionAvailable{recordingOf("transcriptionAvailable", c, r), transcription{t.ID, t.URL, t.Status, Time(t.Completed)}}
	return build(e.properties, &e)
}
