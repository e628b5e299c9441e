package sipstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testDoor writes down what it is told, and is full if it is to be.
type testDoor struct {
	mu     sync.Mutex
	full   int
	waited []time.Duration // of the calls it was asked about
	told   []Refusal
}

func (d *testDoor) Full(waited time.Duration) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waited = append(d.waited, waited)
	return d.full
}

func (d *testDoor) Closing() bool { return false }

func (d *testDoor) TurnedAway(r Refusal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, r)
}

func (d *testDoor) setFull(retryAfter int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = retryAfter
}

func (d *testDoor) refusals() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.told {
		all = append(all, strings.TrimSpace(r.Reason+" "+r.Detail))
	}
	return all
}

// inDoor runs f in a bubble with a node that has a door. All sources have the phone's address.
func inDoor(t *testing.T, change func(*Config), f func(t *testing.T, n *node, d *testDoor, p *phone)) {
	synctest.Test(t, func(t *testing.T) {
		cfg, d := Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}}}, &testDoor{}
		if change != nil {
			change(&cfg)
		}
		n := startNode(t, newHub(), cfg, WithDoor(d)).answering()
		p := n.udpPhone()
		defer func() {
			n.stop()
			p.close()
			time.Sleep(time.Minute + 10*time.Second)
		}()
		f(t, n, d, p)
	})
}

func TestAFullNodeRefusesAtOnceAndWithoutATransaction(t *testing.T) {
	inDoor(t, nil, func(t *testing.T, n *node, d *testDoor, p *phone) {
		c := p.call()
		n.leg()
		d.setFull(7)
		refused := p.newCall()
		refused.sendInvite("", offerLine)
		res := p.next()
		require.Equal(t, "SIP/2.0 503 Service Unavailable", startOf(res), "no 100 before it")
		assert.Equal(t, "7", field(res, "Retry-After"))
		assert.Equal(t, refused.callID, field(res, "Call-ID"))
		assert.NotEmpty(t, tagIn(field(res, "To")))
		assert.Contains(t, field(res, "Via"), fmt.Sprintf("rport=%d;received=127.0.0.1", p.wire.local().Port()))
		p.send(refused.invite)
		assert.Equal(t, res, p.next(), "a repetition gets the same")
		refused.to = field(res, "To")
		p.send(refused.request("ACK", refused.uri, refused.cseq, refused.branch, "", ""))
		p.drain()

		p.send(c.invite) // of the call that is up: sipgo knows what to do
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200 OK")
		assert.Equal(t, []string{"> INVITE", "< 503 INVITE", "> INVITE", "< 503 INVITE", "> ACK"}, n.rec.ladder(""))
		d.setFull(0)
		again := p.newCall()
		again.callID, again.from = refused.callID, refused.from
		again.sendInvite("", offerLine)
		again.established(again.expect("SIP/2.0 200"))
		again.ack("")
		again.inDialog("BYE", "", "")
		again.expect("SIP/2.0 200")
	})
}

// The 503 may be on its way when the phone repeats its INVITE: a call that were made of the copy would have nobody on it.
func TestARefusedINVITEIsRefusedThoughThereIsRoomWhenItIsRepeated(t *testing.T) {
	for name, change := range map[string]func(*Config){"a full node": nil, "a source over its limit": func(cfg *Config) { cfg.MaxRequestsPerSource = 1 }} {
		t.Run(name, func(t *testing.T) {
			inDoor(t, change, func(t *testing.T, n *node, d *testDoor, p *phone) {
				if change == nil {
					d.setFull(7)
				} else {
					other := p.newCall()
					other.send(other.request("OPTIONS", other.uri, other.cseq, newBranch(), "", ""))
					other.expect("SIP/2.0 200")
				}
				c := p.newCall()
				c.sendInvite("", offerLine)
				res := p.next()
				require.Equal(t, "SIP/2.0 503 Service Unavailable", startOf(res))
				d.setFull(0)
				time.Sleep(3 * time.Second)

				p.send(c.invite)
				assert.Equal(t, res, p.next())
				c.send(strings.Replace(c.invite, c.branch, newBranch(), 1))
				assert.Contains(t, c.expect("SIP/2.0 200"), "INVITE", "another transaction is another attempt")
			})
		})
	}
}

func TestWhatIsRememberedOfRefusedINVITEs(t *testing.T) {
	var r refused
	now := time.Unix(1_700_000_000, 0)
	invite := sniffed{via: "SIP/2.0/UDP phone.example;branch=z9hG4bK1", Message: Message{SIPCallID: "a", CSeq: 256}}
	assert.Zero(t, r.again(invite, now), "nothing was refused yet")
	r.add(invite, 5, now)

	assert.Equal(t, 5, r.again(invite, now.Add(linger()-time.Second)))
	assert.Zero(t, r.again(invite, now.Add(linger())))
	for name, change := range map[string]func(*sniffed){
		"another branch":  func(m *sniffed) { m.via += "2" },
		"another Call-ID": func(m *sniffed) { m.SIPCallID = "b" },
		"another number":  func(m *sniffed) { m.CSeq = 1 },
	} {
		other := invite
		change(&other)
		assert.Zero(t, r.again(other, now), name)
	}
}

func TestAFullNodeRefusesOddINVITEsToo(t *testing.T) {
	for name, odd := range map[string]func(invite string) string{
		"a folded header field": func(m string) string {
			return strings.Replace(m, "Max-Forwards:", "Subject: one\r\n two\r\nMax-Forwards:", 1)
		},
		"a tel URI": func(m string) string {
			line, rest, _ := strings.Cut(m, "\r\n")
			return "INVITE tel:+15550100 " + line[strings.LastIndex(line, " ")+1:] + "\r\n" + rest
		},
		"a Proxy-Require": func(m string) string {
			return strings.Replace(m, "Max-Forwards:", "Proxy-Require: x\r\nMax-Forwards:", 1)
		},
		"two values in From": func(m string) string {
			return strings.Replace(m, "Max-Forwards:", "From: <sip:x>;tag=2\r\nMax-Forwards:", 1)
		},
		"a name that looks like a tag": func(m string) string { return strings.Replace(m, "To: <", `To: "tag=1" <`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			inDoor(t, nil, func(t *testing.T, n *node, d *testDoor, p *phone) {
				d.setFull(7)
				c := p.newCall()
				c.invite = odd(c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine))
				p.send(c.invite)
				res := p.next()
				require.Equal(t, "SIP/2.0 503 Service Unavailable", startOf(res), "no 100 before it: %s", c.invite)
				assert.Equal(t, "7", field(res, "Retry-After"))
				assert.Equal(t, c.callID, field(res, "Call-ID"))
				assert.Empty(t, n.rec.ladder("c-1"))

				d.setFull(0)
				synctest.Wait()
				again := p.newCall() // nothing of it is in the way of another
				again.sendInvite("", offerLine)
				again.established(again.expect("SIP/2.0 200"))
				again.ack("")
			})
		})
	}
}

func TestAFullNodeSaysNothingWhereNothingCanBeEchoed(t *testing.T) {
	inDoor(t, nil, func(t *testing.T, n *node, d *testDoor, p *phone) {
		d.setFull(7)
		p.send("INVITE sip:x@127.0.0.1 SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n")
		p.drain()
		assert.Equal(t, []string{"> INVITE"}, n.rec.ladder(""))
	})
}

func TestARepeatedINVITEOfACallThatWasLetInIsNotRefused(t *testing.T) {
	inDoor(t, nil, func(t *testing.T, n *node, d *testDoor, p *phone) {
		n.mu.Lock()
		n.serve = nil
		n.mu.Unlock()
		c := p.newCall()
		c.sendInvite("", offerLine)
		p.expect("SIP/2.0 100")
		l := n.leg()
		d.setFull(5)
		p.send(c.invite)
		assert.Equal(t, "SIP/2.0 100 Trying", startOf(p.next()))
		require.NoError(t, l.Reject(t.Context(), 486))
		p.expect("SIP/2.0 486")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
	})
}

func TestAFullNodeRefusesOverTCP(t *testing.T) {
	d := &testDoor{full: 7}
	n := startNode(t, nil, Config{Listeners: []Listener{{"tcp", "127.0.0.1:0"}}}, WithDoor(d))
	defer n.stop()
	p := n.tcpPhone(0)
	defer p.close()
	p.newCall().sendInvite("", offerLine)
	res := p.next()
	require.Equal(t, "SIP/2.0 503 Service Unavailable", startOf(res), "no 100 before it")
	assert.Equal(t, "7", field(res, "Retry-After"))
	assert.True(t, isStateless(tagIn(field(res, "To"))))
}

// slowHub is a network in whose sockets datagrams lie for a while.
type slowHub struct{ *hub }

func (h slowHub) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	conn, err := h.hub.ListenPacket(ctx, network, address)
	return slowConn{conn}, err
}

type slowConn struct{ net.PacketConn }

func (c slowConn) ReadWaited(b []byte) (int, net.Addr, time.Duration, error) {
	n, from, err := c.ReadFrom(b)
	return n, from, 7 * time.Millisecond, err
}

func TestTheDoorIsToldHowLongAnINVITEWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &testDoor{}
		n := startNode(t, slowHub{newHub()}, Config{Listeners: []Listener{{"udp", "127.0.0.1:5060"}}}, WithDoor(d)).answering()
		defer n.stop()
		p := n.udpPhone()
		defer p.close()
		p.newCall().sendInvite("", offerLine)
		p.expect("SIP/2.0 200")
		assert.Equal(t, []time.Duration{7 * time.Millisecond}, d.waited)
	})
}

func TestAFullNodeLooksAtNoGrammar(t *testing.T) {
	inDoor(t, nil, func(t *testing.T, n *node, d *testDoor, p *phone) {
		p.newCall().sendInvite("Max-Breadth: \x01\r\n", offerLine)
		assert.Equal(t, "SIP/2.0 400 Control Character In Header Field", startOf(p.next()))
		d.setFull(7)
		p.newCall().sendInvite("Max-Breadth: \x01\r\n", offerLine)
		assert.Equal(t, "SIP/2.0 503 Service Unavailable", startOf(p.next()))
	})
}

func TestOPTIONSFromManySourcesLeaveNothingBehind(t *testing.T) {
	inDoor(t, nil, func(t *testing.T, n *node, _ *testDoor, p *phone) {
		synctest.Wait()
		before := n.transport.Pool("udp").Size()
		c := p.newCall()
		for range 100 {
			p.send(c.request("OPTIONS", c.uri, 1, newBranch(), "", ""))
			res := p.next()
			require.Equal(t, "SIP/2.0 200 OK", startOf(res))
			assert.Equal(t, allow, field(res, "Allow"))
			assert.Equal(t, accept, field(res, "Accept"))
		}
		assert.Equal(t, before, n.transport.Pool("udp").Size())
	})
}

func TestStrangeRequestsThatAreKeptAreBounded(t *testing.T) {
	r := &recently{most: 10}
	now := time.Unix(1000, 0)
	for range 10 {
		require.True(t, r.add(now))
		now = now.Add(time.Second)
	}
	assert.False(t, r.add(now))
	assert.False(t, r.add(now.Add(linger()-15*time.Second)))
	assert.True(t, r.add(now.Add(linger())), "the first ones are gone by now")
	assert.True(t, r.add(now.Add(time.Hour)))
	assert.Equal(t, 0, r.sum)
}

func TestASourceOverItsRateGets503(t *testing.T) {
	inDoor(t, func(c *Config) { c.MaxRequestsPerSource = 2 }, func(t *testing.T, n *node, d *testDoor, p *phone) {
		c := p.call()
		second := p.call()
		n.leg()
		p.newCall().sendInvite("", offerLine)
		assert.Equal(t, "1", field(p.expect("SIP/2.0 503"), "Retry-After"))
		p.newCall().sendInvite("", offerLine)
		p.expect("SIP/2.0 503")
		c.inDialog("BYE", "", "") // what belongs to a call is not counted
		c.expect("SIP/2.0 200")
		require.Equal(t, []string{"rate_limit", "rate_limit"}, d.refusals())
		assert.True(t, d.told[0].First)
		assert.False(t, d.told[1].First, "one line per burst")
		assert.Equal(t, netip.MustParseAddr("127.0.0.1"), d.told[0].Source)
		time.Sleep(time.Second)
		p.call().inDialog("BYE", "", "")
		p.expect("SIP/2.0 200")
		second.inDialog("BYE", "", "")
		p.expect("SIP/2.0 200")
	})
}

func TestTheCallIDOfARefusedCallOpensNoDoor(t *testing.T) {
	inDoor(t, func(c *Config) { c.MaxRequestsPerSource = 1 }, func(t *testing.T, n *node, d *testDoor, p *phone) {
		n.mu.Lock()
		n.admit = func(Invitation) error { return &StatusError{Code: 404} }
		n.mu.Unlock()
		c := p.newCall()
		c.sendInvite("", offerLine)
		p.expect("SIP/2.0 404")
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		synctest.Wait()             // it has been forgotten by now
		c.sendInvite("", offerLine) // on another transaction
		p.expect("SIP/2.0 503")
	})
}
