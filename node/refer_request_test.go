package node_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
)

// The tests of this file are the points of "Before the REFER".

func TestReferInvalidDocumentSendsNothing(t *testing.T) {
	t.Parallel()
	for name, refer := range map[string]string{
		"no SipUri":                 `<Refer referCompleteUrl="/complete"></Refer>`,
		"two SipUris":               `<Refer><SipUri>sip:a@b</SipUri><SipUri>sip:c@d</SipUri></Refer>`,
		"empty SipUri":              `<Refer><SipUri> </SipUri></Refer>`,
		"tel URI":                   `<Refer><SipUri>tel:+15551234567</SipUri></Refer>`,
		"number":                    `<Refer><SipUri>+15551234567</SipUri></Refer>`,
		"display name":              `<Refer><SipUri>"Bob" &lt;sip:bob@example.com&gt;</SipUri></Refer>`,
		"two URIs":                  `<Refer><SipUri>sip:a@example.com,sip:b@example.com</SipUri></Refer>`,
		"line break":                "<Refer><SipUri>sip:a@example.com&#13;&#10;X: y</SipUri></Refer>",
		"unescaped Replaces":        `<Refer><SipUri>sip:a@example.com?Replaces=1@2;to-tag=3;from-tag=4</SipUri></Refer>`,
		"method":                    `<Refer referCompleteMethod="PUT"><SipUri>sip:a@example.com</SipUri></Refer>`,
		"tag of 257 characters":     `<Refer tag="` + strings.Repeat("é", 257) + `"><SipUri>sip:a@example.com</SipUri></Refer>`,
		"invalid verb behind it":    `<Refer><SipUri>sip:a@example.com</SipUri></Refer><Fly/>`,
		"SipUri of another element": `<Refer><Uri>sip:a@example.com</Uri></Refer>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{}, func(t *testing.T, s *stage) {
				s.app.On("initiate", scenario.BXML("<Response>"+refer+"</Response>"))
				call := s.phone.Invite(scenario.Invite{To: appURI})
				call.Rejected(500)
				s.disconnected("invalid-bxml").Check(map[string]any{"errorMessage": scenario.Present})
				call.Never("REFER")
				assert.Empty(t, s.record(call).Refers)
			})
		})
	}
}

func TestReferOnlyInboundSIPURICalls(t *testing.T) {
	t.Parallel()
	trunk := func(cfg *node.Config) { cfg.SIP.PSTNTrunks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for name, tc := range map[string]struct {
		document string
		answered bool
	}{
		"unanswered": {referWithURL, false},
		"answered":   {`<Response><Ring duration="1"/>` + referWithURL[len("<Response>"):], true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{node: trunk}, func(t *testing.T, s *stage) {
				s.app.On("initiate", scenario.BXML(tc.document))
				call := s.phone.Invite(scenario.Invite{To: appURI})
				if tc.answered {
					call.Answered()
					call.Expect("BYE")
				} else {
					call.Rejected(500)
				}
				e := s.disconnected("application-error")
				assert.Contains(t, e.Text("errorMessage"), "Refer")
				call.Never("REFER")
				s.order("/status")
				assert.Empty(t, s.record(call).Refers)
			})
		})
	}
}

func TestReferAllowTargets(t *testing.T) {
	t.Parallel()
	only := func(cfg *node.Config) { cfg.Refer.AllowTargets = []string{"*.example.org"} }
	onStage(t, settings{node: only}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.BXML(referWithURL))
		call := s.phone.Invite(scenario.Invite{To: appURI})
		call.Rejected(500)
		s.disconnected("application-error")
		call.Never("REFER")
		s.order("/status")
	})
}

func TestReferAnswersTheCallFirst(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.BXML(referWithURL))
		call := s.phone.Invite(scenario.Invite{To: appURI, HoldAck: true})
		res := call.Answered()
		session, ok := scenario.ReadSession(res.Body)
		assert.True(t, ok && !session.Refused)
		time.Sleep(3 * time.Second)
		call.Never("REFER") // the ACK is awaited
		call.Ack(res)
		refer := call.ExpectRefer()
		s.at(3*time.Second, refer.Request.Time, "REFER")
		refer.Reply(603)
		s.disconnected("hangup")
	})
}

func TestReferIsNotSentWithoutACK(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{"64*T1": 32 * time.Second, "as configured": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			with := settings{node: func(cfg *node.Config) { cfg.SIP.TransactionTimeout = timeout }}
			onStage(t, with, func(t *testing.T, s *stage) {
				s.app.On("initiate", scenario.BXML(referWithURL))
				call := s.phone.Invite(scenario.Invite{To: appURI, HoldAck: true})
				call.Answered()
				bye := call.Expect("BYE")
				s.at(timeout, bye.Time, name)
				e := s.disconnected("error")
				assert.Contains(t, e.Text("errorMessage"), "no ACK")
				call.Never("REFER")
				s.order("/status")
			})
		})
	}
}

func TestReferRequest(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{phone: scenario.PhoneConfig{Transport: transport, User: "alice"}}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				m := refer.Request
				invited := call.Received("200 INVITE")[0]
				assert.Equal(t, s.phone.URI(), m.RequestURI(), "the remote target")
				assert.Equal(t, []string{"<" + target + ">"}, m.All("Refer-To"))
				assert.Equal(t, []string{"<" + appURI + ">"}, m.All("Referred-By"), "our own URI of this call")
				assert.Equal(t, "70", m.Get("Max-Forwards"))
				assert.Equal(t, call.ID(), m.CallID())
				assert.Equal(t, invited.Tag("To"), m.Tag("From"))
				assert.Equal(t, invited.Tag("From"), m.Tag("To"))
				assert.Len(t, m.All("Contact"), 1)
				assert.Contains(t, m.Get("Contact"), "127.0.0.1:5060")
				assert.NotEmpty(t, m.Get("Allow"))
				assert.Contains(t, m.Get("Allow"), "NOTIFY")
				assert.True(t, m.Has("Supported"))
				assert.Empty(t, m.Body)
				assert.Equal(t, "0", m.Get("Content-Length"))
				assert.True(t, strings.HasPrefix(m.Branch(), "z9hG4bK"))
				assert.False(t, m.Has("Route") || m.Has("Require") || m.Has("Refer-Sub") || m.Has("Authorization"))
				refer.Reply(202)
				refer.Notify(connected)
				bye := call.Expect("BYE")
				number, _ := bye.CSeq()
				assert.Equal(t, refer.CSeq()+1, number)
				s.disconnected("hangup")
			})
		})
	}
}

// An initial INVITE without an offer gets ours in the 200; the REFER waits for the ACK with the answer all the same.
func TestReferOfACallWithoutOffer(t *testing.T) {
	t.Parallel()
	onStage(t, settings{}, func(t *testing.T, s *stage) {
		s.app.On("initiate", scenario.BXML(referWithURL))
		call := s.phone.Invite(scenario.Invite{To: appURI, NoOffer: true})
		call.Answered()
		refer := call.ExpectRefer()
		refer.Reply(202)
		refer.Notify(connected)
		s.referComplete(succeeded)
		s.disconnected("hangup")
	})
}

// credentials lets the node answer challenges of the realm "phone".
func credentials(cfg *node.Config) {
	cfg.SIP.Credentials = []node.SIPCredential{
		{Realm: "elsewhere", Username: "x", Password: "y"}, {Realm: "phone", Username: "node", Password: "secret"},
	}
}

func TestReferChallenged(t *testing.T) {
	t.Parallel()
	for name, challenge := range map[string]scenario.Challenge{
		"401":                    {Nonce: "n1"},
		"407":                    {Nonce: "n1", Proxy: true},
		"401 MD5 with qop":       {Nonce: "n1", Algorithm: "MD5", QOP: "auth"},
		"407 SHA-256 with qop":   {Nonce: "n1", Algorithm: "SHA-256", QOP: "auth", Proxy: true},
		"401 qop to choose from": {Nonce: "n1", QOP: "auth-int,auth"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			phone := scenario.PhoneConfig{Contact: "<sip:alice@127.0.0.1:7777;transport=udp;line=3>", Address: "127.0.0.1:7777"}
			onStage(t, settings{node: credentials, phone: phone}, func(t *testing.T, s *stage) {
				header := "Authorization"
				if challenge.Proxy {
					header = "Proxy-Authorization"
				}
				call, first := s.refer(referWithURL)
				first.Challenge(challenge)
				again := call.ExpectRefer()
				require.NoError(t, scenario.VerifyDigest(again.Request, header, "n1", "node", "secret"))
				assert.Equal(t, first.CSeq()+1, again.CSeq(), "the CSeq is raised")
				assert.NotEqual(t, first.Request.Branch(), again.Request.Branch())
				assert.Equal(t, first.Target(), again.Target())
				assert.Equal(t, first.Request.Tag("To"), again.Request.Tag("To"))
				again.Reply(202)
				call.Notify(scenario.Notify{Frag: connected, ID: again.CSeq()}, 200)
				s.referComplete(succeeded)
				bye := call.Expect("BYE")
				number, _ := bye.CSeq()
				assert.Equal(t, again.CSeq()+1, number)
				s.disconnected("hangup")
				s.recorded(call, succeeded)
				assert.Len(t, s.record(call).Refers, 1)
			})
		})
	}
}

// A phone may take the number of either REFER for the subscription's id.
func TestReferChallengedNotifyNamesTheFirstAttempt(t *testing.T) {
	t.Parallel()
	onStage(t, settings{node: credentials}, func(t *testing.T, s *stage) {
		call, first := s.refer(referWithURL)
		first.Challenge(scenario.Challenge{})
		again := call.ExpectRefer()
		again.Reply(202)
		call.Notify(scenario.Notify{Frag: connected, ID: first.CSeq()}, 200)
		s.referComplete(succeeded)
		s.disconnected("hangup")
	})
}

func TestReferChallengedInVain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		node       func(*node.Config)
		challenges []scenario.Challenge
		code       int
	}{
		"no credentials":            {nil, []scenario.Challenge{{}}, 401},
		"no credentials for 407":    {nil, []scenario.Challenge{{Proxy: true}}, 407},
		"another realm":             {credentials, []scenario.Challenge{{Realm: "unknown"}}, 401},
		"unknown algorithm":         {credentials, []scenario.Challenge{{Algorithm: "ROT13"}}, 401},
		"refused":                   {credentials, []scenario.Challenge{{}, {}}, 401},
		"stale, then refused":       {credentials, []scenario.Challenge{{}, {Stale: true}, {}}, 401},
		"stale for ever":            {credentials, []scenario.Challenge{{}, {Stale: true}, {Stale: true}}, 401},
		"refused by a proxy's turn": {credentials, []scenario.Challenge{{Proxy: true}, {Proxy: true}}, 407},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onStage(t, settings{node: tc.node}, func(t *testing.T, s *stage) {
				call, refer := s.refer(referWithURL)
				for i, challenge := range tc.challenges {
					if i > 0 {
						refer = call.ExpectRefer()
					}
					refer.Challenge(challenge)
				}
				want := result{"failure", tc.code, 0, "auth-failed", false}
				s.referComplete(want)
				s.recovers(call)
				s.recorded(call, want)
				assert.Len(t, call.Received("REFER"), len(tc.challenges))
			})
		})
	}
}

func TestReferChallengedWithAStaleNonce(t *testing.T) {
	t.Parallel()
	onStage(t, settings{node: credentials}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		first := refer.CSeq()
		refer.Challenge(scenario.Challenge{Nonce: "n1"})
		refer = call.ExpectRefer()
		refer.Challenge(scenario.Challenge{Nonce: "n2", Stale: true})
		refer = call.ExpectRefer()
		require.NoError(t, scenario.VerifyDigest(refer.Request, "Authorization", "n2", "node", "secret"))
		assert.Equal(t, first+2, refer.CSeq())
		refer.Reply(202)
		refer.Notify(busy)
		s.referComplete(wasBusy)
		s.recovers(call)
	})
}

// The clock starts with the acceptance, not with the challenge or the first attempt.
func TestReferChallengedThenNoNotify(t *testing.T) {
	t.Parallel()
	onStage(t, settings{node: credentials}, func(t *testing.T, s *stage) {
		call, refer := s.refer(referWithURL)
		time.Sleep(5 * time.Second)
		refer.Challenge(scenario.Challenge{})
		refer = call.ExpectRefer()
		time.Sleep(5 * time.Second)
		refer.Reply(202)
		s.at(40*time.Second, s.referComplete(timedOut).Time, "referComplete")
		s.recovers(call)
	})
}
