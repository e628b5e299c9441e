package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// fakeModifier records what is asked of it.
type fakeModifier struct {
	did []string
	to  interpreter.Redirection
	err error
}

func (m *fakeModifier) Redirect(id string, to interpreter.Redirection) error {
	m.did, m.to = append(m.did, "redirect "+id), to
	return m.err
}

func (m *fakeModifier) Replace(id string, document []byte) error {
	m.did = append(m.did, "replace "+id+" "+string(document))
	return m.err
}

func (m *fakeModifier) Complete(id string) error {
	m.did = append(m.did, "complete "+id)
	return m.err
}

func (m *fakeModifier) PauseRecording(id string, paused bool) error {
	m.did = append(m.did, fmt.Sprint("pause ", id, " ", paused))
	return m.err
}

func with(contentType, body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Content-Type", contentType)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
}

func post(t *testing.T, m *fakeModifier, body string) *http.Response {
	t.Helper()
	return request(New(open, withCalls(t, "c-1"), WithModifier(m)), "POST", base+"/calls/c-1", with("application/json; charset=utf-8", body))
}

func put(t *testing.T, m *fakeModifier, body string) *http.Response {
	t.Helper()
	return request(New(open, withCalls(t, "c-1"), WithModifier(m)), "PUT", base+"/calls/c-1/bxml", with("application/xml", body))
}

func TestACallIsRedirected(t *testing.T) {
	t.Parallel()
	tag, empty := strings.Repeat("ü", maxTag), ""
	long := "https://h/" + strings.Repeat("x", maxURL-len("https://h/"))
	for name, tc := range map[string]struct {
		body string
		want interpreter.Redirection
	}{
		"the least": {`{"redirectUrl":"http://h/x"}`, interpreter.Redirection{URL: "http://h/x", Method: "POST", FallbackMethod: "POST"}},
		"everything": {
			`{"state":"active","redirectUrl":"https://h:1/x?y=1","redirectMethod":"GET","username":"u","password":"p","redirectFallbackUrl":"http://f/",` +
				`"redirectFallbackMethod":"GET","fallbackUsername":"fu","fallbackPassword":"fp","tag":"t","unknown":[1]}`,
			interpreter.Redirection{
				URL: "https://h:1/x?y=1", Method: "GET", Username: "u", Password: "p",
				FallbackURL: "http://f/", FallbackMethod: "GET", FallbackUsername: "fu", FallbackPassword: "fp", Tag: new("t"),
			},
		},
		"null is absent": {
			`{"state":null,"redirectUrl":"http://h/x","redirectMethod":null,"username":null,"redirectFallbackUrl":null,"tag":null}`,
			interpreter.Redirection{URL: "http://h/x", Method: "POST", FallbackMethod: "POST"},
		},
		"the tag is cleared": {`{"redirectUrl":"http://h/x","tag":""}`, interpreter.Redirection{URL: "http://h/x", Method: "POST", FallbackMethod: "POST", Tag: &empty}},
		"the longest": {
			fmt.Sprintf(`{"redirectUrl":%q,"tag":%q}`, long, tag),
			interpreter.Redirection{URL: long, Method: "POST", FallbackMethod: "POST", Tag: &tag},
		},
		"names are exact": {`{"redirectUrl":"http://h/x","State":"completed"}`, interpreter.Redirection{URL: "http://h/x", Method: "POST", FallbackMethod: "POST"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &fakeModifier{}
			r := post(t, m, tc.body)
			assert.Equal(t, http.StatusOK, r.StatusCode)
			assert.Empty(t, bodyOf(t, r))
			assert.Equal(t, []string{"redirect c-1"}, m.did)
			assert.Equal(t, tc.want, m.to)
		})
	}
}

func TestACallIsEnded(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"state":"completed"}`,
		`{"state":"completed","username":"u","password":"p","fallbackUsername":"fu","fallbackPassword":"fp","redirectFallbackUrl":"http://f/"}`,
		`{"state":"completed","redirectUrl":null,"tag":null}`,
	} {
		m := &fakeModifier{}
		r := post(t, m, body)
		assert.Equal(t, http.StatusOK, r.StatusCode, body)
		assert.Empty(t, bodyOf(t, r))
		assert.Equal(t, []string{"complete c-1"}, m.did)
	}
}

func TestAWrongModificationIsRefused(t *testing.T) { // docs/api.md
	t.Parallel()
	longer := func(n int) string { return strings.Repeat("x", n+1) }
	for body, want := range map[string]string{
		``:                                  "Invalid body: it is not JSON",
		`{`:                                 "Invalid body: it is not JSON",
		`{} {}`:                             "Invalid body: it is not JSON",
		`null`:                              "Invalid body: must be a JSON object",
		`[]`:                                "Invalid body: must be a JSON object",
		`"completed"`:                       "Invalid body: must be a JSON object",
		`{}`:                                "Missing at least one required field. Required fields are [redirectUrl]",
		`{"tag":"x"}`:                       "Missing at least one required field. Required fields are [redirectUrl]",
		`{"state":"x"}`:                     "Invalid state. Supported states: [active, completed]",
		`{"state":1}`:                       "Invalid state. Supported states: [active, completed]",
		`{"redirectUrl":"/goodbye"}`:        "Invalid redirectUrl: only http and https are allowed",
		`{"redirectUrl":""}`:                "Invalid redirectUrl: only http and https are allowed",
		`{"redirectUrl":"ftp://h/"}`:        "Invalid redirectUrl: only http and https are allowed",
		`{"redirectUrl":"http:///x"}`:       "Invalid redirectUrl: must have a host",
		`{"redirectUrl":"http://h/a b"}`:    "Invalid redirectUrl: must be a URL",
		`{"redirectUrl":"http://h/%zz"}`:    "Invalid redirectUrl: must be a URL",
		`{"redirectUrl":"http://h:99999/"}`: "Invalid redirectUrl: must have a port from 1 to 65535",
		`{"redirectUrl":["http://h/"]}`:     "Invalid redirectUrl: must be a string",
		`{"redirectUrl":"http://` + longer(maxURL-7) + `"}`:             "Invalid redirectUrl: must have at most 2048 characters, but has 2049",
		`{"redirectUrl":"http://h/","redirectMethod":"PUT"}`:            "Invalid redirectUrl method. Supported methods: [POST, GET]",
		`{"redirectUrl":"http://h/","redirectMethod":"get"}`:            "Invalid redirectUrl method. Supported methods: [POST, GET]",
		`{"redirectUrl":"http://h/","redirectFallbackMethod":"X"}`:      "Invalid redirectFallbackUrl method. Supported methods: [POST, GET]",
		`{"redirectUrl":"http://h/","redirectFallbackUrl":"x"}`:         "Invalid redirectFallbackUrl: only http and https are allowed",
		`{"redirectUrl":"http://h/","username":"` + longer(1024) + `"}`: "Invalid username: must have at most 1024 characters, but has 1025",
		`{"redirectUrl":"http://h/","password":"` + longer(1024) + `"}`: "Invalid password: must have at most 1024 characters, but has 1025",
		`{"redirectUrl":"http://h/","fallbackUsername":7}`:              "Invalid fallbackUsername: must be a string",
		`{"redirectUrl":"http://h/","tag":"` + longer(4096) + `"}`:      "Invalid tag: must have at most 4096 characters, but has 4097",
		`{"state":"completed","redirectUrl":"http://h/"}`:               "Invalid redirectUrl: not allowed when state is completed",
		`{"state":"completed","redirectMethod":"POST"}`:                 "Invalid redirectMethod: not allowed when state is completed",
		`{"state":"completed","redirectFallbackMethod":"POST"}`:         "Invalid redirectFallbackMethod: not allowed when state is completed",
		`{"state":"completed","tag":""}`:                                "Invalid tag: not allowed when state is completed",
		`{"redirectUrl":"http://h/","x":"` + longer(maxJSON) + `"}`:     "Invalid body: must have at most 262144 bytes",
	} {
		m := &fakeModifier{}
		assert.Equal(t, want, requireError(t, post(t, m, body), http.StatusBadRequest, "validation"))
		assert.Empty(t, m.did)
	}
}

func TestADocumentIsReplaced(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"<Bxml/>", "<Response>" + strings.Repeat(" ", maxDocument-len("<Response></Response>")) + "</Response>"} {
		m := &fakeModifier{}
		r := put(t, m, document)
		assert.Equal(t, http.StatusNoContent, r.StatusCode)
		assert.Empty(t, bodyOf(t, r))
		assert.Equal(t, []string{"replace c-1 " + document}, m.did)
	}
}

func TestAWrongDocumentIsRefused(t *testing.T) { // docs/api.md
	t.Parallel()
	m := &fakeModifier{}
	assert.Equal(t, "Invalid body: must have at most 65536 bytes",
		requireError(t, put(t, m, strings.Repeat(" ", maxDocument)+"<"), http.StatusBadRequest, "validation"))
	for _, empty := range []string{"", " \r\n"} {
		assert.Equal(t, "Invalid BXML: the body is empty", requireError(t, put(t, m, empty), http.StatusBadRequest, "validation"))
	}
	assert.Empty(t, m.did)
	m.err = &interpreter.DocumentError{Err: errors.New("line 1, column 2: unknown verb Reffer")}
	assert.Equal(t, "Invalid BXML: line 1, column 2: unknown verb Reffer",
		requireError(t, put(t, m, "<Reffer/>"), http.StatusBadRequest, "validation"))
}

func TestOtherContentTypesAreRefused(t *testing.T) { // docs/api.md
	t.Parallel()
	m := &fakeModifier{}
	s := New(open, withCalls(t, "c-1"), WithModifier(m))
	for _, given := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "text/xml", ";", "application/"} {
		requireError(t, request(s, "POST", base+"/calls/c-1", with(given, `{"state":"completed"}`)), http.StatusUnsupportedMediaType, "validation")
		requireError(t, request(s, "PUT", base+"/calls/c-1/bxml", with(given, `<Bxml/>`)), http.StatusUnsupportedMediaType, "validation")
	}
	requireError(t, request(s, "POST", base+"/calls/c-1", with("application/xml", `<Bxml/>`)), http.StatusUnsupportedMediaType, "validation")
	assert.Empty(t, m.did)
	assert.Equal(t, 204, request(s, "PUT", base+"/calls/c-1/bxml", with("Application/XML;charset=UTF-8", `<Bxml/>`)).StatusCode)
}

func TestACallThatCannotBeModifiedAndOneThatIsNotKnown(t *testing.T) { // docs/api.md
	t.Parallel()
	for name, opts := range map[string][]Option{"refused": {WithModifier(&fakeModifier{err: interpreter.ErrNotModifiable})}, "no modifier": nil} {
		s := New(open, withCalls(t, "c-1"), opts...)
		for _, tc := range []struct {
			id, want string
			status   int
		}{
			{"c-1", "Call [c-1] cannot be modified in its current state", http.StatusConflict},
			{"c-9", "Call [c-9] not found", http.StatusNotFound},
		} {
			for _, r := range []*http.Response{
				request(s, "POST", base+"/calls/"+tc.id, with("application/json", `{"state":"completed"}`)),
				request(s, "POST", base+"/calls/"+tc.id, with("application/json", `{"redirectUrl":"http://h/"}`)),
				request(s, "PUT", base+"/calls/"+tc.id+"/bxml", with("application/xml", `<Bxml/>`)),
			} {
				assert.Equal(t, tc.want, requireError(t, r, tc.status, "validation"), name)
			}
		}
	}
}

func TestAModifierThatFailsIsAnInternalError(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	s := New(open, withCalls(t, "c-1"), WithModifier(&fakeModifier{err: errors.New("disk on fire")}), WithLogger(zap.New(core)))
	r := request(s, "PUT", base+"/calls/c-1/bxml", with("application/xml", `<Bxml/>`))
	assert.Equal(t, http.StatusInternalServerError, r.StatusCode)
	assert.NotContains(t, bodyOf(t, r), "fire")
	assert.Equal(t, 1, logs.Len())
}

func TestRequestsAreCountedAndLoggedWithTheirCall(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	var counted []string
	s := New(closed, withCalls(t, "c-1"), WithModifier(&fakeModifier{}), WithLogger(zap.New(core)),
		WithRequests(func(method, path string, code int) {
			counted = append(counted, fmt.Sprint(method, " ", path, " ", code))
		}))
	known := as("ada", "lovelace")
	request(s, "PUT", base+"/calls/c-1/bxml", known, with("application/xml", `<Bxml/>`))
	request(s, "BREW", base+"/calls", known)
	request(s, "GET", base+"/calls/c-1", known)
	request(s, "GET", base+"/sip:alice@h", known)
	request(s, "GET", "/", known)
	request(s, "GET", "/healthz")
	request(s, "GET", base+"/calls")
	assert.Equal(t, []string{
		"PUT /calls/{callId}/bxml 204", "other /calls 405", "GET /calls/{callId} 200", "GET other 404", "GET other 404",
		"GET /healthz 200", "GET other 401",
	}, counted)
	all := logs.FilterMessage("HTTP request").All()
	require.Len(t, all, 7)
	assert.Equal(t, "c-1", all[0].ContextMap()["call_id"])
	assert.NotContains(t, all[1].ContextMap(), "call_id")
}

// FuzzModification holds that whatever is asked for is taken within its limits or refused in the right form.
func FuzzModification(f *testing.F) {
	for _, body := range []string{
		`{"state":"completed"}`, `{"redirectUrl":"http://h/","tag":"\ud800"}`, `{"redirectUrl":"http://[::1]:0/"}`, `{"state":{},"tag":[]}`, "{\"redirectUrl\":\"http://h/\xff\"}",
	} {
		f.Add(body)
	}
	m := state.NewMemory(state.MemoryConfig{})
	if _, err := m.Append(f.Context(), initiated("c-1", began)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		modifier := &fakeModifier{}
		r := request(New(open, m, WithModifier(modifier)), "POST", base+"/calls/c-1", with("application/json", body))
		if r.StatusCode != http.StatusOK {
			requireError(t, r, http.StatusBadRequest, "validation")
			require.Empty(t, modifier.did)
			return
		}
		require.Len(t, modifier.did, 1)
		if modifier.did[0] == "redirect c-1" {
			require.Regexp(t, `^(?i:https?)://[^\s]+$`, modifier.to.URL) // RFC 3986 section 3.1: a scheme has no case
			require.Contains(t, []string{"GET", "POST"}, modifier.to.Method)
		}
	})
}
