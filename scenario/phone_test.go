package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// everywhere runs a test over UDP and TCP, in memory inside a bubble and over the host's loopback.
func everywhere(t *testing.T, run func(t *testing.T, s *Script, transport string)) {
	t.Helper()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run("memory "+transport, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { run(t, NewScript(t, NewMemory(), 0), transport) })
		})
		t.Run("loopback "+transport, func(t *testing.T) {
			t.Parallel()
			run(t, NewScript(t, System{}, 10*time.Second), transport)
		})
	}
}

// pair sets up a call between two phones, the second of which takes the node's part.
func pair(s *Script, transport string) (phone, node *ScriptedPhone, call, leg *ScriptedCall) {
	phone = s.Phone(PhoneConfig{Transport: transport, User: "alice"})
	node = s.Phone(PhoneConfig{Transport: transport, User: "app"})
	call = phone.Invite(Invite{To: node.URI()})
	leg = node.Accept()
	leg.Respond(nil, 180)
	leg.Respond(nil, 200)
	call.Answered()
	leg.Expect("ACK")
	return phone, node, call, leg
}

func TestPhonePlacesAndEndsACall(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		phone, node, call, leg := pair(s, transport)
		assert.Len(t, call.Received("180"), 1)
		ack := node.Received("ACK")[0]
		assert.Equal(t, node.URI(), ack.RequestURI())
		assert.Equal(t, "1 ACK", ack.Get("CSeq"))
		bye := leg.New("BYE", "", nil)
		assert.Equal(t, phone.URI(), bye.RequestURI(), "the Contact of the INVITE")
		leg.Do(bye, 200)
		<-call.Ended()
		call.Expect("BYE")
		call.Never("CANCEL")
		assert.Contains(t, phone.Ladder(), "<-- ")
		assert.Contains(t, phone.Ladder(), "200 OK (1 INVITE)")
	})
}

func TestPhoneRefersAndNotifies(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		_, node, call, leg := pair(s, transport)
		req := leg.New("REFER", "", nil, Header{"Refer-To", "<sip:b@example.com>"})
		leg.Send(req)
		refer := call.ExpectRefer()
		assert.Equal(t, "<sip:b@example.com>", refer.Target())
		assert.Equal(t, uint32(1), refer.CSeq())
		refer.Reply(202)
		leg.Expect("202 REFER")
		call.Send(
			call.NewNotify(Notify{Frag: "SIP/2.0 100 Trying"}),
			call.NewNotify(Notify{Frag: "SIP/2.0 486 Busy Here", ID: refer.CSeq(), CSeq: 9}),
			call.NewNotify(Notify{NoBody: true, NoEvent: true, NoState: true}),
			call.NewNotify(Notify{Body: []byte("x"), Event: "dialog", State: "pending", ContentType: "text/plain"}),
		)
		one, two, three, four := node.Expect("NOTIFY"), node.Expect("NOTIFY"), node.Expect("NOTIFY"), node.Expect("NOTIFY")
		assert.Equal(t, "active;expires=60", one.Get("Subscription-State"))
		assert.Equal(t, "SIP/2.0 100 Trying\r\n", string(one.Body))
		assert.Equal(t, "refer;id=1", two.Get("Event"))
		assert.Equal(t, "terminated;reason=noresource", two.Get("Subscription-State"))
		assert.Equal(t, "9 NOTIFY", two.Get("CSeq"))
		assert.False(t, three.Has("Event") || three.Has("Subscription-State") || three.Has("Content-Type"))
		assert.Empty(t, three.Body)
		assert.Equal(t, "dialog", four.Get("Event"))
		assert.Equal(t, "text/plain", four.Get("Content-Type"))
		for _, m := range []*Message{one, two, three, four} {
			leg.Respond(m, 200)
			call.Expect("200 NOTIFY")
		}
	})
}

func TestPhoneRejectedAndCanceled(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		phone, node := s.Phone(PhoneConfig{Transport: transport}), s.Phone(PhoneConfig{Transport: transport})
		call := phone.Invite(Invite{To: node.URI()})
		leg := node.Accept()
		leg.Respond(nil, 486)
		call.Rejected(486)
		ack := node.Expect("ACK")
		assert.Equal(t, leg.incoming.Branch(), ack.Branch(), "it belongs to the INVITE's transaction")

		call = phone.Invite(Invite{To: node.URI()})
		leg = node.Accept()
		leg.Respond(nil, 180)
		cancel, err := call.NewCancel()
		require.NoError(t, err)
		call.Send(cancel)
		leg.Respond(node.Expect("CANCEL"), 200)
		leg.Respond(nil, 487)
		call.Expect("200 CANCEL")
		call.Rejected(487)
	})
}

func TestPhoneReInvites(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		_, node, call, leg := pair(s, transport)
		before := call.media.local()
		for name, tc := range map[string]struct {
			offer  Offer
			wants  string // direction in the INVITE; "": no description
			answer string
		}{
			"hold":     {Offer{Direction: SendOnly}, SendOnly, RecvOnly},
			"move":     {Offer{Move: true}, SendRecv, SendRecv},
			"no offer": {Offer{None: true}, "", SendRecv},
		} {
			ended := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := call.Call.ReInvite(ctx, tc.offer)
				ended <- err
			}()
			invite := node.Expect("INVITE")
			offered, ok := ReadSession(invite.Body)
			assert.Equal(t, tc.wants != "", ok, name)
			if ok {
				assert.Equal(t, tc.wants, offered.Direction, name)
			}
			if tc.offer.Move {
				assert.NotEqual(t, before, offered.Media)
			}
			leg.Respond(invite, 200)
			require.NoError(t, <-ended)
			ack := node.Expect("ACK")
			answered, ok := ReadSession(ack.Body)
			assert.Equal(t, tc.wants == "", ok, "%s: the ACK answers an offer of the 200", name)
			if ok {
				assert.Equal(t, tc.answer, answered.Direction, name)
			}
			assert.Equal(t, strings.Fields(invite.Get("CSeq"))[0], strings.Fields(ack.Get("CSeq"))[0])
		}
	})
}

func TestPhoneDealsWithRetransmissions(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		_, node, call, leg := pair(s, transport)
		options := leg.New("OPTIONS", "", nil)
		leg.Send(options, options)
		info := leg.New("INFO", "", nil)
		leg.Send(info, info)
		call.Respond(call.Expect("INFO"), 204)
		leg.Expect("204 INFO")
		leg.Send(info)
		leg.Send(leg.New("INFO", "", nil))
		assert.Equal(t, "3 INFO", call.Expect("INFO").Get("CSeq"), "the repeated one is not shown")
		assert.Len(t, call.Received("OPTIONS"), 2)
		assert.Len(t, call.Received("INFO"), 4)
		for range 2 {
			leg.Respond(nil, 200)
		}
		leg.Send(leg.New("OPTIONS", "", nil))
		for len(node.Received("ACK")) < 3 || len(node.Received("204 INFO")) < 2 {
			node.Expect("200 OPTIONS")
		}
	})
}

func TestPhoneManual(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		phone, node := s.Phone(PhoneConfig{Manual: true}), s.Phone(PhoneConfig{})
		call := phone.Invite(Invite{To: node.URI(), NoOffer: true})
		leg := node.Accept()
		leg.Respond(nil, 200)
		leg.Respond(nil, 200)
		call.Expect("200")
		res := call.Expect("200") // shown again
		synctest.Wait()
		assert.Empty(t, node.Received("ACK"))
		call.Ack(res)
		ack := leg.Expect("ACK")
		_, ok := ReadSession(ack.Body)
		assert.True(t, ok)
		leg.Send(leg.New("BYE", "", nil))
		bye := call.Expect("BYE")
		synctest.Wait()
		assert.Empty(t, node.Received("200 BYE"))
		call.Respond(bye, 481)
		leg.Expect("481 BYE")
	})
}

func TestPhoneAnswersAsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		phone, _, _, leg := pair(s, "udp")
		phone.Answer("BYE", 500)
		leg.Do(leg.New("BYE", "", nil), 500)
		phone.Answer("OPTIONS", 0)
		leg.Send(leg.New("OPTIONS", "", nil))
		phone.Expect("OPTIONS")
		synctest.Wait()
		assert.Empty(t, leg.Received("200 OPTIONS"))
		stray := leg.New("OPTIONS", "", nil).Set("Call-ID", "unknown")
		phone.Answer("OPTIONS", 200)
		leg.Do(stray, 481)
	})
}

func TestPhoneRepeatsRequestsUntilAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		s := NewScript(t, m, 0)
		_, node, call, _ := pair(s, "udp")
		lost := 0
		m.Impair(func(d Datagram) Fate {
			if strings.HasPrefix(string(d.Payload), "OPTIONS") && lost < 2 {
				lost++
				return Fate{Lost: true}
			}
			return Fate{}
		})
		start := time.Now()
		call.Do(call.New("OPTIONS", "", nil), 200)
		assert.Equal(t, 3*t1, time.Since(start))
		assert.Len(t, node.Received("OPTIONS"), 1)
	})
}

func TestPhoneHoldsAckBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		phone, node := s.Phone(PhoneConfig{}), s.Phone(PhoneConfig{})
		call := phone.Invite(Invite{To: node.URI(), HoldAck: true})
		leg := node.Accept()
		leg.Respond(nil, 200)
		res := call.Answered()
		synctest.Wait()
		assert.Empty(t, node.Received("ACK"))
		call.Ack(res)
		leg.Expect("ACK")
	})
}

func TestPhoneInviteHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		phone := s.Phone(PhoneConfig{Contact: "<sip:elsewhere@192.0.2.1>"})
		node := s.Phone(PhoneConfig{Address: "127.0.0.1:5060"})
		phone.Invite(Invite{
			To: "sip:shop@127.0.0.1", From: "sip:bob@example.com", CallID: "my-id", SDP: []byte("odd"),
			Headers: []Header{{"Record-Route", "<sip:p2;lr>"}, {"Record-Route", "<sip:p1;lr>"}, {"Max-Forwards", "5"}},
		})
		m := node.Expect("INVITE")
		assert.Equal(t, "sip:shop@127.0.0.1", m.RequestURI())
		assert.Equal(t, "sip:bob@example.com", uriOf(m.Get("From")))
		assert.Equal(t, "my-id", m.CallID())
		assert.Equal(t, "odd", string(m.Body))
		assert.Equal(t, []string{"<sip:p2;lr>", "<sip:p1;lr>"}, m.All("Record-Route"))
		assert.Equal(t, []string{"5"}, m.All("Max-Forwards"))
		assert.Equal(t, "<sip:elsewhere@192.0.2.1>", m.Get("Contact"))
	})
}

func TestPhoneTellsWhatCameInstead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		_, _, call, leg := pair(s, "udp")
		leg.Do(leg.New("BYE", "", nil), 200)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := call.Call.ExpectRefer(ctx)
		var missing *NotSeenError
		require.ErrorAs(t, err, &missing)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, "REFER", missing.Want)
		assert.Equal(t, []string{"180 Ringing (1 INVITE)", "BYE (1)"}, missing.Came)
		assert.Contains(t, missing.Ladder, "BYE (1)")
	})
}

func TestPhoneShowsWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s *Script, transport string) {
		phone, node := s.Phone(PhoneConfig{Transport: transport}), s.Phone(PhoneConfig{Transport: transport})
		peer := phone.Addr().String()
		require.NoError(t, node.SendRaw(t.Context(), peer, []byte("\r\n\r\n")), "a keep-alive")
		require.NoError(t, node.SendRaw(t.Context(), peer, []byte("nonsense\r\n\r\n")))
		assert.Equal(t, "malformed", phone.Next().Method())
	})
}

func TestPhoneDisconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewScript(t, NewMemory(), 0)
		phone, _, call, _ := pair(s, "tcp")
		phone.Disconnect()
		call.Do(call.New("OPTIONS", "", nil), 200)
	})
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	ok := &Message{Start: "SIP/2.0 202 Accepted", Headers: []Header{{"CSeq", "2 REFER"}}}
	bye := &Message{Start: "BYE sip:a SIP/2.0", Headers: []Header{{"CSeq", "2 BYE"}}}
	for text, want := range map[string][2]bool{
		"BYE": {false, true}, "REFER": {}, "202": {true, false}, "202 REFER": {true, false}, "202 BYE": {},
		"2xx": {true, false}, "2XX REFER": {true, false}, "200": {}, "*": {true, true},
	} {
		p, err := parsePattern(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, [2]bool{p.matches(ok), p.matches(bye)}, text)
	}
	for _, text := range []string{"", "BYE now", "99", "2000", "2yy", "1 2 3"} {
		_, err := parsePattern(text)
		require.Error(t, err, text)
	}
}

// complaint is a TB that keeps what a script reports.
type complaint struct{ text string }

func (c *complaint) Helper()        {}
func (c *complaint) Cleanup(func()) {}
func (c *complaint) Fatalf(format string, args ...any) {
	c.text = fmt.Sprintf(format, args...)
	panic(c)
}

func TestScriptReportsFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do   func(call, leg *ScriptedCall)
		want string
	}{
		"not seen":     {func(call, _ *ScriptedCall) { call.Expect("REFER") }, "REFER did not come"},
		"never":        {func(call, _ *ScriptedCall) { call.Never("200") }, "which should not"},
		"wrong code":   {func(call, _ *ScriptedCall) { call.Do(call.New("OPTIONS", "", nil), 404) }, "want 404"},
		"was answered": {func(call, _ *ScriptedCall) { call.Rejected(0) }, "the INVITE was answered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, _, call, leg := pair(NewScript(t, NewMemory(), 0), "udp")
				c := &complaint{}
				call.script = &Script{c, call.script.network, time.Second}
				assert.PanicsWithValue(t, c, func() { tc.do(call, leg) })
				assert.Contains(t, c.text, tc.want)
			})
		})
	}
}

func TestPhoneConfiguration(t *testing.T) {
	t.Parallel()
	m := NewMemory()
	_, err := NewPhone(t.Context(), m, PhoneConfig{Transport: "sctp"})
	require.Error(t, err)
	_, err = NewPhone(t.Context(), m, PhoneConfig{Address: "nowhere.example:1"})
	require.Error(t, err)
	p, err := NewPhone(t.Context(), m, PhoneConfig{Transport: "tcp"})
	require.NoError(t, err)
	assert.Equal(t, "<sip:phone@"+p.Addr().String()+";transport=tcp>", p.Contact())
	_, err = p.Invite(t.Context(), Invite{To: "sip:a@name.example"})
	require.Error(t, err)
	require.NoError(t, p.Close())
	require.Error(t, errors.Join(p.Close()))
}
