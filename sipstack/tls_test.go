package sipstack

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// byTLS has a phone say that it is reached over TLS where it listens, which it does not.
func (p *phone) byTLS(scheme string) *phone {
	p.contact = fmt.Sprintf("%s:alice@%s;transport=tls", scheme, "127.0.0.1:9")
	return p
}

func TestCallOverTLS(t *testing.T) {
	a := newAuthority(t)
	n := startNode(t, nil, a.node()).answering()
	defer n.stop()
	p := n.tlsPhone(&tls.Config{RootCAs: a.pool()}).byTLS("sip")
	defer p.close()
	c := p.newCall()
	c.sendInvite("", offerLine)
	ok := c.expect("SIP/2.0 200")
	assert.Equal(t, fmt.Sprintf("<sip:bob@%s;transport=tls>", n.Addrs()[1]), field(ok, "Contact"))
	c.established(ok)
	c.ack("")
	l := n.leg()
	<-l.confirmed
	done := make(chan error, 1)
	go func() { done <- l.Bye(context.Background()) }()
	bye := c.expect("BYE") // on the phone's own connection: nothing listens at its Contact
	assert.Contains(t, field(bye, "Via"), fmt.Sprintf("SIP/2.0/TLS %s;", n.Addrs()[1]))
	p.reply(bye, 200, "")
	require.NoError(t, <-done)
	assert.Equal(t, []string{"> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "< BYE", "> 200 BYE"}, n.rec.ladder("c-"+c.callID))
	n.rec.mu.Lock()
	defer n.rec.mu.Unlock()
	for _, m := range n.rec.sip {
		assert.Equal(t, "tls", m.Transport)
	}
}

func TestSIPSStaysSIPS(t *testing.T) {
	a := newAuthority(t)
	n := startNode(t, nil, a.node()).answering()
	defer n.stop()
	p := n.tlsPhone(&tls.Config{RootCAs: a.pool()}).byTLS("sip") // a Contact that is none of SIPS does not bring it down
	defer p.close()
	c := p.newCall()
	c.uri, c.from = "sips:bob@node.example", strings.Replace(c.from, "sip:", "sips:", 1)
	c.sendInvite("", offerLine)
	ok := c.expect("SIP/2.0 200")
	assert.Equal(t, fmt.Sprintf("<sips:bob@%s>", n.Addrs()[1]), field(ok, "Contact"), "RFC 3261 section 12.1.1")
	c.established(ok)
	c.ack("")
	l := n.leg()
	<-l.confirmed
	assert.Equal(t, "sips:bob@node.example", l.Invitation().To)
	assert.Equal(t, "sips:alice@peer.example", l.Invitation().From)

	c.contact = "sip:alice@127.0.0.1:9;transport=udp"
	c.inDialog("INVITE", "", offerLine)
	c.expect("SIP/2.0 200")
	c.ack("")
	done := make(chan error, 1)
	go func() { done <- l.Bye(context.Background()) }()
	bye := c.expect("BYE")
	assert.Contains(t, field(bye, "Via"), "SIP/2.0/TLS", "not over UDP, whatever the new Contact says")
	p.reply(bye, 200, "")
	require.NoError(t, <-done)
}

func TestContactIsSIPSWhereTheCallerSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		uri, contact, routes string
		want                 bool
	}{
		"none of them":          {"sip:bob@node", "sip:alice@phone", "", false},
		"Request-URI":           {"sips:bob@node", "sip:alice@phone", "", true},
		"Contact without route": {"sip:bob@node", "sips:alice@phone", "", true},
		"Contact behind one":    {"sip:bob@node", "sips:alice@phone", "Record-Route: <sip:proxy;lr>\r\n", false},
		"topmost route":         {"sip:bob@node", "sip:alice@phone", "Record-Route: <sips:proxy;lr>\r\nRecord-Route: <sip:other;lr>\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			req := parseInvite(t, tc.uri, "Contact: <"+tc.contact+">\r\n"+tc.routes)
			assert.Equal(t, tc.want, secureContact(req))
		})
	}
}

func TestSIPSInTheClearIsRefused(t *testing.T) {
	n := startNode(t, nil, newAuthority(t).node()).answering()
	defer n.stop()
	p := n.udpPhone()
	defer p.close()
	c := p.newCall()
	c.uri = "sips:bob@node.example"
	c.sendInvite("", offerLine)
	res := c.expect("SIP/2.0 4")
	assert.Equal(t, "SIP/2.0 480 Temporarily Unavailable", startOf(res))
	assert.Equal(t, `380 callengine "SIPS Not Allowed"`, field(res, "Warning"))
	c.established(res)
	c.ack("")
}

func TestPeerWhoseTLSConnectionIsGoneIsDialled(t *testing.T) {
	for name, tc := range map[string]struct {
		ip    string // in the peer's certificate
		other bool   // signed by an authority that the node does not trust
		want  bool
	}{
		"verified":           {ip: "127.0.0.1", want: true},
		"under another name": {ip: "127.0.0.2"},
		"by another":         {ip: "127.0.0.1", other: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			signer := a
			if tc.other {
				signer = newAuthority(t)
			}
			home, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				Certificates: []tls.Certificate{signer.issue("phone", tc.ip, time.Now().Add(time.Hour))},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool(), // the node shows its own
			})
			require.NoError(t, err)
			defer home.Close()
			n := startNode(t, nil, a.node()).answering()
			defer n.stop()
			p := n.tlsPhone(&tls.Config{RootCAs: a.pool()})
			p.contact = fmt.Sprintf("sips:alice@%s", home.Addr())
			c := p.call()
			l := n.leg()
			<-l.confirmed
			connection := l.dialog.flow
			p.close()
			for n.up(connection) { // until the node has seen it
				n.pause(time.Millisecond, nil)
			}
			done := make(chan error, 1)
			go func() { done <- l.Bye(context.Background()) }()
			conn, err := home.Accept()
			require.NoError(t, err)
			if !tc.want {
				require.Error(t, conn.(*tls.Conn).Handshake())
				require.NoError(t, conn.Close())
				require.NoError(t, <-done)
				assert.Equal(t, int64(1), n.TLS().FailedHandshakes)
				return
			}
			q := newPhone(t, &streamWire{conn: conn}, "TLS")
			defer q.close()
			bye := q.expect("BYE")
			q.reply(bye, 200, "")
			require.NoError(t, <-done)
			assert.Equal(t, []string{"> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "< BYE", "> 200 BYE"}, n.rec.ladder("c-"+c.callID))
		})
	}
}

// TestCallOfOursOverTLS places calls to a phone that asks for the node's certificate. To a sips: URI all is sips:, and what
// does not prove to be the phone is not called.
func TestCallOfOursOverTLS(t *testing.T) {
	for name, tc := range map[string]struct {
		to, contact string // with the phone's, the node's address
		ip          string // in the phone's certificate
		fails       bool
	}{
		"sip: by its parameter":      {to: "sip:carol@%s;transport=tls", contact: "<sip:desk@%s;transport=tls>", ip: "127.0.0.1"},
		"sips:":                      {to: "sips:carol@%s", contact: "<sips:desk@%s>", ip: "127.0.0.1"},
		"certificate of another one": {to: "sips:carol@%s", ip: "127.0.0.2", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			home, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				Certificates: []tls.Certificate{a.issue("phone", tc.ip, time.Now().Add(time.Hour))},
				ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: a.pool(),
			})
			require.NoError(t, err)
			defer home.Close()
			n := startNode(t, nil, a.node())
			defer n.stop()
			to := fmt.Sprintf(tc.to, home.Addr())
			done := n.dial(context.Background(), Outbound{To: to, From: "sip:desk@node.example"})
			conn, err := home.Accept()
			require.NoError(t, err)
			if tc.fails {
				require.Error(t, conn.(*tls.Conn).Handshake())
				require.NoError(t, conn.Close())
				require.Error(t, (<-done).err)
				assert.Equal(t, int64(1), n.TLS().FailedHandshakes)
				return
			}
			p := newPhone(t, &streamWire{conn: conn}, "TLS")
			defer p.close()
			invite := p.expect("INVITE")
			assert.Equal(t, "INVITE "+to+" SIP/2.0", startOf(invite))
			assert.Contains(t, field(invite, "Via"), fmt.Sprintf("SIP/2.0/TLS %s;", n.Addrs()[1]))
			assert.Equal(t, fmt.Sprintf(tc.contact, n.Addrs()[1]), field(invite, "Contact"))
			p.answerAs(invite, "c", 200, "Contact: <"+to+">\r\n", answerLine)
			assert.Equal(t, "ACK "+to+" SIP/2.0", startOf(p.expect("ACK")))
			r := <-done
			require.NoError(t, r.err)
			bye := make(chan error, 1)
			go func() { bye <- r.leg.Bye(context.Background()) }()
			p.reply(p.expect("BYE"), 200, "") // on the same connection
			require.NoError(t, <-bye)
			assert.Equal(t, []string{"< INVITE", "> 200 INVITE", "< ACK", "< BYE", "> 200 BYE"}, n.rec.ladder("o-1"))
		})
	}
}

func TestClientCertificatesAreVerified(t *testing.T) {
	a := newAuthority(t)
	cfg := a.node()
	cfg.TLS.VerifyClient = true
	n := startNode(t, nil, cfg).answering()
	defer n.stop()
	stranger := newAuthority(t).issue("phone", "127.0.0.1", time.Now().Add(time.Hour))
	for name, certs := range map[string][]tls.Certificate{"without one": nil, "of a stranger": {stranger}} {
		conn, err := tls.Dial("tcp", n.Addrs()[1].String(), &tls.Config{RootCAs: a.pool(), Certificates: certs})
		require.NoError(t, err, name) // TLS 1.3 tells it with the first read
		_, err = conn.Read(make([]byte, 1))
		require.ErrorContains(t, err, "certificate", name)
		require.NoError(t, conn.Close())
	}
	for n.TLS().FailedHandshakes < 2 { // the peer is told before it is counted
		n.pause(time.Millisecond, nil)
	}
	assert.Equal(t, int64(2), n.TLS().FailedHandshakes)
	mine := a.issue("phone", "127.0.0.1", time.Now().Add(time.Hour))
	p := n.tlsPhone(&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{mine}}).byTLS("sip")
	defer p.close()
	p.call()
}

func TestTLSVersionsBefore12AreRefused(t *testing.T) {
	a := newAuthority(t)
	n := startNode(t, nil, a.node())
	defer n.stop()
	_, err := tls.Dial("tcp", n.Addrs()[1].String(), &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version")
}

func TestCertificateIsReadAgainWithoutARestart(t *testing.T) {
	a := newAuthority(t)
	core, logs := observer.New(zap.InfoLevel)
	n := startNode(t, nil, a.node(), WithLogger(zap.New(core)))
	defer n.stop()
	serial := func() string {
		conn, err := tls.Dial("tcp", n.Addrs()[1].String(), &tls.Config{RootCAs: a.pool()})
		require.NoError(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	assert.Equal(t, first, serial())

	until := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	renewed := a.issue("node", "127.0.0.1", until).Leaf.SerialNumber.String()
	assert.Equal(t, renewed, serial())
	assert.True(t, until.Equal(n.TLS().Expiry))

	require.NoError(t, os.WriteFile(a.file("node.pem"), []byte("no certificate"), 0o600))
	assert.Equal(t, renewed, serial(), "what cannot be used changes nothing")
	assert.Equal(t, renewed, serial())
	assert.Equal(t, int64(1), n.TLS().ReloadFailures, "told once")
	require.Equal(t, 1, logs.FilterLevelExact(zap.ErrorLevel).Len())
	assert.Contains(t, logs.FilterLevelExact(zap.ErrorLevel).All()[0].ContextMap()["error"], "sip.tls.cert_file")

	a.issue("node", "127.0.0.1", time.Now().Add(-time.Minute))
	assert.Equal(t, renewed, serial(), "one that has expired is of no use")
	require.NoError(t, os.Remove(a.file("node.key")))
	assert.Equal(t, renewed, serial())
	last := a.issue("node", "127.0.0.1", time.Now().Add(3*time.Hour)).Leaf.SerialNumber.String()
	assert.Equal(t, last, serial())
}

func TestHandshakeThatTakesTooLongIsEnded(t *testing.T) {
	a := newAuthority(t)
	cfg := a.node()
	synctest.Test(t, func(t *testing.T) {
		l := newStreamListener("tls", nil, nil, newTap(nobody{}), nil, nil)
		l.certs = newCertificates(cfg.TLS, zap.NewNop())
		require.NoError(t, l.certs.open())
		here, there := net.Pipe()
		start := time.Now()
		l.shake(here)
		assert.Equal(t, handshakeTimeout, time.Since(start))
		_, err := there.Read(make([]byte, 1))
		require.Error(t, err, "closed")
		assert.Equal(t, int64(1), l.certs.refused.Load())
	})
}

func TestConnectionsThatSayNothingAreEnded(t *testing.T) {
	const head = "OPTIONS sip:x SIP/2.0\r\nContent-Length: 4\r\n"
	for name, tc := range map[string]struct {
		says string
		then string
		want time.Duration // until the end; 0: it stays
	}{
		"silent":                   {"", "", messageTimeout},
		"keep-alives alone":        {"\r\n\r\n", "", messageTimeout},
		"a message that stops":     {head, "", messageTimeout},
		"a message, then silence":  {head + "\r\nbody", "", 0},
		"a second one that stops":  {head + "\r\nbody", head, messageTimeout},
		"a body that does not end": {head + "\r\nbody" + head + "\r\nbo", "", messageTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				l := newStreamListener("tcp", nil, nil, newTap(nobody{}), newGate(nil, newTap(nobody{}), zap.NewNop()), sip.NewTransportLayer(nil, sip.NewParser(), nil).Pool("tcp"))
				c := l.observed(here, here)
				start := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					b := make([]byte, 1000)
					for {
						if _, err := c.Read(b); err != nil {
							_ = here.Close()
							ended <- time.Since(start)
							return
						}
					}
				}()
				go func() { _, _ = io.Copy(io.Discard, there) }()
				go func() { _, _ = there.Write([]byte(tc.says)) }()
				if tc.says == "" {
					synctest.Wait()
				}
				if tc.then != "" {
					time.Sleep(time.Hour)
					start = time.Now()
					_, _ = there.Write([]byte(tc.then))
				}
				if tc.want == 0 {
					time.Sleep(24 * time.Hour)
					assert.Empty(t, ended)
					_ = there.Close()
				}
				got := <-ended
				if tc.want != 0 {
					assert.Equal(t, tc.want, got)
				}
			})
		})
	}
}

func TestMaxConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newStreamListener("tcp", nil, nil, newTap(nobody{}), nil, nil)
		l.most = 2
		var open []*observedConn
		for range 2 {
			require.True(t, l.room())
			here, _ := net.Pipe()
			open = append(open, l.observed(here, here))
			clear(l.conns) // a pipe has no address to be known by
		}
		assert.False(t, l.room(), "nobody has been silent for long")
		time.Sleep(evictable)
		open[0].heard.Store(time.Now().UnixNano())
		assert.True(t, l.room())
		assert.Contains(t, l.all, open[0])
		assert.NotContains(t, l.all, open[1], "silent the longest")
	})
}
