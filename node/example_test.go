package node

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/callengine/callengine/verbs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheExampleAnswersEachEvent(t *testing.T) {
	server := httptest.NewServer(ExampleHandler())
	t.Cleanup(server.Close)
	for name, tc := range map[string]struct {
		path, event string
		status      int
		verbs       []string // that the document must hold, as it is written
	}{
		"hello":             {"/initiate", `{"to":"sip:hello@127.0.0.1:5060"}`, 200, []string{"<SpeakSentence>Hello from callengine.", "<Hangup/>"}},
		"another user":      {"/initiate", `{"to":"sip:127.0.0.1"}`, 200, []string{"<Hangup/>"}},
		"refer":             {"/initiate", `{"to":"sip:refer@127.0.0.1:5060"}`, 200, []string{`<Refer referCompleteUrl="/refer-complete"><SipUri>sip:hello@127.0.0.1:5060</SipUri></Refer>`}},
		"refer elsewhere":   {"/initiate", `{"to":"sip:refer@h","sipHeaders":{"x-refer-to":"sip:a@b;c=d?e=f&g=h"}}`, 200, []string{`<SipUri>sip:a@b;c=d?e=f&amp;g=h</SipUri>`}},
		"refused":           {"/refer-complete", `{"referCallStatus":"failure","referSipResponseCode":405}`, 200, []string{"The answer was 4 0 5.", "<Hangup/>"}},
		"unreachable":       {"/refer-complete", `{"referCallStatus":"failure","referSipResponseCode":202,"notifySipResponseCode":486}`, 200, []string{"The answer was 4 8 6."}},
		"no NOTIFY":         {"/refer-complete", `{"referCallStatus":"failure","referSipResponseCode":202}`, 200, []string{"There was no answer."}},
		"no answer at all":  {"/refer-complete", `{"referCallStatus":"failure"}`, 200, []string{"There was no answer."}},
		"success":           {"/refer-complete", `{"referCallStatus":"success","referSipResponseCode":202,"notifySipResponseCode":200}`, 200, []string{"<Response>"}},
		"status":            {"/status", `{"eventType":"disconnect"}`, 204, nil},
		"what is no event":  {"/initiate", `hello`, 400, nil},
		"what is not there": {"/", `{}`, 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := http.Post(server.URL+tc.path, "application/json", strings.NewReader(tc.event))
			require.NoError(t, err)
			body, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, tc.status, res.StatusCode)
			for _, verb := range tc.verbs {
				assert.Contains(t, string(body), verb)
			}
			if tc.status != http.StatusOK {
				return
			}
			doc, err := verbs.NewParser(verbs.Config{}).Parse(body, server.URL+tc.path)
			require.NoError(t, err)
			assert.Empty(t, doc.Warnings)
		})
	}
}

func TestTheExampleIsAnApplicationLikeAnyOther(t *testing.T) {
	example, err := StartExample(t.Context())
	require.NoError(t, err)
	app := example.Application()
	cfg := DefaultConfig()
	cfg.Applications = []Application{app}
	c := checker{cfg: &cfg, origin: origins{}}
	c.check()
	assert.Empty(t, c.errs)
	res, err := http.Post(app.CallInitiatedCallbackURL, "application/json", strings.NewReader(`{"to":"sip:hello@h"}`))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, example.Close())
	_, err = http.Post(app.CallStatusCallbackURL, "application/json", nil)
	assert.Error(t, err)
}
