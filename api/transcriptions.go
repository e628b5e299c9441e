package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/callengine/callengine/state/transcripts"
	"go.uber.org/zap"
)

// Transcriptions are the texts of live transcriptions. [transcripts.Archive] has them.
type Transcriptions interface {
	List(callID string) []transcripts.Reference
	// Get and Delete return [transcripts.ErrNotFound] for what a call does not have.
	Get(callID, id string) (transcripts.Transcription, error)
	Delete(callID, id string) error
}

// noTranscriptions are those of a server that has none.
type noTranscriptions struct{}

func (noTranscriptions) List(string) []transcripts.Reference { return nil }
func (noTranscriptions) Get(string, string) (t transcripts.Transcription, err error) {
	return t, transcripts.ErrNotFound
}
func (noTranscriptions) Delete(string, string) error { return transcripts.ErrNotFound }

// transcriptionReference is an item of the list.
type transcriptionReference struct {
	ID   string `json:"transcriptionId"`
	Name string `json:"transcriptionName"`
	URL  string `json:"transcriptionUrl"`
}

// textView is a transcription as the API answers with it.
type textView struct {
	AccountID string      `json:"accountId"`
	CallID    string      `json:"callId"`
	ID        string      `json:"transcriptionId"`
	Tracks    []trackView `json:"tracks"`
}

type trackView struct {
	Language   string  `json:"detectedLanguage"`
	Track      string  `json:"track"`
	Transcript string  `json:"transcript"`
	Confidence float64 `json:"confidence"`
}

// listTranscriptions answers GET …/calls/{callId}/transcriptions (docs/api.md). A call whose record is gone may have some
// still: they are kept for longer.
func (s *Server) listTranscriptions(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("callId")
	list := []transcriptionReference{}
	for _, t := range s.texts.List(id) {
		list = append(list, transcriptionReference{t.ID, t.Name, s.callsURL() + "/" + url.PathEscape(id) + "/transcriptions/" + t.ID})
	}
	if len(list) == 0 {
		if _, err := s.store.Record(r.Context(), id); err != nil {
			s.noCall(w, r, err)
			return
		}
	}
	writeJSON(w, http.StatusOK, list)
}

// getTranscription answers GET …/calls/{callId}/transcriptions/{transcriptionId} (docs/api.md).
func (s *Server) getTranscription(w http.ResponseWriter, r *http.Request) {
	t, err := s.texts.Get(r.PathValue("callId"), r.PathValue("transcriptionId"))
	if err != nil {
		s.noTranscription(w, r, err)
		return
	}
	v := textView{AccountID: t.AccountID, CallID: t.CallID, ID: t.ID, Tracks: []trackView{}}
	for _, track := range t.Tracks {
		v.Tracks = append(v.Tracks, trackView{track.Language, track.Name, track.Text, track.Confidence})
	}
	writeJSON(w, http.StatusOK, v)
}

// deleteTranscription answers DELETE …/calls/{callId}/transcriptions/{transcriptionId} (docs/api.md).
func (s *Server) deleteTranscription(w http.ResponseWriter, r *http.Request) {
	if err := s.texts.Delete(r.PathValue("callId"), r.PathValue("transcriptionId")); err != nil {
		s.noTranscription(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s *Server) noTranscription(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, transcripts.ErrNotFound) {
		notFound("Transcription [%s] not found", r.PathValue("transcriptionId")).write(w)
		return
	}
	s.internal(w, r, "a transcription could not be read", zap.Error(err))
}
