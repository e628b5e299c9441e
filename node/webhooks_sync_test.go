package node_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fullInvite is an INVITE with everything that an initiate event tells of.
func fullInvite(b *bubble) scenario.Invite {
	return scenario.Invite{
		To: b.uri("desk"), CallID: "7f2c9d1e44b0@caller.example.com", From: "sip:ada@caller.example.com",
		Headers: []scenario.Header{
			{Name: "X-Session-Id", Value: "first"}, {Name: "x-session-id", Value: "sess-12345"}, {Name: "X-Other", Value: "a b"},
			{Name: "User-To-User", Value: "48656c6c6f;encoding=hex"}, {Name: "User-To-User", Value: "SGVsbG8=;encoding=base64"},
			{Name: "Diversion", Value: `<sip:first@caller.example.com>;reason=no-answer;privacy=off;counter=1`},
			{Name: "Diversion", Value: `<sip:second@caller.example.com>;reason=user-busy`},
		},
	}
}

func TestInitiateTellsOfTheInvite(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		b.phone.Invite(fullInvite(b)).Rejected(603)
		e := b.app.Expect("initiate")
		assert.Equal(t, "POST", e.Method)
		assert.Equal(t, "/initiate", e.Path)
		assert.Equal(t, "application/json; charset=utf-8", e.Header.Get("Content-Type"))
		assert.True(t, strings.HasPrefix(e.Header.Get("User-Agent"), "callengine"))
		assert.NotEmpty(t, e.ID())
		assert.Empty(t, e.Header.Get("Authorization"))
		e.Check(map[string]any{
			"accountId": "5555555", "applicationId": "app", "direction": "inbound",
			"from": "sip:ada@caller.example.com", "to": "sip:desk@10.0.0.1:5060",
			"callUrl":   "http://10.0.0.1:8088/api/v2/accounts/5555555/calls/" + e.Text("callId"),
			"eventTime": began.UTC().Format("2006-01-02T15:04:05.000Z"), "startTime": began.UTC().Format("2006-01-02T15:04:05.000Z"),
			"sipCallId": "7f2c9d1e44b0@caller.example.com", "uui": "48656c6c6f;encoding=hex,SGVsbG8=;encoding=base64",
			"answerTime": scenario.Absent, "tag": scenario.Absent, "stirShaken": scenario.Absent, "cause": scenario.Absent,
		})
		assert.Equal(t, map[string]any{"x-session-id": "sess-12345", "x-other": "a b"}, e.Properties["sipHeaders"], "the last value wins")
		diversion, _ := e.Properties["diversion"].(map[string]any)
		assert.Equal(t, "no-answer", diversion["reason"], "the topmost is the most recent (RFC 5806 section 5)")
		assert.Contains(t, diversion["origTo"], "first")
		b.disconnect("hangup", "").Check(map[string]any{
			"callId": e.Text("callId"), "sipCallId": "7f2c9d1e44b0@caller.example.com", "answerTime": scenario.Absent,
			"endTime": began.UTC().Format("2006-01-02T15:04:05.000Z"),
		})
	})
}

func TestInitiateByGETHasItsPropertiesInTheQuery(t *testing.T) {
	change := func(cfg *node.Config) {
		cfg.Applications[0].CallInitiatedCallbackURL = "http://app.example/initiate?key=1%202"
		cfg.Applications[0].CallInitiatedMethod = "GET"
		cfg.Applications[0].CallStatusMethod = "GET"
	}
	inBubble(t, change, func(t *testing.T, b *bubble) {
		b.phone.Invite(fullInvite(b)).Rejected(603)
		e := b.app.Expect("/initiate")
		assert.Equal(t, "GET", e.Method)
		assert.Empty(t, e.Body)
		for name, want := range map[string]string{
			"key": "1 2", "eventType": "initiate", "direction": "inbound", "from": "sip:ada@caller.example.com",
			"sipHeaders.x-session-id": "sess-12345", "diversion.reason": "no-answer", "sipCallId": "7f2c9d1e44b0@caller.example.com",
		} {
			assert.Equal(t, []string{want}, e.Query[name], name)
		}
		assert.NotContains(t, e.Query, "tag")
		assert.Equal(t, "GET", b.disconnect("hangup", "").Method)
	})
}

func TestRelativeURLsStartFromTheURLThatAnswered(t *testing.T) {
	const document = `<Redirect redirectUrl="next?x=1"/>`
	for name, tc := range map[string]struct {
		change func(*node.Config)
		first  scenario.Reply // to the initiate event at /initiate
		path   string         // where the document comes from after that
		want   string         // where its Redirect leads
	}{
		"the URL asked":             {nil, scenario.BXML(response(document)), "", "app.example/next"},
		"the end of a redirect":     {nil, scenario.Reply{Redirect: "/deep/er/doc"}, "/deep/er/doc", "app.example/deep/er/next"},
		"the end of another host's": {nil, scenario.Reply{Redirect: "http://10.0.0.2/a/b"}, "/a/b", "10.0.0.2/a/next"},
		"a later document's":        {nil, scenario.BXML(response(`<Redirect redirectUrl="/deep/er/doc"/>`)), "/deep/er/doc", "app.example/deep/er/next"},
		"the fallback URL": {
			func(cfg *node.Config) {
				cfg.Applications[0].CallInitiatedFallbackURL = "http://localhost.example/f/all/back"
			},
			scenario.Reply{Status: 500}, "/f/all/back", "localhost.example/f/all/next",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tc.change, func(t *testing.T, b *bubble) {
				b.net.AddHost("localhost.example", netip.MustParseAddr("10.0.0.2"))
				b.app.On("/initiate", tc.first)
				if tc.path != "" {
					b.app.On(tc.path, scenario.BXML(response(document)))
				}
				b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(603)
				host, path, _ := strings.Cut(tc.want, "/")
				e := b.app.Expect("/" + path)
				assert.Equal(t, "1", e.Query.Get("x"))
				asked := requests(b.journal(e), "redirect")
				assert.Contains(t, asked[len(asked)-1], "http://"+host+"/")
			})
		})
	}
}

// requests returns the URLs that events of a type were sent to, in order.
func requests(journal []state.Entry, eventType string) (urls []string) {
	for _, e := range journal {
		if w := e.Webhook; w != nil && w.Event == state.WebhookRequest && w.EventType == eventType {
			urls = append(urls, w.URL)
		}
	}
	return urls
}

func TestTheFallbackIsAskedWithItsOwnMethodAndCredentials(t *testing.T) {
	change := func(cfg *node.Config) {
		app := &cfg.Applications[0]
		app.Username, app.Password = "first", "secret1"
		app.CallInitiatedFallbackURL, app.CallInitiatedFallbackMethod = "http://backup.example/fallback", "GET"
		app.FallbackUsername, app.FallbackPassword = "second", "secret2"
	}
	inBubble(t, change, func(t *testing.T, b *bubble) {
		backup := b.script.Application(scenario.ApplicationConfig{Address: "10.0.0.3:80"})
		backup.On("/fallback", scenario.BXML(response(`<Hangup/>`)))
		b.app.On("/initiate", scenario.Reply{Status: 500})
		b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(603)

		first, second := b.app.Expect("/initiate"), backup.Expect("/fallback")
		assert.Equal(t, [3]string{"first", "secret1", "POST"}, credentialsOf(first))
		assert.Equal(t, [3]string{"second", "secret2", "GET"}, credentialsOf(second))
		assert.Equal(t, first.ID(), second.ID(), "it is the same event")
		assert.Equal(t, [3]string{"first", "secret1", "POST"}, credentialsOf(b.disconnect("hangup", "")))
	})
}

func credentialsOf(e *scenario.ScriptedEvent) [3]string {
	username, password := basicAuth(e.Header.Get("Authorization"))
	return [3]string{username, password, e.Method}
}

func TestTheFallbackOfARedirect(t *testing.T) {
	const document = `<Redirect redirectUrl="http://app.example/next" username="u" password="p" ` +
		`redirectFallbackUrl="/other" redirectFallbackMethod="GET" fallbackUsername="v" fallbackPassword="q"/>`
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("/next", scenario.Reply{Hang: true})
		b.invite(response(document)).Rejected(603)
		first, second := b.app.Expect("/next"), b.app.Expect("/other")
		assert.Equal(t, [3]string{"u", "p", "POST"}, credentialsOf(first))
		assert.Equal(t, [3]string{"v", "q", "GET"}, credentialsOf(second))
		assert.Equal(t, first.ID(), second.ID())
		assert.Equal(t, 15*time.Second, since(first.Time, second.Time))
		assert.Equal(t, [3]string{"", "", "POST"}, credentialsOf(b.disconnect("hangup", "")), "they belong to the verb alone")
	})
}

func TestCredentialsDoNotFollowARedirectToAnotherServer(t *testing.T) {
	for name, tc := range map[string]struct{ listens, url string }{
		"another host": {"10.0.0.3:80", "http://backup.example/there"},
		"another port": {"10.0.0.2:8080", "http://app.example:8080/there"},
		"a subdomain":  {"10.0.0.3:80", "http://sub.app.example/there"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				cfg.Applications[0].Username, cfg.Applications[0].Password = "u", "p"
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				b.net.AddHost("sub.app.example", netip.MustParseAddr("10.0.0.3"))
				other := b.script.Application(scenario.ApplicationConfig{Address: tc.listens})
				b.app.On("/initiate", scenario.Reply{Redirect: "/here"})
				b.app.On("/here", scenario.Reply{Redirect: tc.url})
				b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(603)
				assert.Equal(t, [3]string{"u", "p", "POST"}, credentialsOf(b.app.Expect("/here")))
				there := other.Expect("/there")
				assert.Equal(t, [3]string{"", "", "POST"}, credentialsOf(there))
				assert.NotEmpty(t, there.Body, "307 keeps the body")
				assert.Equal(t, b.app.Expect("/initiate").ID(), there.ID())
			})
		})
	}
}

func TestRedirectsOfWebhooks(t *testing.T) {
	for name, tc := range map[string]struct {
		method string
		status int
		hops   int
		cause  string
	}{
		"307 of a POST":        {"POST", 307, 1, "hangup"},
		"308 of a POST":        {"POST", 308, 1, "hangup"},
		"301 of a POST":        {"POST", 301, 1, "callback-error"},
		"302 of a POST":        {"POST", 302, 1, "callback-error"},
		"303 of a POST":        {"POST", 303, 1, "callback-error"},
		"301 of a GET":         {"GET", 301, 1, "hangup"},
		"302 of a GET":         {"GET", 302, 1, "hangup"},
		"303 of a GET":         {"GET", 303, 1, "hangup"},
		"three in a row":       {"POST", 307, 3, "hangup"},
		"four are one to many": {"POST", 307, 4, "callback-error"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) { cfg.Applications[0].CallInitiatedMethod = tc.method }
			inBubble(t, change, func(t *testing.T, b *bubble) {
				at := "/initiate"
				for range tc.hops {
					b.app.On(at, scenario.Reply{Status: tc.status, Redirect: at + "x"})
					at += "x"
				}
				b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(0)
				assert.Equal(t, tc.cause, b.app.Expect("disconnect").Text("cause"))
			})
		})
	}
}

func TestTheTimeoutOfASynchronousWebhookIsExact(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout  time.Duration
		fallback bool
		want     time.Duration
	}{
		"the default":                {15 * time.Second, false, 15 * time.Second},
		"the application's own":      {2500 * time.Millisecond, false, 2500 * time.Millisecond},
		"once more for the fallback": {3 * time.Second, true, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				cfg.Applications[0].CallbackTimeout = tc.timeout
				if tc.fallback {
					cfg.Applications[0].CallInitiatedFallbackURL = "http://app.example/fallback"
				}
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				began := time.Now()
				rejected := b.answers(scenario.Reply{Hang: true}).Rejected(500)
				assert.Equal(t, tc.want, since(began, rejected.Time))
				e := b.disconnect("callback-error", "no complete reply in time")
				assert.NotContains(t, e.Text("errorMessage"), "attempts", "a time-out is not followed by another wait")
			})
		})
	}
}

func TestAReplyInTheLastMomentCounts(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.answers(scenario.Reply{Delay: 15*time.Second - time.Millisecond, Body: response(`<Pause/>`)}).Expect("BYE")
		b.disconnect("hangup", "")
	})
}

func TestAConnectionFailureIsRetriedOnceWithoutAFallback(t *testing.T) {
	nobody := func(cfg *node.Config) {
		cfg.Applications[0].CallInitiatedCallbackURL = "http://app.example:81/initiate"
	}
	inBubble(t, nobody, func(t *testing.T, b *bubble) {
		b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(500)
		e := b.disconnect("callback-error", "(2 attempts)")
		assert.Len(t, requests(b.journal(e), "initiate"), 2)
	})
	withFallback := func(cfg *node.Config) {
		nobody(cfg)
		cfg.Applications[0].CallInitiatedFallbackURL = "http://app.example:82/fallback"
	}
	inBubble(t, withFallback, func(t *testing.T, b *bubble) {
		b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(500)
		e := b.disconnect("callback-error", "fallback")
		assert.Equal(t, []string{"http://app.example:81/initiate", "http://app.example:82/fallback"}, requests(b.journal(e), "initiate"))
	})
}

func TestAKeptConnectionThatTheApplicationClosedIsNoFailure(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.app.On("redirect", scenario.Reply{Drop: true}, scenario.BXML(response(`<Pause/>`)))
		b.invite(response(`<Redirect redirectUrl="/next"/>`)).Expect("BYE")
		events := b.app.EventsOf("redirect")
		require.Len(t, events, 2)
		assert.Equal(t, events[0].ID(), events[1].ID())
		assert.Equal(t, events[0].Body, events[1].Body)
		b.disconnect("hangup", "")
	})
}

func TestAStatusThatIsNoSuccessIsNotRetried(t *testing.T) {
	for _, status := range []int{300, 400, 404, 408, 429, 500, 503} {
		inBubble(t, nil, func(t *testing.T, b *bubble) {
			b.answers(scenario.Reply{Status: status}).Rejected(500)
			b.disconnect("callback-error", "status")
			assert.Len(t, b.app.EventsOf("initiate"), 1)
		})
	}
}

func TestEveryStatusOfSuccessIsOne(t *testing.T) {
	for _, status := range []int{200, 201, 202, 299} {
		inBubble(t, nil, func(t *testing.T, b *bubble) {
			b.answers(scenario.Reply{Status: status, Body: response(`<Pause/>`)}).Expect("BYE")
			b.disconnect("hangup", "")
		})
	}
}

func TestWebhooksGoOnlyWhereTheConfigurationAllows(t *testing.T) {
	metadata := netip.MustParseAddr("169.254.169.254")
	for name, tc := range map[string]struct {
		change func(*node.Config)
		url    string
		cause  string
	}{
		"a denied address":                  {nil, "http://169.254.169.254/initiate", "callback-error"},
		"a name that leads to one":          {nil, "http://metadata.example/initiate", "callback-error"},
		"an IPv6 form of it":                {nil, "http://[::ffff:169.254.169.254]/initiate", "callback-error"},
		"a host that is not allowed":        {func(cfg *node.Config) { cfg.Webhook.AllowHosts = []string{"*.example.com"} }, "http://app.example/initiate", "callback-error"},
		"a host that is allowed":            {func(cfg *node.Config) { cfg.Webhook.AllowHosts = []string{"app.*"} }, "http://APP.example/initiate", "hangup"},
		"an address that is denied no more": {func(cfg *node.Config) { cfg.Webhook.DenyCIDRs = nil }, "http://metadata.example/initiate", "hangup"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(cfg *node.Config) {
				cfg.Applications[0].CallInitiatedCallbackURL = tc.url
				cfg.Applications[0].CallStatusCallbackURL = ""
				if tc.change != nil {
					tc.change(cfg)
				}
			}
			inBubble(t, change, func(t *testing.T, b *bubble) {
				b.net.AddHost("metadata.example", metadata)
				denied := b.script.Application(scenario.ApplicationConfig{Address: "169.254.169.254:80"})
				b.phone.Invite(scenario.Invite{To: b.uri("desk")}).Rejected(0)
				time.Sleep(leftover)
				ended := b.logs.FilterMessage("call ended").All()
				require.Len(t, ended, 1)
				assert.Equal(t, tc.cause, ended[0].ContextMap()["cause"], ended[0].ContextMap()["error"])
				if tc.cause != "hangup" {
					assert.Empty(t, denied.Events())
					assert.Empty(t, b.app.Events())
				}
			})
		})
	}
}

func TestRedirectCarriesTheCallAsItIs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		began := time.Now()
		b.app.On("/first", scenario.BXML(response(`<Pause duration="2"/><Redirect redirectUrl="/second" redirectMethod="GET" tag="later"/>`)))
		b.invite(response(`<Redirect redirectUrl="/first" tag="early"/>`)).Expect("BYE")
		first, second := b.app.Expect("/first"), b.app.Expect("/second")
		first.Check(map[string]any{"eventType": "redirect", "tag": "early", "answerTime": scenario.Absent, "sipCallId": scenario.Absent})
		second.Check(map[string]any{
			"eventType": "redirect", "tag": "later",
			"answerTime": began.UTC().Format("2006-01-02T15:04:05.000Z"),
			"eventTime":  began.Add(2 * time.Second).UTC().Format("2006-01-02T15:04:05.000Z"),
		})
		assert.Equal(t, []string{"POST", "GET"}, []string{first.Method, second.Method})
		assert.NotEqual(t, first.ID(), second.ID())
	})
}
