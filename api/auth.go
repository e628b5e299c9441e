package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// authenticated lets only those in who know the credentials, if there are any. Health is for everybody: what asks for
// it, an orchestrator or a load balancer, often can't hold credentials.
func (s *Server) authenticated(next http.Handler) http.Handler {
	if s.cfg.Username == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == pathHealth || r.URL.Path == pathReady || s.authentic(r) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="callengine", charset="UTF-8"`)
		f := &failure{
			status: http.StatusUnauthorized, Type: typeAuthentication,
			Description: "Missing or wrong credentials",
		}
		f.write(w)
	})
}

// authentic compares in a time that tells nothing, not even a length: digests are compared.
func (s *Server) authentic(r *http.Request) bool {
	username, password, _ := r.BasicAuth()
	return same(username, s.cfg.Username)&same(password, s.cfg.Password) == 1
}

func same(given, wanted string) int {
	g, w := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(wanted))
	return subtle.ConstantTimeCompare(g[:], w[:])
}

// ofAccount answers 403 for any other account than the node's (docs/journal.md).
func (s *Server) ofAccount(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("accountId") != s.cfg.AccountID {
			f := &failure{
				status: http.StatusForbidden, Type: typeAuthorization,
				Description: "No right to use the voice service of this account",
			}
			f.write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
