package sipstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func uriOf(t *testing.T, s string) sip.Uri {
	t.Helper()
	var u sip.Uri
	require.NoError(t, sip.ParseUri(s, &u))
	return u
}

func TestRouted(t *testing.T) {
	for name, tc := range map[string]struct {
		set              []string
		uri, routes, hop string
	}{
		"no route set":         {nil, "sip:alice@phone;x=1", "", "sip:alice@phone;x=1"},
		"loose":                {[]string{"sip:p1;lr", "sip:p2;lr"}, "sip:alice@phone;x=1", "sip:p1;lr sip:p2;lr", "sip:p1;lr"},
		"loose in capitals":    {[]string{"sip:p1;LR=on"}, "sip:alice@phone;x=1", "sip:p1;LR=on", "sip:p1;LR=on"},
		"strict":               {[]string{"sip:p1", "sip:p2;lr"}, "sip:p1", "sip:p2;lr sip:alice@phone;x=1", "sip:p1"},
		"one strict":           {[]string{"sip:p1;method=INVITE?x=y"}, "sip:p1", "sip:alice@phone;x=1", "sip:p1;method=INVITE?x=y"},
		"strict after a loose": {[]string{"sip:p1;lr", "sip:p2"}, "sip:alice@phone;x=1", "sip:p1;lr sip:p2", "sip:p1;lr"},
	} {
		t.Run(name, func(t *testing.T) {
			var set []sip.Uri
			for _, s := range tc.set {
				set = append(set, uriOf(t, s))
			}
			uri, routes, hop := routed(uriOf(t, "sip:alice@phone;x=1"), set)
			var written []string
			for _, r := range routes {
				written = append(written, r.String())
			}
			assert.Equal(t, tc.uri, uri.String())
			assert.Equal(t, tc.routes, strings.Join(written, " "))
			assert.Equal(t, tc.hop, hop.String())
		})
	}
}

// Two proxies have recorded themselves; the first of the list is the nearest to us.
func TestRouteSetOfTheInvite(t *testing.T) {
	for name, tc := range map[string]struct{ lr, uri, routes string }{
		"loose":  {";lr", "sip:alice@192.0.2.9;ob", "<sip:127.0.0.1:7001;lr> <sip:127.0.0.1:7002;lr>"},
		"strict": {"", "sip:127.0.0.1:7001", "<sip:127.0.0.1:7002> <sip:alice@192.0.2.9;ob>"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				proxy := n.udpPhoneAt("127.0.0.1:7001")
				defer proxy.close()
				p.contact = "sip:alice@192.0.2.9;ob"
				c := p.newCall()
				c.sendInvite(fmt.Sprintf("Record-Route: <sip:127.0.0.1:7001%s>, <sip:127.0.0.1:7002%s>\r\n", tc.lr, tc.lr), offerLine)
				ok := c.expect("SIP/2.0 200")
				assert.Len(t, fields(ok, "Record-Route"), 2)
				c.established(ok)
				c.ack("")
				r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
				require.NoError(t, err)
				refer := proxy.expect("REFER")
				assert.Equal(t, "REFER "+tc.uri+" SIP/2.0", startOf(refer))
				assert.Equal(t, tc.routes, strings.Join(fields(refer, "Route"), " "))
				proxy.reply(refer, 603, "")
				<-r.Done()
			})
		})
	}
}

func TestBehindNAT(t *testing.T) {
	for name, tc := range map[string]struct {
		path            path
		contact, source string
		want            bool
	}{
		"the same":                      {path{direct: true}, "192.168.1.5", "192.168.1.5", false},
		"another in the same network":   {path{direct: true}, "192.168.1.6", "192.168.1.5", false},
		"private from the Internet":     {path{direct: true}, "192.168.1.5", "8.8.8.8", true},
		"shared space":                  {path{direct: true}, "100.64.3.3", "8.8.8.8", true},
		"through a proxy":               {path{}, "192.168.1.5", "8.8.8.8", false},
		"a public one elsewhere":        {path{direct: true}, "9.9.9.9", "8.8.8.8", false},
		"where it believes to be":       {path{direct: true, claimed: netip.MustParseAddr("172.16.0.9")}, "172.16.0.9", "10.0.0.1", true},
		"loopback from another machine": {path{direct: true}, "127.0.0.1", "10.0.0.1", true},
		"of no machine":                 {path{direct: true}, "0.0.0.0", "10.0.0.1", true},
		"documentation":                 {path{direct: true}, "192.0.2.1", "127.0.0.1", true},
		"link local":                    {path{direct: true}, "fe80::1", "2a00::1", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.path.behindNAT(netip.MustParseAddr(tc.contact), netip.MustParseAddr(tc.source))
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestContactThatLeadsNowhere(t *testing.T) {
	for _, contact := range []string{"sip:alice@192.168.77.5:5070", "sip:alice@0.0.0.0", "sip:alice@phone.invalid", ""} {
		t.Run(contact, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				p.contact = contact
				c := p.newCall()
				text := strings.Replace(c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine), "Contact: <>\r\n", "", 1)
				if contact == "" {
					text = strings.Replace(text, "Contact: ", "X-Contact: ", 1)
				}
				p.send(text)
				c.established(c.expect("SIP/2.0 200"))
				c.ack("")
				_, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
				require.NoError(t, err)
				refer := p.expect("REFER")
				if contact != "" {
					assert.Equal(t, "REFER "+contact+" SIP/2.0", startOf(refer), "the Request-URI stays")
				}
				p.reply(refer, 603, "")
			})
		})
	}
}

func TestNamesAreLookedUp(t *testing.T) {
	for _, contact := range []string{
		"sip:alice@home.example", "sip:alice@phone.example:7003", "sip:alice@nowhere.example:7003;maddr=127.0.0.1",
	} {
		t.Run(contact, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				home := n.udpPhoneAt("127.0.0.1:7003")
				defer home.close()
				p.contact = contact
				p.call()
				go func() { _ = n.leg().Bye(context.Background()) }()
				home.reply(home.expect("BYE "+contact+" SIP/2.0"), 200, "")
				synctest.Wait()
			})
		})
	}
}

var bothTransports = Config{Listeners: []Listener{{"udp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}}}

func TestContactOverTCPWithoutAListener(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	p := n.tcpPhone(1)
	defer p.close()
	p.contact = "sip:alice@127.0.0.1:1;transport=tcp" // nobody listens there
	c := p.call()
	_, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
	require.NoError(t, err)
	p.reply(p.expect("REFER sip:alice@127.0.0.1:1;transport=tcp"), 603, "")
	assert.True(t, strings.HasSuffix(c.target, ";transport=tcp"))
}

func TestDeadConnectionIsDialledAgain(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	home, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer home.Close()
	p := n.tcpPhone(1)
	p.contact = fmt.Sprintf("sip:alice@%s;transport=tcp", home.Addr())
	c := p.call()
	l := n.leg()
	for !l.isConfirmed() {
		<-l.confirmed
	}
	p.close()
	r, err := l.Refer(context.Background(), "sip:carol@example.com")
	require.NoError(t, err)
	conn, err := home.Accept()
	require.NoError(t, err)
	q := newPhone(t, &streamWire{conn: conn}, "TCP")
	defer q.close()
	refer := q.expect("REFER")
	q.reply(refer, 202, "")
	c.phone = q
	c.contact = p.contact
	c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
	q.expect("SIP/2.0 200")
	<-r.Done()
	assert.Equal(t, ReferSuccess, r.Result().Status)
	assert.Equal(t, []string{
		"> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "< REFER", "> 202 REFER", "> NOTIFY", "< 200 NOTIFY",
	}, n.rec.ladder("c-"+c.callID), "what we dial is observed, too")
}

func TestNothingIsThereAnyMore(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	p := n.tcpPhone(1)
	p.call()
	l := n.leg()
	<-l.confirmed
	p.close()
	r, err := l.Refer(context.Background(), "sip:carol@example.com")
	require.NoError(t, err, "it was tried")
	<-r.Done()
	assert.Equal(t, EvidenceTransportError, r.Result().Evidence)
	require.NoError(t, l.Bye(context.Background()))
}

func TestConnectionThatEndsDuringARequest(t *testing.T) {
	n := startNode(t, nil, bothTransports).answering()
	defer n.stop()
	p := n.tcpPhone(1)
	p.call()
	r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
	require.NoError(t, err)
	p.expect("REFER")
	p.close()
	<-r.Done()
	assert.Equal(t, EvidenceTransportError, r.Result().Evidence)
}

func TestConnectionThatEndsBeforeTheAnswer(t *testing.T) {
	n := startNode(t, nil, bothTransports)
	defer n.stop()
	p := n.tcpPhone(1)
	c := p.newCall()
	c.sendInvite("", offerLine)
	n.leg()
	p.expect("SIP/2.0 100")
	p.close()
	require.ErrorIs(t, n.end(), ErrCanceled)
}

// A request whose connection has ended is not answered on one that sipgo opens to wherever the Via says.
func TestTrapNoConnectionsOfSipgosOwn(t *testing.T) {
	n := startNode(t, nil, bothTransports)
	defer n.stop()
	victim, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialled := make(chan struct{}, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := victim.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			dialled <- struct{}{}
		}
	}()
	for range 300 {
		conn, err := net.Dial("tcp", n.Addrs()[1].String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "OPTIONS sip:node SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=%s\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:node>\r\n"+
			"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", victim.Addr(), newBranch(), number())
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	for range 100 { // what cannot be read ends a connection, even in the middle of something
		q := n.tcpPhone(1)
		c := q.newCall()
		q.send(c.request("OPTIONS", c.uri, 1, newBranch(), "", "") + "garbage\r\n\r\n")
		<-q.done
		q.close()
	}
	p := n.tcpPhone(1)
	defer p.close()
	c := p.newCall()
	c.target = c.uri
	c.inDialog("OPTIONS", "", "")
	p.expect("SIP/2.0 200")
	n.stop()
	require.NoError(t, victim.Close())
	<-done
	assert.Empty(t, dialled)
}

func TestAdvertisedAddress(t *testing.T) {
	cfg := Config{
		Listeners: []Listener{{"udp", "127.0.0.1:5060"}, {"udp", "127.0.0.1:5062"}}, Advertise: "sip.example.com:15060",
		MediaAddress: netip.MustParseAddr("203.0.113.5"),
	}
	inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("", offerLine)
		ok := c.expect("SIP/2.0 200")
		assert.Equal(t, "<sip:bob@sip.example.com:15060>", field(ok, "Contact"))
		assert.Contains(t, bodyOf(ok), "c=IN IP4 203.0.113.5")
		c.established(ok)
		c.ack("")
		go func() { _ = n.leg().Bye(context.Background()) }()
		bye := c.expect("BYE")
		assert.Contains(t, field(bye, "Via"), "SIP/2.0/UDP sip.example.com:15060;")
		p.reply(bye, 200, "")
		assert.Equal(t, "sip:bob@sip.example.com:15060", n.URI("bob"))

		p.wire.(*packetWire).to = n.Addrs()[1]
		c = p.newCall()
		c.sendInvite("", offerLine)
		ok = c.expect("SIP/2.0 200")
		assert.Equal(t, "<sip:bob@sip.example.com:5062>", field(ok, "Contact"), "the port holds for the first")
		c.established(ok)
		c.ack("")
	})
}

func TestTheAddressOfAnAdvertisedNameHoldsForItsFamily(t *testing.T) {
	cfg := Config{
		Listeners: []Listener{{"udp", "127.0.0.1:5060"}, {"udp", "[::1]:5060"}}, Advertise: "sip.example.com",
		AdvertiseIP: netip.MustParseAddr("203.0.113.5"),
	}
	inMemory(t, cfg, func(t *testing.T, n *node, _ *phone) {
		var in []string
		for _, l := range n.bound() {
			in = append(in, l.host, n.mediaAddress(l).String())
		}
		assert.Equal(t, []string{"sip.example.com", "203.0.113.5", "sip.example.com", "::1"}, in)
	})
}

func TestListenerThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := startNode(t, h, Config{})
		h.mu.Lock()
		conn := h.conns[addrPort(n.Addrs()[0])]
		h.mu.Unlock()
		require.NoError(t, conn.Close())
		require.ErrorIs(t, <-n.Err(), net.ErrClosed)
		n.stop()
		time.Sleep(70 * time.Second) // fake
	})
}

func TestAccessListHoldsForStreams(t *testing.T) {
	n := startNode(t, nil, Config{
		Listeners: []Listener{{"tcp", "127.0.0.1:0"}}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	defer n.stop()
	p := n.tcpPhone(0)
	p.newCall().sendInvite("", offerLine)
	<-p.done // closed
	p.close()
	assert.Empty(t, p.in)
	assert.Empty(t, n.rec.sip)
}
