package node_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the lines of "What goes wrong in the field" that speak of routes and addresses.

// proxies lets a call come over two proxies. What the node sends arrives at the first of them in its route set.
func proxies(s *stage, params string, replies ...string) (call *scenario.ScriptedCall, first *scenario.ScriptedPhone, routes []string) {
	first = s.Phone(scenario.PhoneConfig{Address: "127.0.0.1:6001", Manual: true})
	routes = []string{"<sip:127.0.0.1:6001" + params + ">", "<sip:127.0.0.1:6002;lr>", "<sip:127.0.0.1:6003;lr>"}
	s.app.On("initiate", scenario.BXML(referWithURL))
	s.app.On("referComplete", scenario.BXML(recovery))
	var headers []scenario.Header
	for _, r := range replies {
		headers = append(headers, scenario.Header{Name: "Record-Route", Value: r})
	}
	if headers == nil {
		for _, r := range routes {
			headers = append(headers, scenario.Header{Name: "Record-Route", Value: r})
		}
	}
	call = s.phone.Invite(scenario.Invite{To: appURI, Headers: headers})
	call.Answered()
	return call, first, routes
}

func listed(values []string) []string {
	var list []string
	for v := range strings.SplitSeq(strings.Join(values, ","), ",") {
		list = append(list, strings.TrimSpace(v))
	}
	return list
}

func TestReferFieldRecordRoutes(t *testing.T) {
	t.Parallel()
	for name, oneLine := range map[string]bool{"a line each": false, "in one line": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				var lines []string
				if oneLine {
					lines = []string{"<sip:127.0.0.1:6001;lr>,<sip:127.0.0.1:6002;lr>, <sip:127.0.0.1:6003;lr>"}
				}
				call, proxy, routes := proxies(s, ";lr", lines...)
				refer := proxy.Expect("REFER")
				assert.Equal(t, s.phone.URI(), refer.RequestURI(), "the remote target")
				assert.Equal(t, routes, listed(refer.All("Route")), "in the order of the INVITE's Record-Routes")
				require.NoError(t, proxy.Respond(refer, 202))
				call.Notify(scenario.Notify{Frag: connected}, 200)
				s.referComplete(succeeded)
				bye := proxy.Expect("BYE")
				assert.Equal(t, routes, listed(bye.All("Route")))
				require.NoError(t, proxy.Respond(bye, 200))
				s.disconnected("hangup")
				echoed := call.Received("200 INVITE")[0]
				assert.Equal(t, routes, listed(echoed.All("Record-Route")))
			})
		})
	}
}

func TestReferFieldStrictRouter(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		call, proxy, routes := proxies(s, "")
		refer := proxy.Expect("REFER")
		// RFC 3261 section 12.2.1.1: its URI is the Request-URI, and the remote target comes last.
		assert.Equal(t, "sip:127.0.0.1:6001", refer.RequestURI())
		assert.Equal(t, append(routes[1:len(routes):len(routes)], "<"+s.phone.URI()+">"), listed(refer.All("Route")))
		require.NoError(t, proxy.Respond(refer, 202))
		call.Notify(scenario.Notify{Frag: connected}, 200)
		s.referComplete(succeeded)
		require.NoError(t, proxy.Respond(proxy.Expect("BYE"), 200))
		s.disconnected("hangup")
	})
}

func TestReferFieldContactOtherThanTheSource(t *testing.T) {
	t.Parallel()
	onStage(t, settings{phone: scenario.PhoneConfig{Contact: "<sip:alice@127.0.0.1:6009>"}}, func(t *testing.T, s *stage) {
		elsewhere := s.Phone(scenario.PhoneConfig{Address: "127.0.0.1:6009", Manual: true})
		s.app.On("initiate", scenario.BXML(referWithURL))
		call := s.phone.Call(appURI)
		refer := elsewhere.Expect("REFER")
		assert.Equal(t, "sip:alice@127.0.0.1:6009", refer.RequestURI())
		assert.Equal(t, "127.0.0.1:5060", refer.Peer, "it leaves from where the call came to")
		require.NoError(t, elsewhere.Respond(refer, 202))
		call.Notify(scenario.Notify{Frag: connected}, 200)
		require.NoError(t, elsewhere.Respond(elsewhere.Expect("BYE"), 200))
		s.referComplete(succeeded)
		s.disconnected("hangup")
		call.Never("REFER")
	})
}

func TestReferFieldContactBehindNAT(t *testing.T) {
	t.Parallel()
	for name, contact := range map[string]string{
		"private address": "<sip:alice@192.168.1.5:5060>", "no address": "<sip:alice@0.0.0.0:5060>", "loopback": "<sip:alice@127.0.0.1:5060>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			phone := scenario.PhoneConfig{Address: "8.8.4.4:5060", Contact: contact}
			onStage(t, settings{phone: phone}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				assert.Equal(t, strings.Trim(contact, "<>"), refer.Request.RequestURI())
				refer.Reply(202)
				refer.Notify(connected)
				s.referComplete(succeeded)
				call.Expect("BYE")
				s.disconnected("hangup")
			})
		})
	}
}

func TestReferFieldContactChangesBeforeTheRefer(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		elsewhere := s.Phone(scenario.PhoneConfig{Address: "127.0.0.1:6009", Manual: true})
		s.app.On("initiate", scenario.BXML(`<Response><Ring duration="5"/>`+referWithURL[len("<Response>"):]))
		call := s.phone.Call(appURI)
		call.ReInvite(scenario.Offer{Headers: []scenario.Header{{Name: "Contact", Value: "<sip:alice@127.0.0.1:6009>"}}})
		refer := elsewhere.Expect("REFER")
		require.NoError(t, elsewhere.Respond(refer, 603))
		s.referComplete(result{"failure", 603, 0, "rejected", false})
		require.NoError(t, elsewhere.Respond(elsewhere.Expect("BYE"), 200))
		s.disconnected("hangup")
		call.Never("REFER")
	})
}

func TestReferFieldReferTo(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{
		"with a port":           "sip:bob@example.com:5070",
		"with parameters":       "sip:bob@example.com;transport=tcp;user=phone",
		"with Replaces":         "sip:bob@example.com?Replaces=12345%40192.0.2.1%3Bto-tag%3D1%3Bfrom-tag%3D2",
		"with several headers":  "sip:bob@example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&amp;Require=replaces",
		"escaped once":          "sip:bob%25smith@example.com",
		"without a user part":   "sip:example.com",
		"with a password":       "sip:bob:pass@example.com",
		"with sips":             "sips:bob@example.com",
		"with IPv6":             "sip:bob@[2001:db8::1]:5060;lr",
		"with a number as user": "sip:+15551234567@example.com",
		"between blanks":        "  sip:bob@example.com\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				_, refer := s.refer(`<Response><Refer><SipUri>` + uri + `</SipUri></Refer></Response>`)
				want := strings.TrimSpace(strings.ReplaceAll(uri, "&amp;", "&"))
				assert.Equal(t, "<"+want+">", refer.Target(), "byte for byte, in angle brackets")
				refer.Reply(603)
				s.disconnected("hangup")
			})
		})
	}
}
