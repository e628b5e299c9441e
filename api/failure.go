package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// failure is an answer that is not a success, in the form that all errors of the API have (docs/journal.md).
type failure struct {
	status      int
	Type        string  `json:"type"`
	Description string  `json:"description"`
	ID          *string `json:"id"` // null but for what is in the log under it
}

// Types of errors.
const (
	typeValidation     = "validation"
	typeAuthentication = "authentication-error"
	typeAuthorization  = "authorization-error"
	typeInternal       = "internal-error"
	typeError          = "error"
)

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.Type, f.Description) }

func invalid(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, Type: typeValidation, Description: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) *failure {
	return &failure{status: http.StatusNotFound, Type: typeValidation, Description: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) *failure {
	return &failure{status: http.StatusConflict, Type: typeValidation, Description: fmt.Sprintf(format, args...)}
}

func (f *failure) write(w http.ResponseWriter) {
	writeJSON(w, f.status, f)
}

// internal answers a failure of the node's own. What it was goes to the log alone; the id joins the two.
func (s *Server) internal(w http.ResponseWriter, r *http.Request, message string, what zap.Field) {
	id := uuid.NewString()
	s.log.Error(message, zap.String("error_id", id), callOf(r), what)
	f := &failure{status: http.StatusInternalServerError, Type: typeInternal, Description: "Internal error", ID: &id}
	f.write(w)
}

// writeJSON answers with a value of this package, which always marshals. That a client is gone concerns nobody.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = encoder(w).Encode(v)
}

// encoder writes "<" and "&" as they are: nobody puts these answers into a page, and people read them.
func encoder(w http.ResponseWriter) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}
