package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Paths outside of accounts.
const (
	pathHealth  = "/healthz"
	pathReady   = "/readyz"
	pathMetrics = "/metrics"
	pathAccount = "/api/v2/accounts/{accountId}"
)

// methods are what a path answers to. HEAD is answered wherever GET is.
type methods map[string]http.HandlerFunc

// ServeHTTP answers other methods with 405 and an Allow header (RFC 9110 section 15.5.6).
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m[http.MethodGet] // net/http drops the body
	}
	if h != nil {
		h(w, r)
		return
	}
	allowed := slices.Collect(maps.Keys(m))
	if m[http.MethodGet] != nil {
		allowed = append(allowed, http.MethodHead)
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	f := &failure{
		status: http.StatusMethodNotAllowed, Type: typeValidation,
		Description: fmt.Sprintf("Method %s is not allowed here", r.Method),
	}
	f.write(w)
}

// routes is every path there is (docs/api.md, docs/operating.md).
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pathHealth, methods{http.MethodGet: s.health})
	mux.Handle(pathReady, methods{http.MethodGet: s.readiness})
	if s.metrics != nil {
		mux.Handle(pathMetrics, methods{http.MethodGet: s.metrics.ServeHTTP})
	}
	account := func(path string, h http.Handler) { mux.Handle(pathAccount+path, s.ofAccount(h)) }
	account("/calls", methods{http.MethodGet: s.listCalls, http.MethodPost: missing})
	account("/calls/{callId}", methods{http.MethodGet: s.getCall, http.MethodPost: s.postCall})
	account("/calls/{callId}/bxml", methods{http.MethodPut: s.putDocument})
	account("/calls/{callId}/journal", methods{http.MethodGet: s.getJournal})
	account("/recordings", methods{http.MethodGet: s.everywhere(maxRecordings, s.listRecordings)})
	account("/calls/{callId}/recording", methods{http.MethodPut: s.putRecording})
	account("/calls/{callId}/recordings", methods{http.MethodGet: s.everywhere(0, s.listCallRecordings)})
	account("/calls/{callId}/recordings/{recordingId}", methods{
		http.MethodGet: s.anywhere(s.getRecording), http.MethodDelete: s.anywhere(s.deleteRecording),
	})
	account("/calls/{callId}/recordings/{recordingId}/media", methods{
		http.MethodGet: s.anywhere(s.getMedia), http.MethodDelete: s.anywhere(s.deleteMedia),
	})
	account("/outbox", methods{http.MethodGet: s.listOutbox})
	account("/outbox/resend", methods{http.MethodPost: s.resendAll})
	account("/outbox/{eventId}/resend", methods{http.MethodPost: s.resendEvent})
	account("/calls/{callId}/recordings/{recordingId}/transcription", methods{
		http.MethodGet: s.anywhere(s.getRecordingText), http.MethodPost: s.anywhere(s.postRecordingText),
		http.MethodDelete: s.anywhere(s.deleteRecordingText),
	})
	account("/calls/{callId}/transcriptions", methods{http.MethodGet: s.everywhere(0, s.listTranscriptions)})
	account("/calls/{callId}/transcriptions/{transcriptionId}", methods{
		http.MethodGet: s.anywhere(s.getTranscription), http.MethodDelete: s.anywhere(s.deleteTranscription),
	})
	for path, allowed := range later {
		there := methods{}
		for _, method := range allowed {
			there[method] = missing
		}
		account(path, there)
	}
	account("", http.HandlerFunc(unknownPath))
	account("/", http.HandlerFunc(unknownPath))
	mux.HandleFunc("/", unknownPath)
	return mux
}

// later are the operations of the public API that this version does not have.
var later = map[string][]string{
	"/conferences":                                               {http.MethodGet},
	"/conferences/{conferenceId}":                                {http.MethodGet, http.MethodPost},
	"/conferences/{conferenceId}/bxml":                           {http.MethodPut},
	"/conferences/{conferenceId}/members/{memberId}":             {http.MethodGet, http.MethodPut},
	"/conferences/{conferenceId}/recordings":                     {http.MethodGet},
	"/conferences/{conferenceId}/recordings/{recordingId}":       {http.MethodGet},
	"/conferences/{conferenceId}/recordings/{recordingId}/media": {http.MethodGet},
	"/statistics":                  {http.MethodGet},
	"/endpoints":                   {http.MethodGet, http.MethodPost},
	"/endpoints/{endpointId}":      {http.MethodGet, http.MethodDelete},
	"/endpoints/{endpointId}/bxml": {http.MethodPut},
}

// missing answers an operation of the public API that this version does not have.
func missing(w http.ResponseWriter, r *http.Request) {
	f := &failure{
		status: http.StatusNotImplemented, Type: typeError,
		Description: fmt.Sprintf("%s of this path is not supported by this version", r.Method),
	}
	f.write(w)
}

func unknownPath(w http.ResponseWriter, r *http.Request) {
	notFound("Nothing is found at this path").write(w)
}

// health says that the process lives.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") }

// readiness says whether the node takes calls and, if not, why.
func (s *Server) readiness(w http.ResponseWriter, _ *http.Request) {
	if ready, reason := s.ready(); !ready {
		writeText(w, http.StatusServiceUnavailable, reason)
		return
	}
	writeText(w, http.StatusOK, "ready")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // a client that is gone concerns nobody
}
