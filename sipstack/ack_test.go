package sipstack

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestARequestWaitsUntilTheACKBeforeItHasBeenFollowed(t *testing.T) {
	for name, in := range map[string]bool{"one that is in": true, "one that is missing": false} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.newCall()
				c.sendInvite("", offerLine)
				c.established(c.expect("SIP/2.0 200"))
				c.ack("")
				synctest.Wait()
				d := n.leg().dialog
				w := d.expectAck(200) // whoever waits does not come to it: the machine is busy
				if in {
					ack := sip.NewRequest(sip.ACK, sip.Uri{Scheme: "sip", Host: "node.example"})
					ack.AppendHeader(&sip.CSeqHeader{SeqNo: 200, MethodName: sip.ACK})
					require.True(t, d.acknowledged(ack))
				}
				pending := make(chan bool, 1)
				go func() { pending <- d.ackPending() }()

				time.Sleep(10 * ackGrace)
				synctest.Wait()
				assert.Len(t, pending, map[bool]int{true: 0, false: 1}[in], "it waits no longer than it has to")

				d.ackDone(w)
				assert.Equal(t, !in, <-pending)
			})
		})
	}
}

func branchIn(text string) string {
	_, rest, _ := strings.Cut(text, "branch=")
	branch, _, _ := strings.Cut(rest, ";")
	return branch
}
