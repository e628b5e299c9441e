package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// RecordingTexts has recordings transcribed. Its methods return recordings.ErrNotFound for a recording that is not known.
type RecordingTexts interface {
	// Text returns the text of a recording, as JSON of [RecordingText]. The error is [ErrNoText] where there is none.
	Text(callID, recordingID string) ([]byte, error)
	// Request asks for one, and does not wait for it. It returns recordings.ErrNoMedia where there is no sound.
	Request(callID, recordingID string, r TextRequest) error
	// Forget deletes it. The error is [ErrNoText] where there is none.
	Forget(callID, recordingID string) error
}

// ErrNoText says that a recording has no text: none was asked for, or it is not there yet, or could not be made.
var ErrNoText = errors.New("the recording has no transcription")

// TextRequest says how a recording is to be transcribed, and who is told.
type TextRequest struct {
	DetectLanguage     bool
	URL                string // "": nobody is told
	Method             string
	Username, Password string
	Timeout            time.Duration // 0: the default of webhooks
	Tag                *string       // of the event; nil: the call's
}

// RecordingText is the text of a recording as the API answers with it (docs/api.md).
type RecordingText struct {
	Transcripts []Transcript `json:"transcripts"`
	Clips       []Clip       `json:"clips"`
}

// Transcript is all that a speaker says.
type Transcript struct {
	Speaker    int     `json:"speaker"` // the channel, from 0
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence"`
}

// Clip is a stretch of it.
type Clip struct {
	Speaker    int     `json:"speaker"`
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence"`
	Start      float64 `json:"startTimeSeconds"`
	End        float64 `json:"endTimeSeconds"`
}

// noTexts are those of a server that has none.
type noTexts struct{}

func (noTexts) Text(string, string) ([]byte, error)       { return nil, ErrNoText }
func (noTexts) Request(string, string, TextRequest) error { return ErrNoText }
func (noTexts) Forget(string, string) error               { return ErrNoText }

// getRecordingText answers GET …/recordings/{recordingId}/transcription (docs/api.md).
func (s *Server) getRecordingText(w http.ResponseWriter, r *http.Request) {
	text, err := s.copies.Text(r.PathValue("callId"), r.PathValue("recordingId"))
	if err != nil {
		s.noRecordingText(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(text) // that a client is gone concerns nobody
}

// postRecordingText answers POST of the same path: it asks for a transcription.
func (s *Server) postRecordingText(w http.ResponseWriter, r *http.Request) {
	body, bad := readBody(w, r, "application/json", maxJSON)
	if bad != nil {
		bad.write(w)
		return
	}
	want, bad := readTextRequest(body)
	if bad != nil {
		bad.write(w)
		return
	}
	if err := s.copies.Request(r.PathValue("callId"), r.PathValue("recordingId"), want); err != nil {
		s.noRecordingText(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// deleteRecordingText answers DELETE of the same path.
func (s *Server) deleteRecordingText(w http.ResponseWriter, r *http.Request) {
	if err := s.copies.Forget(r.PathValue("callId"), r.PathValue("recordingId")); err != nil {
		s.noRecordingText(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) noRecordingText(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrNoText) {
		notFound("Transcription of recording [%s] not found", r.PathValue("recordingId")).write(w)
		return
	}
	s.noRecording(w, r, err)
}

// readTextRequest reads a body. Unknown fields are ignored.
func readTextRequest(body []byte) (TextRequest, *failure) {
	f, bad := readFields(body)
	if bad != nil {
		return TextRequest{}, bad
	}
	want := TextRequest{
		URL: f.url("callbackUrl"), Method: f.method("callbackMethod", "callbackUrl"),
		Username: f.text("username", maxCredential), Password: f.text("password", maxCredential),
		DetectLanguage: f.truth("detectLanguage"),
		Timeout:        f.seconds("callbackTimeout", 1, 25),
	}
	if tag := f.text("tag", maxTag); f.has("tag") {
		want.Tag = &tag
	}
	return want, f.bad
}

// truth returns a truth value; false when it is not there.
func (f *fields) truth(name string) (v bool) {
	if f.has(name) && json.Unmarshal(f.given[name], &v) != nil {
		f.reject("Invalid %s: must be true or false", name)
	}
	return v
}

// seconds returns a time of so many seconds; 0 when it is not there.
func (f *fields) seconds(name string, least, most float64) time.Duration {
	if !f.has(name) {
		return 0
	}
	var v float64
	switch {
	case json.Unmarshal(f.given[name], &v) != nil:
		f.reject("Invalid %s: must be a number", name)
	case v < least || v > most:
		f.reject("%s must be within the range [%v, %v], but was %v", name, least, most, v)
	}
	return time.Duration(v * float64(time.Second))
}
