package node_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answers gives documents by event type, and 204 for all others.
func answers(documents map[string]string) func(*scenario.Event) scenario.Reply {
	return func(e *scenario.Event) scenario.Reply {
		if d, ok := documents[e.Type()]; ok {
			return scenario.Reply{Body: response(d), Delay: 10 * time.Millisecond}
		}
		return scenario.Reply{}
	}
}

const referDocument = `<Refer referCompleteUrl="/referred"><SipUri>sip:bob@192.0.2.7</SipUri></Refer>`

// echoless is a server of streams that reads and says nothing.
func echoless(c *crash) (end func()) {
	l, err := c.net.Listen(c.t.Context(), "tcp", "10.0.0.3:80")
	require.NoError(c.t, err)
	var serving sync.WaitGroup
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for err == nil {
			_, _, err = conn.Read(context.Background())
		}
	})}
	serving.Go(func() { _ = server.Serve(l) })
	return func() {
		_ = server.Close()
		serving.Wait()
	}
}

// streams returns the ids of the streams that events of a type are about, in order, each as often as there is an event.
func (c *crash) streams(eventType string) (ids []string) {
	var seen []string
	for _, e := range c.app.EventsOf(eventType) {
		if !slices.Contains(seen, e.ID()) {
			seen = append(seen, e.ID())
			ids = append(ids, e.Properties["mediaStream"].(map[string]any)["id"].(string))
		}
	}
	slices.Sort(ids)
	return ids
}

// TestWhereverANodeDiesItsCallGoesOn kills the node after entries of the journals of calls of all kinds: at once, and so
// that what was written behind is lost.
func TestWhereverANodeDiesItsCallGoesOn(t *testing.T) {
	ends := func(cause string) func(*testing.T, *crash) {
		return func(t *testing.T, c *crash) {
			got, message := c.cause()
			assert.Equal(t, cause, got, message)
		}
	}
	referred := func(status string, events, told int) func(*testing.T, *crash) {
		return func(t *testing.T, c *crash) {
			ends("hangup")(t, c)
			assert.Len(t, c.events("referComplete"), events)
			c.referred(status)
			assert.Len(t, c.line.refers, 1, "one REFER, whatever was lost")
			for _, code := range c.line.told {
				assert.Equal(t, 200, code, "the NOTIFY counts")
			}
			assert.Len(t, c.line.told, told)
		}
	}
	success := answers(map[string]string{"initiate": referDocument, "referComplete": `<Pause duration="60"/>`})
	failure := answers(map[string]string{"initiate": referDocument, "referComplete": `<SpeakSentence>Sorry</SpeakSentence><Pause duration="2"/>`})
	for name, tc := range map[string]struct {
		crashSetup
		check func(t *testing.T, c *crash)
	}{
		"Pause": {crashSetup{app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: 2 * time.Second}, ends("hangup")},
		"Pause, and the caller hangs up": {
			crashSetup{app: answers(map[string]string{"initiate": `<Pause duration="60"/>`}), phone: phoneScript{hangUp: 10 * time.Second}, away: 2 * time.Second},
			ends("hangup"),
		},
		"Pause, and the caller hangs up while the node is away": {
			crashSetup{app: answers(map[string]string{"initiate": `<Pause duration="60"/>`}), phone: phoneScript{hangUp: time.Second}, away: 5 * time.Second},
			ends("hangup"),
		},
		"SpeakSentence": {crashSetup{app: answers(map[string]string{"initiate": `<SpeakSentence>One</SpeakSentence><SpeakSentence>Two</SpeakSentence>`}), away: time.Second}, ends("hangup")},
		"Ring":          {crashSetup{app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="10"/><Ring duration="5"/>`}), away: time.Second}, ends("hangup")},
		"Ring, and the caller gives up": {
			crashSetup{app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="60"/>`}), phone: phoneScript{cancel: 5 * time.Second}, away: time.Second},
			ends("cancel"),
		},
		"Hangup of an unanswered call": {crashSetup{app: answers(map[string]string{"initiate": `<Hangup/>`}), away: time.Second}, ends("hangup")},
		"Redirect": {
			crashSetup{app: answers(map[string]string{"initiate": `<Redirect redirectUrl="/next"/>`, "redirect": `<Pause duration="3"/>`}), away: time.Second},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.Len(t, c.events("redirect"), 1)
			},
		},
		"a webhook that is not answered": {
			crashSetup{app: func(e *scenario.Event) scenario.Reply {
				switch e.Type() {
				case "initiate":
					return scenario.BXML(response(`<Redirect redirectUrl="/next"/>`))
				case "redirect":
					return scenario.Reply{Hang: true}
				}
				return scenario.Reply{}
			}, away: time.Second},
			func(t *testing.T, c *crash) {
				ends("callback-error")(t, c)
				assert.Len(t, c.events("redirect"), 1)
			},
		},
		"Gather": {
			crashSetup{
				app:   answers(map[string]string{"initiate": `<Gather gatherUrl="/keys" maxDigits="3" firstDigitTimeout="20" interDigitTimeout="10"/>`, "gather": `<Pause duration="2"/>`}),
				phone: phoneScript{press: "123456789"}, away: time.Second,
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.Len(t, c.events("gather"), 1)
			},
		},
		"Gather of speech": {
			crashSetup{
				app: answers(map[string]string{
					"initiate": `<Gather input="dtmf_speech" gatherUrl="/keys" maxDigits="3" firstDigitTimeout="20" interDigitTimeout="10" partialResultCallback="/partial"><SpeakSentence>Well?</SpeakSentence></Gather>`,
					"gather":   `<Gather input="speech" speechTimeout="3"/><Pause duration="2"/>`,
				}),
				phone: phoneScript{press: "123456789"}, away: time.Second,
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.Len(t, c.events("gather"), 1)
			},
		},
		"streams": {
			crashSetup{
				app: answers(map[string]string{
					"initiate": `<StartStream destination="ws://10.0.0.3/a" name="a" streamEventUrl="/s"/><StartStream destination="ws://10.0.0.3/b" name="b" tracks="both" streamEventUrl="/s"/>` +
						`<Pause duration="2"/><Redirect redirectUrl="/next"/>`,
					"redirect": `<StopStream name="a"/><Pause duration="2"/>`,
				}),
				beside: echoless, away: time.Second,
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				begun, over := c.streams("mediaStreamStarted"), c.streams("mediaStreamStopped")
				assert.Equal(t, begun, over, "each stream that was told of has one end")
				assert.GreaterOrEqual(t, len(begun), 2)
				assert.LessOrEqual(t, len(begun), 4)
			},
		},
		"a StartGather": {
			crashSetup{
				app:   answers(map[string]string{"initiate": `<StartGather dtmfUrl="/d"/><Pause duration="8"/><Redirect redirectUrl="/next"/>`, "redirect": `<Pause duration="8"/><StopGather/><Pause duration="2"/>`}),
				phone: phoneScript{press: "123456789"}, away: time.Second,
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.GreaterOrEqual(t, len(c.events("dtmf")), 4)
				assert.LessOrEqual(t, len(c.events("dtmf")), 9)
			},
		},
		"a session that the node refreshes": {
			crashSetup{
				app: answers(map[string]string{"initiate": `<Pause duration="100"/>`}), away: time.Second,
				phone: phoneScript{headers: "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n", timer: "Session-Expires: 90;refresher=uac\r\n"},
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.GreaterOrEqual(t, len(c.line.offers), 2)
				assert.Empty(t, c.line.unconfirmed, "each of its INVITEs has its ACK")
			},
		},
		"a session that the caller refreshes": {
			crashSetup{
				app: answers(map[string]string{"initiate": `<Pause duration="150"/>`}), away: time.Second,
				phone: phoneScript{headers: "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", refresh: 40 * time.Second},
			},
			func(t *testing.T, c *crash) {
				ends("hangup")(t, c)
				assert.Equal(t, 3, c.line.refreshed)
			},
		},
		"protected sound": {
			crashSetup{
				app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="5"/><Pause duration="5"/>`}), away: time.Second,
				phone:  phoneScript{offer: protectedSDP},
				change: func(cfg *node.Config) { cfg.Media.SRTP = "required" },
			},
			func(t *testing.T, c *crash) {
				assert.True(t, c.line.answered, "also where it is ended at once")
				cause, message := c.cause()
				if cause != "hangup" {
					assert.Equal(t, "error", cause)
					assert.Equal(t, "the node was restarted: its sound was protected, and nobody else has the keys and counts of that", message)
				}
			},
		},
		"reliable responses": {
			crashSetup{
				app:   answers(map[string]string{"initiate": `<Ring answerCall="false" duration="5"/><Ring duration="5"/>`}),
				phone: phoneScript{headers: "Supported: 100rel\r\n"}, away: time.Second,
			},
			ends("hangup"),
		},
		"invalid BXML": {crashSetup{app: answers(map[string]string{"initiate": `<Nonsense/>`}), away: time.Second}, ends("invalid-bxml")},
		"a Refer that succeeds": {
			crashSetup{phone: phoneScript{notify: 200, after: 3 * time.Second}, away: time.Second, app: success}, referred("success", 1, 1),
		},
		"a Refer that succeeds while the node is away": {
			crashSetup{phone: phoneScript{notify: 200, after: 500 * time.Millisecond}, away: 5 * time.Second, app: success}, referred("success", 1, 1),
		},
		"a Refer whose NOTIFY comes first": {
			crashSetup{phone: phoneScript{notify: 200, after: 3 * time.Second, early: true}, away: time.Second, app: success}, referred("success", 1, 1),
		},
		"a Refer that fails": {
			crashSetup{phone: phoneScript{notify: 486, after: 3 * time.Second}, away: time.Second, app: failure}, referred("failure", 1, 1),
		},
		"a Refer that is rejected": {crashSetup{phone: phoneScript{refer: 405}, away: time.Second, app: failure}, referred("failure", 1, 0)},
		"a Refer that is challenged": {
			crashSetup{phone: phoneScript{challenge: true, notify: 200, after: 3 * time.Second}, away: time.Second, app: success, change: func(cfg *node.Config) {
				cfg.SIP.Credentials = []node.SIPCredential{{Realm: "pbx", Username: "node", Password: "secret"}}
			}}, referred("success", 1, 1),
		},
		"a Refer of which nothing is told": {
			crashSetup{phone: phoneScript{}, away: time.Second, app: failure}, referred("failure", 1, 0),
		},
		"a Refer on a dialog that is not known": {crashSetup{phone: phoneScript{refer: 481}, away: time.Second, app: failure}, func(t *testing.T, c *crash) {
			assert.Len(t, c.events("referComplete"), 1)
		}},
		"a Refer that the caller does not wait for": {
			crashSetup{phone: phoneScript{notify: 200, after: 5 * time.Second, hangUpRefer: 2 * time.Second}, away: time.Second, app: success}, referred("success", 1, 1),
		},
		"a Refer that fails without a URL, and what follows it": {
			crashSetup{phone: phoneScript{notify: 603, after: time.Second}, away: 500 * time.Millisecond, app: answers(map[string]string{
				"initiate": `<Refer><SipUri>sip:bob@192.0.2.7</SipUri></Refer><SpeakSentence>Sorry</SpeakSentence>`,
			})}, referred("failure", 0, 1),
		},
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n += stride() {
				setup, crashed := tc.crashSetup, true
				setup.forget = n%2 == 0
				one := func(t *testing.T) {
					crashed = crashAfter(t, setup, n, func(c *crash) {
						c.promises()
						tc.check(c.t, c)
					})
				}
				ok := t.Run(fmt.Sprint(n), one)
				if *everyMoment && ok {
					setup.forget = !setup.forget
					ok = t.Run(fmt.Sprint(n, " the other way"), one)
				}
				if !crashed || !ok {
					break
				}
			}
		})
	}
}

var everyMoment = flag.Bool("everymoment", false, "kill nodes at every moment of their calls, and not at every third; `make crash` does")

// stride is how many moments are left out. It is odd, so that what is written behind is lost at every other one.
func stride() int {
	if *everyMoment {
		return 1
	}
	return 3
}
