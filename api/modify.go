package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/callengine/callengine/interpreter"
	"go.uber.org/zap"
)

// Modifier changes calls that are up. A call that it does not run cannot be modified: [interpreter.ErrNotModifiable]. Its
// methods do not wait for the change to be done.
type Modifier interface {
	Redirect(callID string, to interpreter.Redirection) error
	// Replace returns an [*interpreter.DocumentError] for a document that is not valid.
	Replace(callID string, document []byte) error
	Complete(callID string) error
	// PauseRecording pauses the recording of a StartRecording that is under way, or goes on with it. It returns
	// [ErrNoRecording] when there is none.
	PauseRecording(callID string, paused bool) error
}

// rigid is the modifier of a server that has none.
type rigid struct{}

func (rigid) Redirect(string, interpreter.Redirection) error { return interpreter.ErrNotModifiable }
func (rigid) Replace(string, []byte) error                   { return interpreter.ErrNotModifiable }
func (rigid) Complete(string) error                          { return interpreter.ErrNotModifiable }
func (rigid) PauseRecording(string, bool) error              { return ErrNoRecording }

// Largest bodies of requests, in bytes.
const (
	maxDocument = 64 << 10  // docs/api.md
	maxJSON     = 256 << 10 // every field as long as it may be, each character as an escape
)

// postCall answers POST …/calls/{callId} (docs/api.md): redirect the call, or end it.
func (s *Server) postCall(w http.ResponseWriter, r *http.Request) {
	body, bad := readBody(w, r, "application/json", maxJSON)
	if bad != nil {
		bad.write(w)
		return
	}
	m, bad := readModification(body)
	if bad != nil {
		bad.write(w)
		return
	}
	id := r.PathValue("callId")
	var err error
	if m.completed {
		err = s.modify.Complete(id)
	} else {
		err = s.modify.Redirect(id, m.redirect)
	}
	if err != nil {
		s.notModified(w, r, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// putDocument answers PUT …/calls/{callId}/bxml (docs/api.md).
func (s *Server) putDocument(w http.ResponseWriter, r *http.Request) {
	body, bad := readBody(w, r, "application/xml", maxDocument)
	if bad != nil {
		bad.write(w)
		return
	}
	if len(bytes.TrimSpace(body)) == 0 {
		invalid("Invalid BXML: the body is empty").write(w)
		return
	}
	if err := s.modify.Replace(r.PathValue("callId"), body); err != nil {
		s.notModified(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// notModified tells calls that are known, and cannot be modified, from those that are not known (docs/api.md).
func (s *Server) notModified(w http.ResponseWriter, r *http.Request, err error) {
	id := r.PathValue("callId")
	var document *interpreter.DocumentError
	switch {
	case errors.As(err, &document):
		invalid("Invalid BXML: %v", document.Err).write(w)
		return
	case !errors.Is(err, interpreter.ErrNotModifiable):
		s.internal(w, r, "a call could not be modified", zap.Error(err))
		return
	}
	if _, err := s.store.Record(r.Context(), id); err != nil {
		s.noCall(w, r, err)
		return
	}
	conflict("Call [%s] cannot be modified in its current state", id).write(w)
}

// readBody reads a body of this type and at most so many bytes. A media type may have parameters.
func readBody(w http.ResponseWriter, r *http.Request, mediaType string, most int64) ([]byte, *failure) {
	if given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || given != mediaType {
		return nil, &failure{
			status: http.StatusUnsupportedMediaType, Type: typeValidation, Description: "Content-Type must be " + mediaType,
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, invalid("Invalid body: must have at most %d bytes", most)
	case err != nil:
		return nil, invalid("Invalid body: it could not be read to its end")
	}
	return body, nil
}
