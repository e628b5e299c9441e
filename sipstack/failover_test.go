package sipstack

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pool is a domain with two proxies, one for each SRV record; the first is preferred.
type pool struct{ first, second *phone }

// inPool runs a test with an answered call whose caller gave the pool as its Contact.
func inPool(t *testing.T, test func(t *testing.T, n *node, l *Leg, c *dialogue, x pool)) {
	t.Helper()
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		h := n.net.(*hub)
		h.names.host("one.example", "127.0.0.11")
		h.names.host("two.example", "127.0.0.12")
		h.names.service("_sip._udp.pool.example",
			&net.SRV{Target: "two.example.", Port: 7002, Priority: 2}, &net.SRV{Target: "one.example.", Port: 7001, Priority: 1})
		x := pool{n.udpPhoneAt("127.0.0.11:7001"), n.udpPhoneAt("127.0.0.12:7002")}
		defer x.first.close()
		defer x.second.close()
		n.answering()
		p.contact = "sip:alice@pool.example"
		c := p.call()
		test(t, n, n.leg(), c, x)
		synctest.Wait()
		assert.Empty(t, x.first.in, "nothing more for the first")
		assert.Empty(t, x.second.in, "nothing more for the second")
	})
}

func refer(t *testing.T, l *Leg) *Referral {
	t.Helper()
	r, err := l.Refer(context.Background(), "sip:carol@example.com")
	require.NoError(t, err)
	return r
}

func TestFailoverOn503(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, c *dialogue, x pool) {
		r := refer(t, l)
		one := x.first.expect("REFER")
		x.first.reply(one, 503, "Retry-After: 90 (maintenance);duration=10\r\n")
		two := x.second.expect("REFER sip:alice@pool.example SIP/2.0")
		assert.Equal(t, field(one, "CSeq"), field(two, "CSeq"), "the same request")
		assert.NotEqual(t, field(one, "Via"), field(two, "Via"), "in a transaction of its own")
		x.second.reply(two, 202, "")
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		<-r.Done()
		assert.Equal(t, ReferSuccess, r.Result().Status)
		assert.Equal(t, 202, r.Result().ReferCode)

		// As long as it has asked for, the first is not asked.
		bye := make(chan error, 1)
		go func() { bye <- l.Bye(context.Background()) }()
		x.second.reply(x.second.expect("BYE"), 200, "")
		require.NoError(t, <-bye)
	})
}

func TestTargetIsAskedAgainWhenItsRetryAfterIsOver(t *testing.T) {
	for name, tc := range map[string]struct {
		header string
		after  time.Duration
	}{
		"as it says":        {"Retry-After: 3\r\n", 3 * time.Second},
		"it says nothing":   {"", 30 * time.Second},
		"it asks for a day": {"Retry-After: 86400\r\n", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inPool(t, func(t *testing.T, _ *node, l *Leg, _ *dialogue, x pool) {
				r := refer(t, l)
				x.first.reply(x.first.expect("REFER"), 503, tc.header)
				x.second.reply(x.second.expect("REFER"), 603, "")
				<-r.Done()
				time.Sleep(tc.after - time.Second) // fake
				r = refer(t, l)
				x.second.reply(x.second.expect("REFER"), 603, "")
				<-r.Done()
				time.Sleep(time.Second)
				r = refer(t, l)
				x.first.reply(x.first.expect("REFER"), 603, "")
				<-r.Done()
			})
		})
	}
}

func TestTargetThatHasAnsweredIsAskedFirstAgain(t *testing.T) {
	inPool(t, func(t *testing.T, _ *node, l *Leg, _ *dialogue, x pool) {
		r := refer(t, l)
		x.first.reply(x.first.expect("REFER"), 503, "")
		x.second.reply(x.second.expect("REFER"), 603, "")
		<-r.Done()
		r = refer(t, l)
		x.second.reply(x.second.expect("REFER"), 503, "Retry-After: 1\r\n")
		x.first.reply(x.first.expect("REFER"), 603, "")
		<-r.Done()
		time.Sleep(time.Second) // fake: now neither has failed
		r = refer(t, l)
		x.first.reply(x.first.expect("REFER"), 603, "")
		<-r.Done()
	})
}

func TestFailoverWhereATargetCannotBeReached(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, _ *dialogue, x pool) {
		n.net.(*hub).cutOff("127.0.0.11:7001")
		start := time.Now()
		r := refer(t, l)
		x.second.reply(x.second.expect("REFER"), 603, "")
		<-r.Done()
		assert.Equal(t, 603, r.Result().ReferCode)
		assert.Zero(t, time.Since(start), "at once")
	})
}

func TestNoTargetHasRoom(t *testing.T) {
	inPool(t, func(t *testing.T, _ *node, l *Leg, c *dialogue, x pool) {
		r := refer(t, l)
		x.first.reply(x.first.expect("REFER"), 503, "")
		x.second.reply(x.second.expect("REFER"), 503, "")
		<-r.Done()
		assert.Equal(t, 503, r.Result().ReferCode)
		assert.Equal(t, EvidenceRejected, r.Result().Evidence)
		synctest.Wait()
		assert.Empty(t, c.in, "where the caller was heard is for when nothing can be reached")
	})
}

func TestNoTargetCanBeReached(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, c *dialogue, _ pool) {
		n.net.(*hub).cutOff("127.0.0.11:7001")
		n.net.(*hub).cutOff("127.0.0.12:7002")
		r := refer(t, l)
		c.reply(c.expect("REFER"), 603, "") // where the caller was heard
		<-r.Done()
		assert.Equal(t, 603, r.Result().ReferCode)
	})
}

// A REFER without an answer has failed after timer F, however many targets there are; the next request goes elsewhere.
func TestTargetThatDoesNotAnswer(t *testing.T) {
	inPool(t, func(t *testing.T, _ *node, l *Leg, _ *dialogue, x pool) {
		start := time.Now()
		r := refer(t, l)
		<-r.Done()
		assert.Equal(t, EvidenceNoResponse, r.Result().Evidence)
		assert.Equal(t, timerF, time.Since(start))
		x.first.drain()
		bye := make(chan error, 1)
		go func() { bye <- l.Bye(context.Background()) }()
		x.second.reply(x.second.expect("BYE"), 200, "")
		require.NoError(t, <-bye)
	})
}

// The time that a request has does not begin anew with each target.
func TestFailoverHasOneTimeInAll(t *testing.T) {
	inPool(t, func(t *testing.T, _ *node, l *Leg, _ *dialogue, x pool) {
		start := time.Now()
		r := refer(t, l)
		one := x.first.expect("REFER")
		x.first.reply(one, 100, "")
		time.Sleep(20 * time.Second) // fake
		x.first.drain()
		x.first.reply(one, 503, "")
		<-r.Done()
		assert.Equal(t, EvidenceNoResponse, r.Result().Evidence)
		assert.Equal(t, timerF, time.Since(start))
		x.second.drain()
	})
}

// A request that goes to another target after others have gone out takes a new number: the old one is too low by then.
func TestFailoverBehindALaterRequest(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, c *dialogue, x pool) {
		r := refer(t, l)
		one := x.first.expect("REFER")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = l.dialog.send(context.Background(), "OPTIONS", nil, nil, nil)
		}()
		x.first.reply(x.first.expect("OPTIONS"), 200, "")
		<-done
		x.first.reply(one, 503, "")
		two := x.second.expect("REFER")
		assert.Equal(t, "3 REFER", field(two, "CSeq"))
		x.second.reply(two, 202, "")
		c.inDialog("NOTIFY", "Event: refer;id=3\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 200 OK\r\n")
		<-r.Done()
		assert.Equal(t, ReferSuccess, r.Result().Status)
	})
}

func TestCredentialsGoToTheTargetThatAskedForThem(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, _ *dialogue, x pool) {
		n.cfg.Credentials = []Credential{{Realm: "two", Username: "bob", Password: "secret"}}
		r := refer(t, l)
		x.first.reply(x.first.expect("REFER"), 503, "")
		x.second.reply(x.second.expect("REFER"), 401, "WWW-Authenticate: Digest realm=\"two\", nonce=\"abc\"\r\n")
		again := x.second.expect("REFER")
		assert.NotEmpty(t, field(again, "Authorization"))
		assert.Equal(t, "2 REFER", field(again, "CSeq"))
		x.second.reply(again, 603, "")
		<-r.Done()
	})
}

// Whoever looks up a name keeps nobody waiting: neither the dialog's other requests nor another call.
func TestSlowLookupHoldsUpNobody(t *testing.T) {
	inPool(t, func(t *testing.T, n *node, l *Leg, c *dialogue, _ pool) {
		h := n.net.(*hub)
		h.names.hangs["pool.example"] = true
		start := time.Now()
		bye := make(chan error, 1)
		go func() { bye <- l.Bye(context.Background()) }()
		synctest.Wait()
		c.inDialog("INFO", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(c.next()))
		other := n.udpPhone()
		defer other.close()
		other.call()
		assert.Zero(t, time.Since(start))
		c.reply(c.expect("BYE"), 200, "") // on the way that the caller was heard, when the look-ups' time is up
		require.NoError(t, <-bye)
		assert.Equal(t, connectTimeout, time.Since(start))
	})
}

// namedNetwork is the host's network with names of its own.
type namedNetwork struct {
	hostNetwork
	*net.Dialer
	*nameTable
}

// tcpServer accepts connections, each a phone.
func tcpServer(t *testing.T) (at netip.AddrPort, accept func() *phone) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return addrPort(l.Addr()), func() *phone {
		conn, err := l.Accept()
		require.NoError(t, err)
		return newPhone(t, &streamWire{conn: conn}, "TCP")
	}
}

// A connection that breaks while the answer is awaited: the REFER may have been handled, and goes nowhere else; a BYE
// does no harm twice.
func TestConnectionToOneOfSeveralTargetsBreaks(t *testing.T) {
	names := newNameTable()
	one, acceptOne := tcpServer(t)
	two, acceptTwo := tcpServer(t)
	names.host("proxies.example", "127.0.0.1")
	names.service("_sip._tcp.pool.example",
		&net.SRV{Target: "proxies.example.", Port: one.Port(), Priority: 1}, &net.SRV{Target: "proxies.example.", Port: two.Port(), Priority: 2})
	n := startNode(t, namedNetwork{hostNetwork{}, &net.Dialer{}, names}, bothTransports).answering()
	defer n.stop()
	p := n.tcpPhone(1)
	defer p.close()
	p.contact = "sip:alice@pool.example;transport=tcp"
	p.call()
	l := n.leg()
	r := refer(t, l)
	proxy := acceptOne()
	proxy.expect("REFER")
	proxy.close()
	<-r.Done()
	assert.Equal(t, EvidenceTransportError, r.Result().Evidence)

	n.locator.outages.works(flow{n.bound()[1], one})
	bye := make(chan error, 1)
	go func() { bye <- l.Bye(context.Background()) }()
	proxy = acceptOne()
	first := proxy.expect("BYE")
	proxy.close()
	other := acceptTwo()
	defer other.close()
	second := other.expect("BYE")
	assert.Equal(t, field(first, "CSeq"), field(second, "CSeq"))
	other.reply(second, 200, "")
	require.NoError(t, <-bye)
}

// The records of a real resolver, over a real socket: what the fake says is what Go's says.
func TestLocateWithARealResolver(t *testing.T) {
	server := startDNS(t, map[string][]string{
		"SRV _sip._udp.pool.example.": {"10 0 7001 one.example.", "20 0 7002 two.example."},
		"SRV _sip._tcp.no.example.":   {"0 0 0 ."},
		"SRV _sip._udp.no.example.":   {"0 0 0 ."},
		"A one.example.":              {"127.0.0.11"},
		"A two.example.":              {"127.0.0.12", "127.0.0.13"},
		"AAAA two.example.":           {"::2"},
	})
	l := newLocator(server)
	udp, tcp := udpAt("10.1.0.1:5060"), tcpAt("tcp", "10.1.0.1:5060")
	for uri, want := range map[string]string{
		"sip:a@pool.example":      "udp 127.0.0.11:7001, udp 127.0.0.12:7002, udp 127.0.0.13:7002",
		"sip:a@two.example:99":    "udp 127.0.0.12:99, udp 127.0.0.13:99",
		"sip:a@one.example":       "udp 127.0.0.11:5060",
		"sip:a@no.example":        "",
		"sip:a@not-there.example": "",
	} {
		t.Run(uri, func(t *testing.T) {
			flows, err := l.flows(context.Background(), uriOf(t, uri), []*listener{udp, tcp}, udp)
			assert.Equal(t, want, written(flows), "%v", err)
		})
	}
	six := udpAt("[::1]:5060")
	flows, err := l.flows(context.Background(), uriOf(t, "sip:two.example:5"), []*listener{six}, six)
	require.NoError(t, err)
	assert.Equal(t, "udp [::2]:5", written(flows))
}
