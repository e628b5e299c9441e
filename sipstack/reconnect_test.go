package sipstack

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// movedTo is a request whose sender listens elsewhere.
func movedTo(request string, home netip.AddrPort) string {
	head, rest, _ := strings.Cut(request, "Via: SIP/2.0/TCP ")
	_, rest, _ = strings.Cut(rest, ";")
	return head + "Via: SIP/2.0/TCP " + home.String() + ";" + rest
}

// leaves closes a phone's connection, and returns when the node has noticed: what is written before goes nowhere.
func (n *node) leaves(p *phone) {
	n.t.Helper()
	p.close()
	at := flow{on: n.bound()[1], source: p.wire.local()}
	require.Eventually(n.t, func() bool { return !n.up(at) }, patience, time.Millisecond)
}

func TestAResponseWhoseConnectionHasGoneGoesWhereTheViaSays(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(*Leg) error
		status string
	}{
		"a 180":     {func(l *Leg) error { return l.Ring(context.Background()) }, "SIP/2.0 180"},
		"a 200":     {func(l *Leg) error { return l.Answer(context.Background()) }, "SIP/2.0 200"},
		"a refusal": {func(l *Leg) error { return l.Reject(context.Background(), 486) }, "SIP/2.0 486"},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, nil, bothTransports)
			defer n.stop()
			home, accept := tcpServer(t)
			p := n.tcpPhone(1)
			c := p.newCall()
			c.branch = newBranch()
			c.send(movedTo(c.request("INVITE", c.uri, c.cseq, c.branch, "", offerLine), home))
			l := n.leg()
			n.leaves(p)
			answered := make(chan error, 1)
			go func() { answered <- tc.answer(l) }()
			q := accept()
			defer q.close()
			res := q.expect(tc.status)
			assert.Contains(t, field(res, "Via"), "SIP/2.0/TCP "+home.String()+";branch="+c.branch+";")
			c.phone = q
			switch tc.status {
			case "SIP/2.0 200":
				c.established(res)
				c.ack("")
				require.NoError(t, <-answered)
				require.NoError(t, l.Err())
				c.inDialog("BYE", "", "")
				c.expect("SIP/2.0 200")
			case "SIP/2.0 486":
				require.NoError(t, <-answered)
				require.ErrorIs(t, l.Err(), ErrLocalHangup)
			default:
				require.NoError(t, <-answered)
				require.NoError(t, l.Err(), "the call goes on")
			}
		})
	}
}

func TestAResponseInADialogFollowsItsPeerToo(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	home, accept := tcpServer(t)
	p := n.tcpPhone(1)
	c := p.call()
	l := n.leg()
	<-l.confirmed
	require.Equal(t, admitted, l.dialog.inbox.enter(uint32(c.cseq+1))) // another request is being handled
	p.send(movedTo(c.request("BYE", c.target, c.cseq+2, newBranch(), "", ""), home))
	require.Eventually(t, func() bool { return slices.Contains(n.rec.ladder("c-"+c.callID), "> BYE") }, patience, time.Millisecond)
	n.leaves(p)
	l.dialog.inbox.leave(answer{})
	q := accept()
	defer q.close()
	assert.Equal(t, "SIP/2.0 200 OK", startOf(q.next()))
}

func TestWaysBackAreThoseOfTheVia(t *testing.T) {
	tcp, tls := tcpAt("tcp", "192.0.2.1:5060"), tcpAt("tls", "192.0.2.1:5061")
	names := newNameTable()
	names.host("phone.example", "203.0.113.5")
	names.host("spare.example", "203.0.113.6")
	for name, tc := range map[string]struct {
		via  string
		on   *listener
		want []string
	}{
		"an address":                {"198.51.100.7:5070", tcp, []string{"198.51.100.7:5070"}},
		"the usual port":            {"198.51.100.7", tcp, []string{"198.51.100.7:5060"}},
		"the usual port of TLS":     {"198.51.100.7", tls, []string{"198.51.100.7:5061"}},
		"heard elsewhere":           {"10.0.0.7:5070;received=198.51.100.7", tcp, []string{"198.51.100.7:5070", "10.0.0.7:5070"}},
		"a name":                    {"phone.example:5070;received=198.51.100.7", tcp, []string{"198.51.100.7:5070", "203.0.113.5:5070"}},
		"a name that leads nowhere": {"nobody.example;received=198.51.100.7", tcp, []string{"198.51.100.7:5060"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Stack{listeners: []*listener{tcp, tls}, locator: newLocator(names)}
			var via sip.ViaHeader
			hop, params, _ := strings.Cut(tc.via, ";")
			via.Host, via.Port, _ = splitAdvertise(hop)
			if key, value, ok := strings.Cut(params, "="); ok {
				via.Params.Add(key, value)
			}
			var got []string
			for _, way := range s.waysBack(t.Context(), tc.on, &via) {
				assert.Equal(t, tc.on, way.on)
				got = append(got, way.source.String())
			}
			assert.Equal(t, tc.want, got)
		})
	}
}
