package api

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func metricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "callengine_calls 0") })
}

func TestWithAUsernameEverythingButHealthAsksForCredentials(t *testing.T) {
	t.Parallel()
	s := New(closed, withCalls(t, "c-1"), WithMetrics(metricsHandler()))
	wrong := map[string][]func(*http.Request){
		"none":           nil,
		"user":           {as("bob", "lovelace")},
		"password":       {as("ada", "hopper")},
		"swapped":        {as("lovelace", "ada")},
		"empty":          {as("", "")},
		"another scheme": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }},
		"not base64":     {func(r *http.Request) { r.Header.Set("Authorization", "Basic !") }},
	}
	for _, path := range []string{"/metrics", "/nowhere", "/", base + "/calls", base + "/calls/c-1", base + "/calls/c-1/journal", "/api/v2/accounts/1/calls"} {
		for name, edit := range wrong {
			r := request(s, "GET", path, edit...)
			assert.Equal(t, `Basic realm="callengine", charset="UTF-8"`, r.Header.Get("WWW-Authenticate"), "%s, wrong: %s", path, name)
			requireError(t, r, http.StatusUnauthorized, "authentication-error")
		}
	}
	for path, status := range map[string]int{
		"/healthz": 200, "/readyz": 200,
	} {
		assert.Equal(t, status, request(s, "GET", path).StatusCode, path)
	}
	for path, status := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/nowhere": 404, base + "/calls": 200, base + "/calls/c-1": 200, base + "/calls/c-1/journal": 200,
	} {
		assert.Equal(t, status, request(s, "GET", path, as("ada", "lovelace")).StatusCode, path)
	}
}

func TestWithoutAUsernameNobodyIsAsked(t *testing.T) {
	t.Parallel()
	s := New(open, withCalls(t, "c-1"), WithMetrics(metricsHandler()))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", base + "/calls", base + "/calls/c-1"} {
		assert.Equal(t, http.StatusOK, request(s, "GET", path).StatusCode, path)
	}
}

func TestAnotherAccountIsForbidden(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "/calls", "/calls/c-1", "/calls/c-1/journal", "/conferences", "/no/such/path"} {
		other := "/api/v2/accounts/1" + path
		requireError(t, request(New(open, withCalls(t)), "GET", other), http.StatusForbidden, "authorization-error")
		requireError(t, request(New(closed, withCalls(t)), "GET", other, as("ada", "lovelace")), http.StatusForbidden, "authorization-error")
		requireError(t, request(New(closed, withCalls(t)), "GET", other), http.StatusUnauthorized, "authentication-error")
	}
	requireError(t, request(New(open, withCalls(t)), "POST", "/api/v2/accounts/1/calls"), http.StatusForbidden, "authorization-error")
}
