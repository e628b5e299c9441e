package sipstack

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const finalNotify = "Event: refer;id=1\r\nSubscription-State: terminated\r\nContent-Type: message/sipfrag\r\n"

func TestReferralOutlivesTheBye(t *testing.T) {
	for name, order := range map[string][]string{"BYE first": {"BYE", "NOTIFY"}, "NOTIFY first": {"NOTIFY", "BYE"}} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
				n.answering()
				c := p.call()
				r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
				require.NoError(t, err)
				p.reply(p.next(), 202, "")
				synctest.Wait()
				for _, method := range order { // in one breath
					if method == "BYE" {
						c.inDialog("BYE", "", "")
					} else {
						c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
					}
				}
				assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
				assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
				<-r.Done()
				assert.Equal(t, ReferSuccess, r.Result().Status)
				require.ErrorIs(t, n.end(), ErrRemoteHangup)
				synctest.Wait()

				c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
				assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
				synctest.Wait()
				assert.Equal(t, 1, n.rec.late)
				ladder := n.rec.ladder("c-" + c.callID)
				assert.Equal(t, "< 481 NOTIFY", ladder[len(ladder)-1], "it is still told as the call's")
			})
		})
	}
}

func TestOnlyTheReferralIsLeftAfterTheBye(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		r, err := l.Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		for _, method := range []string{"BYE", "INVITE", "INFO"} {
			c.inDialog(method, "", "")
			assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()), method)
		}
		_, err = l.Refer(context.Background(), "sip:dave@example.com")
		require.ErrorIs(t, err, ErrRemoteHangup)
		<-r.Done()
		assert.Equal(t, EvidenceNotifyTimeout, r.Result().Evidence)
		synctest.Wait()
		assert.True(t, l.dialog.isGone())
		time.Sleep(33 * time.Second) // fake
		synctest.Wait()
		assert.Empty(t, n.dialogs)
		assert.Empty(t, n.invites)
		assert.Empty(t, n.tap.threads)
	})
}

func TestInterruptEndsReferrals(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.call()
		r, err := n.leg().Refer(context.Background(), "sip:carol@example.com")
		require.NoError(t, err)
		p.reply(p.next(), 202, "")
		synctest.Wait()
		n.Interrupt()
		<-r.Done()
		assert.Equal(t, EvidenceInterrupted, r.Result().Evidence)
	})
}

func TestReferToALostDialog(t *testing.T) {
	for _, code := range []int{408, 481} {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			l := n.leg()
			r, err := l.Refer(context.Background(), "sip:carol@example.com")
			require.NoError(t, err)
			p.reply(p.next(), code, "")
			<-r.Done()
			assert.True(t, r.Result().DialogLost)
			require.ErrorIs(t, n.end(), ErrDialogLost)
			require.NoError(t, l.Bye(context.Background()))
			p.silent(time.Minute) // no BYE: nobody would know what it ends
		})
	}
}

func TestByesThatCross(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		bye := p.next()
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()))
		p.reply(bye, 481, "")
		require.NoError(t, <-done)
		assert.ErrorIs(t, l.Err(), ErrLocalHangup)
	})
}

func TestByeBehindTheAnswerToOurs(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.call()
		l := n.leg()
		done := make(chan error, 1)
		go func() { done <- l.Bye(context.Background()) }()
		p.reply(p.next(), 200, "")
		require.NoError(t, <-done)
		c.inDialog("BYE", "", "")
		assert.Equal(t, "SIP/2.0 200 OK", startOf(p.next()), "the peer has what it wants")
		c.inDialog("INFO", "", "")
		assert.Equal(t, "SIP/2.0 481 Call/Transaction Does Not Exist", startOf(p.next()))
	})
}

func TestKeepalive(t *testing.T) {
	cfg := Config{Keepalive: time.Minute}
	t.Run("answered", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			for _, code := range []int{200, 404, 500, 200, 408, 408, 405, 408, 408} {
				time.Sleep(55 * time.Second) // fake
				req := p.expect("OPTIONS")
				assert.Equal(t, allow, field(req, "Allow"))
				p.reply(req, code, "")
			}
			assert.NoError(t, n.leg().Err())
		})
	})
	t.Run("481", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			time.Sleep(55 * time.Second) // fake
			p.reply(p.expect("OPTIONS"), 481, "")
			require.ErrorIs(t, n.end(), ErrDialogLost)
			p.silent(5 * time.Minute)
		})
	})
	t.Run("a proxy says that nobody is there", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			for range 3 {
				time.Sleep(55 * time.Second) // fake
				p.reply(p.expect("OPTIONS"), 408, "")
			}
			p.reply(p.expect("BYE"), 200, "")
			require.ErrorIs(t, n.end(), ErrDialogLost)
		})
	})
	t.Run("nobody there", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			p.call()
			start := time.Now()
			n.net.(*hub).losing(func(_ []byte, to netip.AddrPort) bool { return to == p.wire.local() })
			timer := time.NewTimer(3 * (time.Minute + 32*time.Second))
			<-timer.C
			require.ErrorIs(t, n.end(), ErrDialogLost)
			assert.Equal(t, 3*(time.Minute+32*time.Second), n.leg().EndTime().Sub(start))
			time.Sleep(time.Minute) // fake: the BYE's own end
		})
	})
	t.Run("off after the end", func(t *testing.T) {
		inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
			n.answering()
			c := p.call()
			c.inDialog("BYE", "", "")
			c.expect("SIP/2.0 200")
			p.silent(10 * time.Minute)
		})
	})
}
