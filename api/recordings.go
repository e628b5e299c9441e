package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/callengine/callengine/state/recordings"
	"go.uber.org/zap"
)

// Recordings is what the API reads recordings from, and has them deleted by. [recordings.Archive] is one.
type Recordings interface {
	List(q recordings.Query) []recordings.Recording
	Get(callID, id string) (recordings.Recording, error)
	// Media returns a recording's sound. See [recordings.Archive.Media] for its errors.
	Media(ctx context.Context, callID, id string) (io.ReadSeekCloser, recordings.Recording, error)
	Delete(callID, id string) error
	DeleteMedia(callID, id string) error
}

// ErrNoRecording says that nothing is being recorded that could be paused.
var ErrNoRecording = errors.New("no recording is in progress")

// maxRecordings is how many recordings a list of the account's has (docs/api.md).
const maxRecordings = 1000

// listRecordings answers GET …/recordings (docs/api.md): the account's, oldest first.
func (s *Server) listRecordings(w http.ResponseWriter, r *http.Request) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		invalid("Invalid query: %v", err).write(w)
		return
	}
	q := recordings.Query{From: params.Get("from"), To: params.Get("to"), Limit: maxRecordings}
	for name, at := range map[string]*time.Time{"minStartTime": &q.MinStart, "maxStartTime": &q.MaxStart} {
		t, bad := readTime(params, name)
		if bad != nil {
			bad.write(w)
			return
		}
		*at = t
	}
	writeJSON(w, http.StatusOK, s.recordingViews(q))
}

// listCallRecordings answers GET …/calls/{callId}/recordings (docs/api.md). Recordings outlive the records of their calls.
func (s *Server) listCallRecordings(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("callId")
	views := s.recordingViews(recordings.Query{CallID: id})
	if len(views) == 0 {
		if _, err := s.store.Record(r.Context(), id); err != nil {
			s.noCall(w, r, err)
			return
		}
	}
	writeJSON(w, http.StatusOK, views)
}

func (s *Server) recordingViews(q recordings.Query) []recordingView {
	views := []recordingView{} // a list, if an empty one
	for _, r := range s.kept.List(q) {
		views = append(views, s.recordingView(r))
	}
	return views
}

// getRecording answers GET …/calls/{callId}/recordings/{recordingId} (docs/api.md).
func (s *Server) getRecording(w http.ResponseWriter, r *http.Request) {
	known, err := s.kept.Get(r.PathValue("callId"), r.PathValue("recordingId"))
	if err != nil {
		s.noRecording(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, s.recordingView(known))
}

// deleteRecording answers DELETE …/calls/{callId}/recordings/{recordingId} (docs/api.md).
func (s *Server) deleteRecording(w http.ResponseWriter, r *http.Request) {
	if err := s.kept.Delete(r.PathValue("callId"), r.PathValue("recordingId")); err != nil {
		s.noRecording(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// deleteMedia answers DELETE …/calls/{callId}/recordings/{recordingId}/media (docs/api.md).
func (s *Server) deleteMedia(w http.ResponseWriter, r *http.Request) {
	if err := s.kept.DeleteMedia(r.PathValue("callId"), r.PathValue("recordingId")); err != nil {
		s.noRecording(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

const (
	// soundPatience is how long a recording's sound may take to begin: the store may have stopped answering, and clients
	// give up after half a minute.
	soundPatience = 10 * time.Second
	// slowest is the line, in bytes a second, on which a recording must be readable to its end.
	slowest = 16 << 10
)

// getMedia answers GET …/calls/{callId}/recordings/{recordingId}/media (docs/api.md): the sound, or ranges of it (RFC 9110
// section 14).
func (s *Server) getMedia(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	late := time.AfterFunc(soundPatience, cancel)
	defer late.Stop()
	sound, known, err := s.kept.Media(ctx, r.PathValue("callId"), r.PathValue("recordingId"))
	if err != nil {
		s.noRecording(w, r, err)
		return
	}
	defer func() { _ = sound.Close() }() // it was read
	if _, err := sound.Seek(0, io.SeekEnd); err != nil {
		if r.Context().Err() == nil { // else nobody waits for it any more
			s.internal(w, r, "a recording's sound could not be read", zap.Error(err))
		}
		return
	}
	limit := writeTimeout + time.Duration(known.Bytes/slowest)*time.Second
	late.Reset(limit) // the store may stop in the middle, too
	// A server that cannot (a test's) has no time-out either.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
	w.Header().Set("Content-Type", recordings.ContentType(known.Format))
	http.ServeContent(&rangeWriter{ResponseWriter: w}, r, "", known.EndTime, sound)
}

// rangeWriter refuses a range that is not there in the form that all errors have; [http.ServeContent] has a line of text.
type rangeWriter struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader implements [http.ResponseWriter].
func (w *rangeWriter) WriteHeader(status int) {
	if w.refused = status == http.StatusRequestedRangeNotSatisfiable; !w.refused {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	f := &failure{status: status, Type: typeValidation, Description: "Invalid Range: the recording has no such bytes"}
	f.write(w.ResponseWriter)
}

// Write implements [http.ResponseWriter].
func (w *rangeWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom implements [io.ReaderFrom]: a file goes out without a detour.
func (w *rangeWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// putRecording answers PUT …/calls/{callId}/recording (docs/api.md): pause the recording in progress, or go on with it.
func (s *Server) putRecording(w http.ResponseWriter, r *http.Request) {
	body, bad := readBody(w, r, "application/json", maxJSON)
	if bad != nil {
		bad.write(w)
		return
	}
	f, bad := readFields(body)
	if bad != nil {
		bad.write(w)
		return
	}
	if !f.has("state") {
		f.reject("Missing at least one required field. Required fields are [state]")
	}
	wanted := f.choice("state", "Invalid state. Supported states: [paused, recording]", "paused", "recording")
	if f.bad != nil {
		f.bad.write(w)
		return
	}
	id := r.PathValue("callId")
	switch err := s.modify.PauseRecording(id, wanted == "paused"); {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case !errors.Is(err, ErrNoRecording):
		s.internal(w, r, "a recording could not be paused", zap.Error(err))
	default:
		if _, err := s.store.Record(r.Context(), id); err != nil {
			s.noCall(w, r, err)
			return
		}
		notFound("Call [%s] has no recording in progress", id).write(w)
	}
}

// noRecording answers for a recording, or its sound, that cannot be had.
func (s *Server) noRecording(w http.ResponseWriter, r *http.Request, err error) {
	id := r.PathValue("recordingId")
	switch {
	case errors.Is(err, recordings.ErrNotFound):
		notFound("Recording [%s] not found", id).write(w)
	case errors.Is(err, recordings.ErrNoMedia):
		notFound("Media of recording [%s] not found", id).write(w)
	default:
		s.internal(w, r, "a recording failed to be read or changed", zap.Error(err))
	}
}
