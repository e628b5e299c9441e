package sipstack

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func TestWhichACKIsTakenWhereItIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		change    func(ack string, c *dialogue) string
		confirmed bool // another one has come before
		taken     bool
	}{
		"the one that is waited for": {taken: true},
		"one with the branch of its INVITE": {func(ack string, c *dialogue) string {
			return strings.Replace(ack, "branch="+branchIn(ack), "branch="+c.branch, 1)
		}, false, true},
		"not of another number": {func(ack string, _ *dialogue) string {
			return strings.Replace(ack, "CSeq: 100 ", "CSeq: 101 ", 1)
		}, false, false},
		"not of another dialog": {func(ack string, _ *dialogue) string {
			return strings.Replace(ack, "tag=", "tag=another", 1)
		}, false, false},
		"not once there has been one": {confirmed: true},
		"not what the library refuses": {func(ack string, _ *dialogue) string {
			return strings.Replace(ack, "CSeq: 100 ACK", "CSeq: 100 INVITE", 1)
		}, false, false},
		"not what cannot be read": {func(string, *dialogue) string { return "ACK sip:bob@node.example SIP/2.0\r\n\r\n" }, false, false},
		"no other request": {func(ack string, _ *dialogue) string {
			return strings.ReplaceAll(ack, "ACK", "BYE")
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.newCall()
				c.sendInvite("", offerLine)
				c.established(c.expect("SIP/2.0 200"))
				l := n.leg()
				if tc.confirmed {
					c.ack("")
				}
				synctest.Wait()
				ack := c.ackText("")
				if tc.change != nil {
					ack = tc.change(ack, c)
				}

				taken := n.earlyAck([]byte(ack), p.wire.(*packetWire).conn.LocalAddr())
				synctest.Wait()

				assert.Equal(t, tc.taken, taken)
				assert.Equal(t, tc.taken || tc.confirmed, l.isConfirmed())
				c.ack("") // however it was, one that is sent counts
				synctest.Wait()
				assert.True(t, l.isConfirmed())
			})
		})
	}
}

func branchIn(text string) string {
	_, rest, _ := strings.Cut(text, "branch=")
	branch, _, _ := strings.Cut(rest, ";")
	return branch
}
