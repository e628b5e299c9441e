package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/callengine/callengine/state"
	"go.uber.org/zap"
)

// listCalls answers GET …/calls (docs/journal.md): records, oldest first, a page at a time.
func (s *Server) listCalls(w http.ResponseWriter, r *http.Request) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		invalid("Invalid query: %v", err).write(w)
		return
	}
	query, bad := readQuery(params)
	if bad != nil {
		bad.write(w)
		return
	}
	records, next, err := s.store.Records(r.Context(), query)
	switch {
	case errors.Is(err, state.ErrPageToken):
		invalid("Invalid pageToken").write(w)
		return
	case err != nil:
		s.internal(w, r, "the call records could not be read", zap.Error(err))
		return
	}
	if next != "" {
		params.Set("pageToken", next)
		w.Header().Set("Link", "<"+s.callsURL()+"?"+params.Encode()+`>; rel="next"`) // RFC 8288
	}
	views := make([]callView, len(records))
	for i, record := range records {
		views[i] = viewOf(record)
	}
	writeJSON(w, http.StatusOK, views)
}

func (s *Server) callsURL() string {
	return s.cfg.PublicURL + "/api/v2/accounts/" + url.PathEscape(s.cfg.AccountID) + "/calls"
}

// getCall answers GET …/calls/{callId} (docs/journal.md).
func (s *Server) getCall(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("callId")
	record, err := s.store.Record(r.Context(), id)
	if err != nil {
		s.noCall(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, viewOf(record))
}

// getJournal answers GET …/calls/{callId}/journal: the entries as JSON lines, masked.
func (s *Server) getJournal(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("callId")
	entries, err := s.store.Journal(r.Context(), id)
	if err != nil {
		s.noCall(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	lines := encoder(w)
	for _, e := range entries {
		if err := lines.Encode(e.Masked(s.mask)); err != nil {
			s.log.Debug("a journal was not sent whole", zap.String("call_id", id), zap.Error(err))
			panic(http.ErrAbortHandler) // cut the connection: the rest must not be taken for the end
		}
	}
}

func (s *Server) noCall(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, state.ErrNotFound) {
		notFound("Call [%s] not found", r.PathValue("callId")).write(w)
		return
	}
	s.internal(w, r, "a call could not be read", zap.Error(err))
}
