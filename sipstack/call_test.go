package sipstack

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inMemory runs a test on a network in memory, in fake time: whatever it waits for takes no time, and is exact.
func inMemory(t *testing.T, cfg Config, test func(t *testing.T, n *node, p *phone), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, newHub(), cfg, opts...)
		p := n.udpPhone()
		t.Cleanup(func() {
			synctest.Wait()
			n.stop()
			p.close()
			assert.Empty(t, n.rec.panics)
			time.Sleep(70 * time.Second) // fake: sipgo leaves timers behind that do nothing
		})
		test(t, n, p)
	})
}

func TestCallAnsweredAndHungUpByTheCaller(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		c := p.newCall()
		c.sendInvite("", offerLine)
		trying := p.next()
		assert.Equal(t, "SIP/2.0 100 Trying", startOf(trying))

		l := n.leg()
		require.NoError(t, l.Ring(context.Background()))
		ringing := p.next()
		assert.Equal(t, "SIP/2.0 180 Ringing", startOf(ringing))

		answered := make(chan error, 1)
		go func() { answered <- l.Answer(context.Background()) }()
		ok := p.next()
		assert.Equal(t, "SIP/2.0 200 OK", startOf(ok))
		assert.Equal(t, field(ringing, "To"), field(ok, "To"))
		assert.Equal(t, allow, field(ok, "Allow"))
		assert.Equal(t, []string{"100rel"}, fields(ok, "Supported"))
		assert.Equal(t, "callengine", field(ok, "Server"))
		assert.Equal(t, "<sip:bob@"+n.Addrs()[0].String()+">", field(ok, "Contact"))
		assert.Contains(t, bodyOf(ok), "m=audio")
		c.established(ok)
		synctest.Wait()
		select {
		case err := <-answered:
			require.FailNow(t, "answered without ACK", err)
		default:
		}
		c.ack("")
		require.NoError(t, <-answered)
		require.NoError(t, l.Answer(context.Background()), "a second answer does nothing")
		require.NoError(t, l.Ring(context.Background()), "nor does ringing")

		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		require.ErrorIs(t, n.end(), ErrRemoteHangup)
		require.NoError(t, l.Bye(context.Background()), "it is over already")
		assert.Equal(t, time.Now(), l.EndTime())

		assert.Equal(t, []string{
			"> INVITE", "< 100 INVITE", "< 180 INVITE", "< 200 INVITE", "> ACK", "> BYE", "< 200 BYE",
		}, n.rec.ladder("c-"+c.callID))
		assert.Equal(t, []string{"ack started 32s", "ack stopped 32s"}, n.rec.timerEvents())
	})
}

// soundTold notes what an observer had been told of a call when its sound was started.
type soundTold struct {
	*recorder
	ladder chan []string
}

func (o soundTold) Media(callID string, p media.Params) {
	o.recorder.Media(callID, p)
	o.ladder <- o.recorder.ladder(callID)
}

// The caller hears of the answer first: to have its sound started takes time.
func TestThe200GoesOutBeforeItsSoundIsStarted(t *testing.T) {
	told := soundTold{&recorder{}, make(chan []string, 10)}
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		assert.Contains(t, <-told.ladder, "< 200 INVITE")
	}, WithObserver(told))
}

func TestCallHungUpByUs(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		bye := p.next()
		assert.True(t, strings.HasPrefix(bye, "BYE sip:alice@"+p.wire.local().String()+" SIP/2.0"), bye)
		assert.Equal(t, c.from, field(bye, "To"))
		assert.Equal(t, c.to, field(bye, "From"))
		assert.Equal(t, "1 BYE", field(bye, "CSeq"))
		assert.Equal(t, allow, field(bye, "Allow"))
		assert.Empty(t, fields(bye, "Contact"))
		p.reply(bye, 200, "")
		require.NoError(t, <-done)
		assert.ErrorIs(t, l.Err(), ErrLocalHangup)
		assert.Empty(t, n.ends, "our own BYE is no news")
	})
}

func TestReferThroughTheDialog(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		r, err := l.Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		refer := p.next()
		assert.Equal(t, "<sip:carol@example.com>", field(refer, "Refer-To"))
		assert.Equal(t, "<sip:bob@node.example>", field(refer, "Referred-By"))
		assert.Equal(t, "<"+c.target+">", field(refer, "Contact"))
		assert.Equal(t, "70", field(refer, "Max-Forwards"))
		assert.Contains(t, field(refer, "Via")+";", ";rport;", "RFC 3581 section 3")
		p.reply(refer, 202, "")
		c.inDialog("NOTIFY", "Event: refer;id=1\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 200 OK\r\n")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		<-r.Done()
		assert.Equal(t, ReferSuccess, r.Result().Status)
		synctest.Wait()
		assert.Contains(t, n.rec.ladder("c-"+c.callID), "> NOTIFY")
	})
}

func TestCallOverRealSockets(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			n := startNode(t, nil, Config{Listeners: []Listener{{"udp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}}}).answering()
			defer n.stop()
			p := n.udpPhone()
			if transport == "tcp" {
				p.close()
				p = n.tcpPhone(1)
			}
			defer p.close()
			c := p.call()
			l := n.leg()
			r, err := l.Refer(context.Background(), "sip:carol@example.com")
			require.NoError(t, err)
			refer := p.expect("REFER")
			assert.Contains(t, field(refer, "Via"), n.Addrs()[map[string]int{"udp": 0, "tcp": 1}[transport]].String())
			p.reply(refer, 603, "")
			<-r.Done()
			assert.Equal(t, 603, r.Result().ReferCode)
			done := make(chan error, 1)
			go func() { done <- l.Bye(context.Background()) }()
			p.reply(p.expect("BYE"), 200, "")
			require.NoError(t, <-done)
			assert.Equal(t, []string{
				"> INVITE", "< 100 INVITE", "< 200 INVITE", "> ACK", "< REFER", "> 603 REFER", "< BYE", "> 200 BYE",
			}, n.rec.ladder("c-"+c.callID))
			for _, m := range n.rec.sip {
				assert.Equal(t, transport, m.Transport)
				assert.Equal(t, p.wire.local().String(), m.Remote)
			}
		})
	}
}

func TestCloseEndsCalls(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.serve = func(l *Leg) { _ = l.Answer(context.Background()) }
		p.call()
		n.leg()
		synctest.Wait()
		require.NoError(t, n.Close())
		require.ErrorIs(t, n.end(), ErrClosed)
		require.NoError(t, n.Close())
	})
}
