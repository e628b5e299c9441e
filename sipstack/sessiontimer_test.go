package sipstack

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var timers = Config{SessionExpires: 30 * time.Minute}

const updates = "Allow: INVITE, ACK, BYE, UPDATE\r\n"

// timed makes an answered call whose INVITE has these lines, and returns its 200.
func (p *phone) timed(extra string) (*dialogue, string) {
	p.t.Helper()
	c := p.newCall()
	c.sendInvite(extra, offerLine)
	ok := c.expect("SIP/2.0 200")
	c.established(ok)
	c.ack("")
	p.drain()
	return c, ok
}

// after returns the next message whose start line begins so, within a longer time than others have, and when it came.
func (p *phone) after(start string, within time.Duration) (string, time.Duration) {
	p.t.Helper()
	began := time.Now()
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case text := <-p.in:
			if strings.HasPrefix(text, start) {
				return text, time.Since(began)
			}
		case <-timer.C:
			require.FailNow(p.t, start+" did not come")
		}
	}
}

func TestSessionTimerOfAnInvite(t *testing.T) { // RFC 4028 section 9, table 2
	for name, tc := range map[string]struct {
		header, want, require string
	}{
		"of nobody":                       {"", "", ""},
		"supported":                       {"Supported: timer\r\n", "1800;refresher=uas", "timer"},
		"supported, compact":              {"k: 100rel, timer\r\n", "1800;refresher=uas", "timer"},
		"required":                        {"Require: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac", "timer"},
		"asked for":                       {"Supported: timer\r\nSession-Expires: 600\r\n", "600;refresher=uas", "timer"},
		"asked for, compact":              {"Supported: timer\r\nx: 600;refresher=uac\r\n", "600;refresher=uac", "timer"},
		"asked of us":                     {"Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", "600;refresher=uas", "timer"},
		"longer than ours":                {"Supported: timer\r\nSession-Expires: 7200;refresher=uac\r\n", "1800;refresher=uac", "timer"},
		"but never below Min-SE":          {"Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", "3600;refresher=uas", "timer"},
		"a proxy's":                       {"Session-Expires: 600\r\n", "600;refresher=uas", ""},
		"a proxy's, of the caller":        {"Session-Expires: 600;refresher=uac\r\n", "600;refresher=uas", ""},
		"a proxy's that is too short":     {"Session-Expires: 60\r\n", "", ""},
		"unreadable":                      {"Session-Expires: soon\r\n", "", ""},
		"unreadable, from who knows them": {"Supported: timer\r\nSession-Expires: soon\r\n", "1800;refresher=uas", "timer"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
				n.answering()
				_, ok := p.timed(tc.header)
				assert.Equal(t, tc.want, field(ok, "Session-Expires"))
				assert.Equal(t, tc.require, field(ok, "Require"))
				assert.Equal(t, "100rel, timer", field(ok, "Supported"))
			})
		})
	}
}

func TestSessionTimersSwitchedOff(t *testing.T) {
	inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
		n.answering()
		_, ok := p.timed("Supported: timer\r\nSession-Expires: 60\r\n")
		assert.Empty(t, fields(ok, "Session-Expires"))
		assert.Equal(t, "100rel", field(ok, "Supported"))
		p.silent(time.Hour)
		c := p.newCall()
		c.sendInvite("Require: timer\r\n", offerLine)
		assert.Equal(t, "timer", field(c.expect("SIP/2.0 420"), "Unsupported"))
	})
}

func TestSessionIntervalThatIsTooShort(t *testing.T) { // RFC 4028 sections 6 and 9: 422
	cfg := timers
	cfg.MinSE = 5 * time.Minute
	inMemory(t, cfg, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c := p.newCall()
		c.sendInvite("Supported: timer\r\nSession-Expires: 299\r\n", offerLine)
		assert.Equal(t, "300", field(c.expect("SIP/2.0 422 Session Interval Too Small"), "Min-SE"))
		c.send(c.request("ACK", c.uri, c.cseq, c.branch, "", ""))
		assert.Empty(t, n.legs, "nobody was asked")

		c, ok := p.timed("Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n")
		assert.Equal(t, "300;refresher=uac", field(ok, "Session-Expires"))
		l := n.leg()
		for _, method := range []string{"UPDATE", "INVITE"} {
			p.contact = "sip:nobody@127.0.0.9:9"
			c.inDialog(method, "Supported: timer\r\nSession-Expires: 100\r\n", offerLine+"a=sendonly\r\n")
			assert.Equal(t, "300", field(c.expect("SIP/2.0 422"), "Min-SE"), method)
			assert.True(t, l.session.params.Send, "everything is as it was")
		}
		go func() { _ = l.Bye(context.Background()) }()
		p.reply(c.expect("BYE sip:alice@"), 200, "")
	})
}

func TestSessionThatThePeerRefreshes(t *testing.T) { // RFC 4028 section 10
	for name, method := range map[string]string{"UPDATE": "UPDATE", "re-INVITE": "INVITE"} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
				n.answering()
				const header = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n"
				c, _ := p.timed(header)
				for range 3 {
					p.silent(9 * time.Minute)
					body := map[string]string{"INVITE": offerLine}[method]
					c.inDialog(method, header, body)
					ok := c.expect("SIP/2.0 200")
					assert.Equal(t, "600;refresher=uac", field(ok, "Session-Expires"))
					assert.Equal(t, "timer", field(ok, "Require"))
					if method == "INVITE" {
						c.ack("")
					}
				}
				bye, at := p.after("BYE", time.Hour)
				assert.Equal(t, 600*time.Second-32*time.Second, at)
				p.reply(bye, 200, "")
				err := n.end()
				require.ErrorIs(t, err, ErrDialogLost)
				require.ErrorIs(t, err, ErrSessionExpired)
				events := n.rec.timerEvents()
				assert.Equal(t, "session fired 10m0s", events[len(events)-1])
			})
		})
	}
}

func TestShortSessionEndsAThirdEarly(t *testing.T) { // RFC 4028 section 10: the lesser of 32 s and a third
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		p.timed("Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n")
		bye, at := p.after("BYE", time.Hour)
		assert.Equal(t, 60*time.Second, at)
		p.reply(bye, 200, "")
	})
}

func TestSessionTimerAndReinviteThatSaysNothingOfIt(t *testing.T) { // RFC 4028 section 9: the roles stay
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n")
		c.inDialog("INVITE", "Supported: timer\r\n", offerLine+"a=sendonly\r\n")
		assert.Equal(t, "1800;refresher=uac", field(c.expect("SIP/2.0 200"), "Session-Expires"))
		c.ack("")
		c.inDialog("INVITE", "", offerLine)
		assert.Equal(t, "1800;refresher=uas", field(c.expect("SIP/2.0 200"), "Session-Expires"), "nobody else would")
		c.ack("")
	})
}

func TestSessionTimerEndsWithTheCall(t *testing.T) {
	inMemory(t, timers, func(t *testing.T, n *node, p *phone) {
		n.answering()
		c, _ := p.timed("Supported: timer\r\n")
		c.inDialog("BYE", "", "")
		c.expect("SIP/2.0 200")
		synctest.Wait()
		events := n.rec.timerEvents()
		assert.Equal(t, "session stopped 30m0s", events[len(events)-1])
		p.silent(time.Hour)
	})
}
