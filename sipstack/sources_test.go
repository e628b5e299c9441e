package sipstack

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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

func TestWhoHadACallIsNotSilencedForTenMinutes(t *testing.T) {
	began, ip := time.Unix(1000, 0), netip.MustParseAddr("192.0.2.1")
	s := newSources(0, 3)
	s.arrived(ip, began)
	over := began.Add(time.Hour)
	s.left(ip, over)
	for range 50 {
		require.Zero(t, s.failed(ip, over.Add(10*time.Minute-time.Nanosecond)))
	}
	assert.Positive(t, s.failed(ip, over.Add(10*time.Minute)))
}

// A call may be handed over to another address, which may have failed before.
func TestWhatBelongsToACallIsAnsweredWhoeverSendsIt(t *testing.T) {
	inDoor(t, func(c *Config) { c.SilenceAfter = 3 }, func(t *testing.T, n *node, d *testDoor, p *phone) {
		c := p.call()
		other := n.udpPhoneAt("127.0.0.2:7000")
		defer other.close()
		for range 3 {
			require.True(t, failing(other))
		}
		require.False(t, failing(other))
		other.send(c.request("BYE", c.target, c.cseq+1, newBranch(), "", ""))
		other.expect("SIP/2.0 200")
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

func TestKnownNetworksAreNotSilencedForWrongPasswords(t *testing.T) {
	now, stranger := time.Unix(1000, 0), netip.MustParseAddr("198.51.100.1")
	d := newDoor(Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, PSTNTrunks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
		SilenceAfter: 3,
	}, &testDoor{}, nil, testGate(), "")
	for _, ip := range []string{"192.0.2.1", "203.0.113.1"} {
		known := netip.MustParseAddr(ip)
		for i := range 50 {
			d.unauthenticated(known, AuthWrong, now)
			d.unauthenticated(known, "", now.Add(time.Duration(i)*2*challengeWait))
		}
		assert.False(t, d.sources.silenced(known, now), ip)
	}
	for range 3 {
		d.unauthenticated(stranger, AuthWrong, now)
	}
	assert.True(t, d.sources.silenced(stranger, now))
}
