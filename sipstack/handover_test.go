package sipstack

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// register is who knows the owners of dialogs.
type register struct {
	mu    sync.Mutex
	uri   string
	asked []string
}

func (r *register) Owner(_ context.Context, sipCallID string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, sipCallID)
	return r.uri, r.uri != ""
}

// besideOwner runs a test with a call on one node, and another node to which the phone sends whatever follows.
func besideOwner(t *testing.T, test func(t *testing.T, owner, other *node, known *register, c *dialogue)) {
	t.Helper()
	inMemory(t, Config{}, func(t *testing.T, owner *node, p *phone) {
		owner.answering()
		known := &register{uri: "sip:" + owner.Addrs()[0].String()}
		other := startNode(t, owner.net, Config{}, WithOwners(known))
		t.Cleanup(func() {
			synctest.Wait()
			other.stop()
		})
		c := p.call()
		synctest.Wait()
		p.drain()
		p.wire.(*packetWire).to = other.Addrs()[0]
		test(t, owner, other, known, c)
	})
}

func TestARequestAtTheWrongNodeIsHandedToTheOwnerOfItsDialog(t *testing.T) {
	besideOwner(t, func(t *testing.T, owner, other *node, known *register, c *dialogue) {
		l := owner.leg()
		c.inDialog("INFO", "", "")
		ok := c.phone.next()
		assert.Equal(t, "SIP/2.0 200 OK", startOf(ok))
		assert.Len(t, fields(ok, "Via"), 1, "that of the phone alone")
		assert.Contains(t, field(ok, "Via"), "rport=")

		c.inDialog("INVITE", "", offerLine)
		ok = c.expect("SIP/2.0 200")
		assert.Contains(t, bodyOf(ok), "m=audio")
		assert.Equal(t, "application/sdp", field(ok, "Content-Type"))
		assert.Contains(t, field(ok, "Contact"), owner.Addrs()[0].String())
		time.Sleep(600 * time.Millisecond) // fake
		assert.Equal(t, "SIP/2.0 200 OK", startOf(c.expect("SIP/2.0 200")), "repeated until its ACK is there")
		c.ack("")
		time.Sleep(10 * time.Second) // fake
		c.phone.drain()
		time.Sleep(40 * time.Second) // fake
		assert.Empty(t, c.phone.in, "the ACK has come to the owner")

		referral := refer(t, l)
		req := c.phone.next()
		assert.True(t, strings.HasPrefix(startOf(req), "REFER"))
		wire := c.phone.wire.(*packetWire)
		wire.to = owner.Addrs()[0] // a response goes to who sent the request
		c.phone.reply(req, 202, "")
		wire.to = other.Addrs()[0]
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		c.expect("SIP/2.0 200")
		<-referral.Done()
		assert.Equal(t, ReferSuccess, referral.Result().Status)

		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(c.phone.next()))
		require.ErrorIs(t, owner.end(), ErrRemoteHangup)
		for _, asked := range known.asked {
			assert.Equal(t, c.callID, asked)
		}
		assert.Empty(t, other.rec.ladder("c-"+c.callID), "the call is the owner's alone")
	})
}

func TestARequestWhoseOwnerIsOfNoUse(t *testing.T) {
	for name, tc := range map[string]struct {
		owner func(owner, other *node) string
		want  string
	}{
		"nobody knows it":              {func(_, _ *node) string { return "" }, "SIP/2.0 481"},
		"it has no such dialog":        {func(_, other *node) string { return "sip:" + other.Addrs()[0].String() }, "SIP/2.0 481"},
		"it has no URI":                {func(_, _ *node) string { return "nonsense" }, "SIP/2.0 481"},
		"it cannot be reached":         {func(_, _ *node) string { return "sip:127.0.0.1:9" }, "SIP/2.0 503"},
		"it does not answer":           {func(_, _ *node) string { return "sip:127.0.0.1:10" }, "SIP/2.0 408"},
		"there is no way to there":     {func(_, _ *node) string { return "sips:127.0.0.1:9" }, "SIP/2.0 481"},
		"its name cannot be looked up": {func(_, _ *node) string { return "sip:nowhere.example" }, "SIP/2.0 481"},
	} {
		t.Run(name, func(t *testing.T) {
			besideOwner(t, func(t *testing.T, owner, other *node, known *register, c *dialogue) {
				network := owner.net.(*hub)
				network.mu.Lock()
				network.unreachable = map[netip.AddrPort]bool{netip.MustParseAddrPort("127.0.0.1:9"): true}
				network.mu.Unlock()
				known.uri = tc.owner(owner, other)
				c.inDialog("BYE", "", "")
				time.Sleep(40 * time.Second) // fake
				assert.True(t, strings.HasPrefix(startOf(c.expect("SIP/2.0 ")), tc.want))
			})
		})
	}
}

func TestARequestIsHandedOverWithOneHopLess(t *testing.T) {
	besideOwner(t, func(t *testing.T, owner, _ *node, _ *register, c *dialogue) {
		for hops, want := range map[string]string{"0": "SIP/2.0 483 Too Many Hops", "1": "SIP/2.0 200 OK"} {
			c.cseq++
			req := c.request("OPTIONS", c.target, c.cseq, newBranch(), "", "")
			c.send(strings.Replace(req, "Max-Forwards: 70", "Max-Forwards: "+hops, 1))
			assert.Equal(t, want, startOf(c.phone.next()))
		}
	})
}
