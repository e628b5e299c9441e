package transcribe

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// startMessage tells a service what is wanted.
type startMessage struct {
	EventType string        `json:"eventType"` // "start"
	Metadata  startMetadata `json:"metadata"`
}

type startMetadata struct {
	CallID          string      `json:"callId,omitempty"`
	Track           string      `json:"track,omitempty"`
	MediaFormat     mediaFormat `json:"mediaFormat"`
	Language        string      `json:"language"`
	DetectLanguage  bool        `json:"detectLanguage"`
	Hints           []string    `json:"hints,omitempty"`
	Model           string      `json:"model,omitempty"`
	ProfanityFilter bool        `json:"profanityFilter"`
	Partial         bool        `json:"partialResults"`
}

type mediaFormat struct {
	Encoding   string `json:"encoding"`
	SampleRate int    `json:"sampleRate"`
}

// startOf says what is wanted. The samples are little-endian, which audio/L16 (RFC 2586) is not: hence the name.
func startOf(o Options) startMessage {
	language := o.Language
	if language == "" {
		language = DefaultLanguage
	}
	return startMessage{EventType: "start", Metadata: startMetadata{
		CallID: o.CallID, Track: o.Track, MediaFormat: mediaFormat{Encoding: "pcm_s16le", SampleRate: SampleRate},
		Language: language, DetectLanguage: o.DetectLanguage, Hints: o.Hints, Model: o.Model,
		ProfanityFilter: o.ProfanityFilter, Partial: o.Partial,
	}}
}

type stopMessage struct {
	EventType string `json:"eventType"` // "stop"
}

// Message is a result as it goes over a WebSocket, from a service or to an application (docs/bxml.md). Times are seconds.
type Message struct {
	EventType  string        `json:"eventType"` // "transcription"
	Track      string        `json:"track,omitempty"`
	Start      float64       `json:"startTime"`
	End        float64       `json:"endTime"`
	Partial    bool          `json:"isPartial"`
	Language   string        `json:"language,omitempty"`
	Transcript string        `json:"transcript"`
	Confidence *float64      `json:"confidence,omitempty"` // of a service; nil: that of its items
	Items      []MessageItem `json:"items"`
}

// MessageItem is an item of a [Message].
type MessageItem struct {
	Content    string  `json:"content"`
	Start      float64 `json:"startTime"`
	End        float64 `json:"endTime"`
	Confidence float64 `json:"confidence"`
	Stable     bool    `json:"stable"`
	Type       string  `json:"type"` // "PRONUNCIATION" or "PUNCTUATION"
}

// Types of items.
const (
	typePronunciation = "PRONUNCIATION"
	typePunctuation   = "PUNCTUATION"
)

// MessageOf is a result of a track for an application.
func MessageOf(track string, r Result) Message {
	m := Message{
		EventType: "transcription", Track: track, Start: r.Start.Seconds(), End: r.End.Seconds(), Partial: r.Partial,
		Language: r.Language, Transcript: r.Text, Items: []MessageItem{},
	}
	for _, i := range r.Items {
		kind := typePronunciation
		if i.Punctuation {
			kind = typePunctuation
		}
		m.Items = append(m.Items, MessageItem{i.Content, i.Start.Seconds(), i.End.Seconds(), i.Confidence, i.Stable, kind})
	}
	return m
}

// Limits of what a service may say at once.
const (
	maxText  = 64 << 10 // bytes
	maxItems = 10_000
)

// readMessage reads a message of a service; ok is false for one of a type that is not known, which is ignored.
func readMessage(text []byte) (r Result, ok bool, err error) {
	if !utf8.Valid(text) {
		return r, false, errors.New("its message is not UTF-8")
	}
	var what struct {
		EventType    string `json:"eventType"`
		ErrorMessage any    `json:"errorMessage"`
	}
	if err := json.Unmarshal(text, &what); err != nil {
		return r, false, fmt.Errorf("its message is not understood: %w", err)
	}
	switch what.EventType {
	case "transcription":
	case "error":
		return r, false, fmt.Errorf("it reports: %.200q", fmt.Sprint(what.ErrorMessage))
	default:
		return r, false, nil
	}
	var m Message
	if err := json.Unmarshal(text, &m); err != nil {
		return r, false, fmt.Errorf("its message is not understood: %w", err)
	}
	if len(m.Transcript) > maxText || len(m.Items) > maxItems || len(m.Language) > 35 { // RFC 5646 section 4.4.1
		return r, false, errors.New("its message is too long")
	}
	if err := orderly(m.Start, m.End); err != nil {
		return r, false, err
	}
	r = Result{
		Partial: m.Partial, Start: seconds(m.Start), End: seconds(m.End), Language: m.Language, Text: m.Transcript,
	}
	sum := 0.0
	for _, i := range m.Items {
		if err := orderly(i.Start, i.End); err != nil {
			return r, false, err
		}
		item := Item{
			Content: i.Content, Start: seconds(i.Start), End: seconds(i.End), Confidence: min(max(i.Confidence, 0), 1),
			Stable: i.Stable || !m.Partial, Punctuation: i.Type == typePunctuation,
		}
		sum += item.Confidence
		r.Items = append(r.Items, item)
	}
	switch {
	case m.Confidence != nil:
		r.Confidence = min(max(*m.Confidence, 0), 1)
	case len(r.Items) > 0:
		r.Confidence = sum / float64(len(r.Items))
	}
	return r, true, nil
}

func orderly(start, end float64) error {
	if start < 0 || end < start || end > maxSeconds {
		return fmt.Errorf("it tells of a time from %v to %v s", start, end)
	}
	return nil
}
