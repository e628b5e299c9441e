package sipstack

import (
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
	mu   sync.Mutex
	full int
	told []Refusal
}

func (d *testDoor) Full() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

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
	assert.Equal(t, "7", field(p.expect("SIP/2.0 503"), "Retry-After"))
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

// failing sends a request that only scanners send often, and returns whether it was answered.
func failing(p *phone) bool {
	c := p.newCall()
	p.send(c.request("REGISTER", c.uri, 1, newBranch(), "", ""))
	synctest.Wait()
	for {
		select {
		case res := <-p.in: // there may be sound, too
			if strings.HasPrefix(res, "SIP/2.0 405") {
				return true
			}
		default:
			return false
		}
	}
}

func TestScannersGetNoAnswer(t *testing.T) {
	inDoor(t, func(c *Config) { c.SilenceAfter = 5 }, func(t *testing.T, n *node, d *testDoor, p *phone) {
		for _, length := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			for range 5 {
				require.True(t, failing(p))
			}
			require.False(t, failing(p))
			p.newCall().sendInvite("", offerLine)
			time.Sleep(length - time.Millisecond)
			p.send("hello\r\n\r\n")
			require.False(t, failing(p))
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, Refusal{Source: netip.MustParseAddr("127.0.0.1"), Reason: RefusedSilence, First: true, For: time.Minute}, d.told[0])
		p.call().inDialog("BYE", "", "")
		p.expect("SIP/2.0 200")
	})
}

func TestTheACKOfTheLastAnswerBeforeSilenceIsTaken(t *testing.T) { // else the answer is repeated for half a minute
	inDoor(t, func(c *Config) { c.SilenceAfter = 1 }, func(t *testing.T, n *node, d *testDoor, p *phone) {
		n.mu.Lock()
		n.admit = func(Invitation) error { return &StatusError{Code: 404} }
		n.mu.Unlock()
		c := p.newCall()
		c.sendInvite("", offerLine)
		c.to = field(p.expect("SIP/2.0 404"), "To")
		require.Equal(t, []string{RefusedSilence}, d.refusals())
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		p.silent(time.Minute - time.Second)
		assert.Equal(t, []string{RefusedSilence}, d.refusals(), "the ACK is not turned away")
	})
}

func TestWhatCountsAsAFailure(t *testing.T) {
	invite := func(extra string) func(p *phone) {
		return func(p *phone) { p.newCall().sendInvite(extra, offerLine) }
	}
	other := func(method string) func(p *phone) {
		return func(p *phone) { c := p.newCall(); p.send(c.request(method, c.uri, 1, newBranch(), "", "")) }
	}
	wrong := `Authorization: Digest username="alice", realm="r", nonce="n", uri="sip:bob@node.example", response="00"` + "\r\n"
	for name, tc := range map[string]struct {
		send     func(*phone)
		users    bool
		unknown  bool // the INVITE's user is
		silenced bool
	}{
		"REGISTER":          {send: other("REGISTER"), silenced: true},
		"an unknown method": {send: other("FOO"), silenced: true},
		"OPTIONS":           {send: other("OPTIONS")},
		"noise":             {send: func(p *phone) { p.send("\x80noise") }, silenced: true},
		"keep-alives":       {send: func(p *phone) { p.send("\r\n\r\n") }},
		"a bad request": {send: func(p *phone) {
			c := p.newCall()
			p.send(strings.Replace(c.request("INVITE", c.uri, 1, newBranch(), "", ""), "1 INVITE", "1 BYE", 1))
		}, silenced: true},
		"an unknown user":    {send: invite(""), unknown: true, silenced: true},
		"a wrong password":   {send: invite(wrong), users: true, silenced: true},
		"refused by the app": {send: invite("")},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(c *Config) {
				c.SilenceAfter, c.Realm = 3, "r"
				if tc.users {
					c.Users = alice
				}
			}
			inDoor(t, change, func(t *testing.T, n *node, d *testDoor, p *phone) {
				code := 486
				if tc.unknown {
					code = 404
				}
				n.mu.Lock()
				n.admit = func(Invitation) error { return &StatusError{Code: code} }
				n.mu.Unlock()
				for range 4 {
					tc.send(p)
					synctest.Wait()
				}
				silenced := false
				for _, r := range d.refusals() {
					silenced = silenced || r == RefusedSilence
				}
				assert.Equal(t, tc.silenced, silenced)
			})
		})
	}
}

func TestChallengesWithoutCredentialsCountOnceTheyHaveNotBeenAnswered(t *testing.T) {
	now, ip := time.Unix(1000, 0), netip.MustParseAddr("192.0.2.1")
	s := newSources(0, 5)
	for range 50 { // a proxy with fifty calls in one breath
		require.Zero(t, s.challenged(ip, now))
	}
	s.arrived(ip, now)
	s.left(ip, now)
	require.Zero(t, s.challenged(ip, now.Add(time.Minute)))

	stranger := netip.MustParseAddr("192.0.2.2")
	for range 5 {
		require.Zero(t, s.challenged(stranger, now))
	}
	assert.Equal(t, firstSilence, s.challenged(stranger, now.Add(challengeWait+time.Millisecond)))
}

func TestWhoIsNeverSilenced(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"sip.allow":       func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
		"sip.pstn_trunks": func(c *Config) { c.PSTNTrunks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
		"switched off":    func(c *Config) { c.SilenceAfter = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			inDoor(t, func(c *Config) { c.SilenceAfter = 3; change(c) }, func(t *testing.T, _ *node, d *testDoor, p *phone) {
				for range 50 {
					require.True(t, failing(p))
				}
				assert.Empty(t, d.refusals())
			})
		})
	}
	t.Run("a call is up", func(t *testing.T) {
		inDoor(t, func(c *Config) { c.SilenceAfter = 3 }, func(t *testing.T, _ *node, d *testDoor, p *phone) {
			c := p.call()
			for range 50 {
				require.True(t, failing(p))
			}
			time.Sleep(time.Hour)
			require.True(t, failing(p))
			c.inDialog("BYE", "", "")
			c.expect("SIP/2.0 200")
			assert.Empty(t, d.refusals())
		})
	})
}

func TestFailuresAreForgivenWithTime(t *testing.T) {
	now, ip := time.Unix(1000, 0), netip.MustParseAddr("192.0.2.1")
	s := newSources(0, 3)
	for range 1000 {
		now = now.Add(forgiveAfter)
		require.Zero(t, s.failed(ip, now))
	}
	require.Zero(t, s.failed(ip, now))
	assert.Positive(t, s.failed(ip, now))
}

func TestIPv6SourcesCountByTheirNetwork(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newSources(1, 0)
	over, _ := s.limited(netip.MustParseAddr("2001:db8::1"), now)
	assert.False(t, over)
	over, first := s.limited(netip.MustParseAddr("2001:db8::ffff:2"), now)
	assert.True(t, over && first)
	over, _ = s.limited(netip.MustParseAddr("2001:db8:0:1::1"), now)
	assert.False(t, over)
	over, _ = s.limited(netip.MustParseAddr("::ffff:192.0.2.1"), now)
	assert.False(t, over)
	over, _ = s.limited(netip.MustParseAddr("192.0.2.1"), now)
	assert.True(t, over)
}

func TestForgedSourcesFillNoMemoryAndSpareWhoHasACall(t *testing.T) {
	now, caller, scanner := time.Unix(1000, 0), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	s := newSources(0, 2)
	s.kept = 100
	s.arrived(caller, now)
	s.failed(scanner, now)
	require.Positive(t, s.failed(scanner, now))
	for i := range 10_000 {
		s.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	assert.LessOrEqual(t, len(s.seen), 100)
	assert.True(t, s.silenced(scanner, now))
	assert.Equal(t, 1, s.seen[caller].calls)
	for i := range 10_000 { // each is silenced, so that none can be forgotten: the rest goes free
		ip := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		s.failed(ip, now)
		s.failed(ip, now)
	}
	assert.LessOrEqual(t, len(s.seen), 100)
	assert.False(t, s.silenced(caller, now))
}

func TestASilencedSourceIsNotListenedToOverTCP(t *testing.T) {
	d := &testDoor{}
	n := startNode(t, nil, Config{Listeners: []Listener{{"tcp", "127.0.0.1:0"}}, SilenceAfter: 2}, WithDoor(d))
	defer n.stop()
	p := n.tcpPhone(0)
	defer p.close()
	for range 2 {
		c := p.newCall()
		p.send(c.request("REGISTER", c.uri, 1, newBranch(), "", ""))
		p.expect("SIP/2.0 405")
	}
	p.newCall().sendInvite("", offerLine)
	<-p.done // closed
	conn, err := net.Dial("tcp", n.Addrs()[0].String())
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	assert.Error(t, err)
	require.NoError(t, conn.Close())
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
