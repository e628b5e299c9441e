package api

import (
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"go.uber.org/zap"
)

// observed wraps everything: headers that all answers have, a line in the log, and the end of panics.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // calls change, and what they say is nobody else's
		w.Header().Set("X-Content-Type-Options", "nosniff")
		a := &answer{ResponseWriter: w}
		begin := time.Now()
		defer func() {
			if v := recover(); v != nil {
				s.recovered(a, r, v)
			}
			s.count(methodLabel(r.Method), pathLabel(r.Pattern), a.status)
			s.log.Debug("HTTP request", zap.String("method", r.Method), zap.String("path", r.URL.Path),
				zap.Int("status", a.status), zap.Duration("duration", time.Since(begin)), callOf(r))
		}()
		next.ServeHTTP(a, r)
	})
}

// callOf is the field of a line in the log that says of which call a request is, if it is of one.
func callOf(r *http.Request) zap.Field {
	if id := r.PathValue("callId"); id != "" {
		return zap.String("call_id", id)
	}
	return zap.Skip()
}

// other stands for what is foreign text.
const other = "other"

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
		return method
	}
	return other
}

// pathLabel is the pattern under which a request was found; the account's own prefix tells nothing.
func pathLabel(pattern string) string {
	pattern = strings.TrimPrefix(pattern, pathAccount)
	if pattern == "" || strings.HasSuffix(pattern, "/") {
		return other
	}
	return pattern
}

// recovered ends a request in which the node failed: with 500, or, when its answer is under way already, by cutting the
// connection, so that half an answer is not taken for a whole one.
func (s *Server) recovered(a *answer, r *http.Request, v any) {
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("an HTTP request failed inside the node", callOf(r), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	if a.status != 0 {
		panic(http.ErrAbortHandler)
	}
	f := &failure{status: http.StatusInternalServerError, Type: typeInternal, Description: "Internal error"}
	f.write(a)
}

// answer knows whether an answer has begun.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
