package scenario

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// client makes HTTP requests on a network, following no redirect.
func client(t *testing.T, n Network) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: n.DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func post(t *testing.T, c *http.Client, url, body string) (int, string, http.Header) {
	t.Helper()
	res, err := c.Post(url, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(got), res.Header
}

// inBubbleAndOnLoopback runs a test in memory and over the host's loopback.
func inBubbleAndOnLoopback(t *testing.T, run func(t *testing.T, n Network, app *ScriptedApplication)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory()
			run(t, m, NewScript(t, m, 0).Application(ApplicationConfig{Address: "app.example:80"}))
		})
	})
	t.Run("loopback", func(t *testing.T) {
		t.Parallel()
		run(t, System{}, NewScript(t, System{}, 10*time.Second).Application(ApplicationConfig{}))
	})
}

func TestApplicationAnswersInSequence(t *testing.T) {
	t.Parallel()
	inBubbleAndOnLoopback(t, func(t *testing.T, n Network, app *ScriptedApplication) {
		c := client(t, n)
		app.On("initiate", BXML("<Response/>"), Reply{Status: 500})
		app.On("/special", Reply{Body: "x", Header: http.Header{"content-type": {"text/plain"}}}, Reply{Redirect: "/there"})
		status, body, header := post(t, c, app.URL("/voice"), `{"eventType":"initiate"}`)
		assert.Equal(t, 200, status)
		assert.Equal(t, "<Response/>", body)
		assert.Equal(t, "application/xml", header.Get("Content-Type"))
		for range 2 {
			status, _, _ = post(t, c, app.URL("/voice"), `{"eventType":"initiate"}`)
			assert.Equal(t, 500, status, "the last reply stays")
		}
		_, body, header = post(t, c, app.URL("/special"), `{"eventType":"initiate"}`)
		assert.Equal(t, "x", body, "a path comes first")
		assert.Equal(t, "text/plain", header.Get("Content-Type"))
		status, _, header = post(t, c, app.URL("/special"), `{}`)
		assert.Equal(t, 307, status)
		assert.Equal(t, "/there", header.Get("Location"))
		status, _, _ = post(t, c, app.URL("/other"), `{"eventType":"disconnect"}`)
		assert.Equal(t, 204, status)
		assert.Len(t, app.Events(), 6)
		assert.Len(t, app.EventsOf("initiate"), 4)
		app.Expect("disconnect")
		app.Expect("/special")
	})
}

func TestApplicationRecordsEvents(t *testing.T) {
	t.Parallel()
	inBubbleAndOnLoopback(t, func(t *testing.T, n Network, app *ScriptedApplication) {
		c := client(t, n)
		post(t, c, app.URL("/a?x=1"), `{"eventType":"referComplete","referCallStatus":"failure","referSipResponseCode":202,"gone":null,"asText":"5"}`)
		e := app.Expect("referComplete")
		assert.Equal(t, "POST", e.Method)
		assert.Equal(t, "1", e.Query.Get("x"))
		e.Check(map[string]any{
			"referCallStatus": "failure", "referSipResponseCode": 202, "notifySipResponseCode": Absent, "eventType": Present,
		})
		for property, want := range map[string]any{
			"gone": Absent, "asText": 5, "referSipResponseCode": 405, "tag": Present, "callId": "c-1",
		} {
			require.ErrorContains(t, e.Event.Check(map[string]any{property: want}), property)
		}
		assert.Equal(t, "POST /a referComplete referCallStatus=failure referSipResponseCode=202", e.String())

		res, err := c.Get(app.URL("/b?eventType=disconnect&code=7"))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		app.Expect("disconnect").Check(map[string]any{"code": 7, "cause": Absent})

		post(t, c, app.URL("/c"), `no JSON`)
		last := app.Events()[2]
		assert.Equal(t, "no JSON", string(last.Body))
		assert.Empty(t, last.Type())
		assert.Empty(t, last.ID())
	})
}

func TestApplicationMisbehaves(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reply Reply
		after time.Duration
		fails bool
	}{
		"delay": {Reply{Delay: 5 * time.Second}, 5 * time.Second, false},
		"drop":  {Reply{Drop: true, Delay: time.Second}, time.Second, true},
		"hang":  {Reply{Hang: true}, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory()
				app := NewScript(t, m, 0).Application(ApplicationConfig{Address: "app.example:80"})
				app.On("/", tc.reply)
				start := time.Now()
				res, err := client(t, m).Post("http://app.example/", "text/plain", nil)
				assert.Equal(t, tc.after, time.Since(start))
				assert.Equal(t, tc.fails, err != nil)
				if err == nil {
					require.NoError(t, res.Body.Close())
				}
				assert.Len(t, app.Events(), 1)
			})
		})
	}
}

func TestApplicationWaitsToBeReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		app := NewScript(t, m, 0).Application(ApplicationConfig{Address: "app.example:80"})
		release := make(chan struct{})
		app.On("/", Reply{Until: release})
		time.AfterFunc(time.Second, func() { close(release) })
		start := time.Now()
		status, _, _ := post(t, client(t, m), "http://app.example/", "")
		assert.Equal(t, 204, status)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestApplicationCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		app, err := NewApplication(t.Context(), m, ApplicationConfig{Address: "app.example:80"})
		require.NoError(t, err)
		app.On("/", Reply{Hang: true})
		ended := make(chan error, 1)
		c := client(t, m)
		go func() {
			_, err := c.Get("http://app.example/")
			ended <- err
		}()
		synctest.Wait()
		require.NoError(t, app.Close())
		require.Error(t, <-ended)
		_, err = NewApplication(t.Context(), m, ApplicationConfig{Address: "nowhere.example:80"})
		require.Error(t, err)
	})
}

func TestApplicationTellsWhatCameInstead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		app := NewScript(t, m, 0).Application(ApplicationConfig{Address: "app.example:80"})
		post(t, client(t, m), "http://app.example/status", `{"eventType":"disconnect","cause":"hangup"}`)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := app.Application.Expect(ctx, "referComplete")
		var missing *NotSeenError
		require.ErrorAs(t, err, &missing)
		assert.Equal(t, []string{"POST /status disconnect cause=hangup"}, missing.Came)
	})
}
