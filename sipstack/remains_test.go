package sipstack

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kept is how many whole dialogs there are, of how many there is what remains, and how many INVITEs are known.
func (n *node) kept() (dialogs, ended, invites int) {
	n.Stack.mu.Lock()
	dialogs, invites = len(n.dialogs), len(n.invites)
	n.Stack.mu.Unlock()
	for _, key := range n.bygones.ages.keys() {
		switch key[0] {
		case dialogKey:
			ended++
		case inviteKey:
			invites++
		}
	}
	return dialogs, ended, invites
}

// keys are those under which something is found.
func (a *ages) keys() (keys []string) {
	a.mu.Lock()
	for _, g := range a.ages {
		for _, at := range g.where {
			entry := g.pieces[at.piece][at.offset:]
			keys = append(keys, string(entry[entryHead:entryHead+int(binary.BigEndian.Uint16(entry[8:]))]))
		}
	}
	a.mu.Unlock()
	return slices.DeleteFunc(keys, func(key string) bool {
		_, found := a.find([]byte(key))
		return !found
	})
}

func TestOfAnEndedDialogOnlyWhatAnswersLateRequestsIsKept(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		r := refer(t, n.leg())
		p.reply(p.expect("REFER"), 202, "")
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		p.expect("SIP/2.0 200")
		<-r.Done()
		bye := c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		require.ErrorIs(t, n.end(), ErrRemoteHangup)
		time.Sleep(reduceAfter + 500*time.Millisecond) // fake
		synctest.Wait()
		dialogs, ended, invites := n.kept()
		assert.Equal(t, []int{0, 1, 1}, []int{dialogs, ended, invites})

		p.send(strings.Replace(bye, "branch=z9hG4bK", "branch=z9hG4bKx", 1))
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()), "a BYE that comes by another way is answered as the first")
		c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
		c.inDialog("NOTIFY", "Event: refer\r\n", "")
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
		synctest.Wait()
		assert.Equal(t, 2, n.rec.late)
		c.inDialog("NOTIFY", "Event: refer;id=7\r\n", "")
		p.next()
		c.inDialog("NOTIFY", "Event: presence\r\n", "")
		p.next()
		c.inDialog("INFO", "", "")
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
		synctest.Wait()
		assert.Equal(t, 2, n.rec.late, "no REFER of the call's is meant")
		ladder := n.rec.ladder("c-" + c.callID)
		assert.Equal(t, "< 481 INFO", ladder[len(ladder)-1], "it is still told as the call's")

		c.ack("") // of the 200, and late
		c.to = "<sip:bob@node.example>"
		c.cseq = 100
		p.send(c.request("INVITE", c.uri, c.cseq, newBranch(), "", offerLine))
		assert.Equal(t, "SIP/2.0 482 Loop Detected", startOf(p.next()), "a copy of the INVITE")
		synctest.Wait()
		ladder = n.rec.ladder("c-" + c.callID)
		assert.Equal(t, []string{"> INVITE", "< 482 INVITE"}, ladder[len(ladder)-2:], "it is told as the call's, too")

		time.Sleep(linger()) // fake
		synctest.Wait()
		dialogs, ended, invites = n.kept()
		assert.Equal(t, []int{0, 0, 0}, []int{dialogs, ended, invites})
	})
}

func TestAByeBehindOursIsAnsweredByWhatRemains(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		done := make(chan error, 1)
		l := n.leg()
		go func() { done <- l.Bye(t.Context()) }()
		p.reply(p.next(), 200, "")
		require.NoError(t, <-done)
		time.Sleep(reduceAfter + 500*time.Millisecond) // fake
		synctest.Wait()
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()), "the peer has what it wants")
		_, ended, _ := n.kept()
		assert.Equal(t, 1, ended)
	})
}

func TestADialogWhoseRequestIsBeingHandledStaysWhole(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		synctest.Wait()
		require.Equal(t, admitted, l.dialog.inbox.enter(uint32(c.cseq+1))) // another request
		l.over(ErrRemoteHangup)
		time.Sleep(reduceAfter + 500*time.Millisecond) // fake
		synctest.Wait()
		dialogs, ended, _ := n.kept()
		assert.Equal(t, []int{1, 0}, []int{dialogs, ended})
		l.dialog.inbox.leave(answer{string(sip.INFO), 200, "OK"})
		c.cseq++
		p.send(c.request("INFO", c.target, c.cseq, newBranch(), "", ""))
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()), "as it was answered")
		time.Sleep(linger()) // fake
		synctest.Wait()
		dialogs, ended, _ = n.kept()
		assert.Equal(t, []int{0, 0}, []int{dialogs, ended})
	})
}

// An INVITE that comes once more after its transaction has ended is still a repetition of it, and an ACK with its branch is taken.
func TestARepeatedInviteOfAnAcknowledgedCallGetsNothing(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		transactions := n.transactionsOf(sip.INVITE)
		n.answering()
		c := p.call()
		n.leg()
		tx := <-transactions
		time.Sleep(reduceAfter + 500*time.Millisecond) // fake
		synctest.Wait()
		select {
		case <-tx.Done():
		default:
			assert.Fail(t, "the library still has its transaction")
		}
		for _, at := range []time.Duration{time.Second, 10 * time.Second, 15 * time.Second} {
			time.Sleep(at) // fake
			p.send(c.invite)
			p.send(c.request("ACK", c.target, c.cseq, c.branch, "", ""))
			p.silent(500 * time.Millisecond)
		}
		assert.Empty(t, transactions)
		_, sentBy, _ := strings.Cut(field(c.invite, "Via"), " ")
		sentBy, _, _ = strings.Cut(sentBy, ";")
		p.send(strings.Replace(c.invite, sentBy, "198.51.100.7:5060", 1))
		assert.Equal(t, "SIP/2.0 482 Loop Detected", startOf(p.next()), "another element may have the same branch")
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
	})
}

// A phone that has lost its connection may send its INVITE by another, as it was.
func TestAnInviteRepeatedOverTCPIsNoLoop(t *testing.T) {
	n := startNode(t, nil, Config{Listeners: []Listener{{"tcp", "127.0.0.1:0"}}})
	defer n.stop()
	transactions := n.transactionsOf(sip.INVITE)
	n.answering()
	p := n.tcpPhone(0)
	defer p.close()
	c := p.call()
	n.leg()
	<-(<-transactions).Done()
	p.send(c.invite)
	<-(<-transactions).Done()
	c.inDialog("BYE", "", "")
	assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
}

func TestWhatGoesOutAfterACanceledReinviteIsWhole(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		transactions := n.transactionsOf(sip.INVITE)
		n.answering()
		c := p.call()
		n.leg()
		<-transactions
		synctest.Wait()
		c.cseq++
		branch := newBranch()
		p.send(c.request("INVITE", c.target, c.cseq, branch, "", offerLine))
		p.send(c.request("CANCEL", c.target, c.cseq, branch, "", ""))
		c.ack("")
		time.Sleep(20 * time.Second) // fake
		p.drain()
		c.inDialog("BYE", "", "")
		for text := p.next(); ; text = p.next() {
			require.NotEmpty(t, field(text, "Via"), "what goes out is whole: %q", text)
			if strings.HasSuffix(field(text, "CSeq"), "BYE") {
				break
			}
		}
	})
}
