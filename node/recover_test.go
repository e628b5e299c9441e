package node_test

import (
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answeredBy is the entry of a call that pauses which says that it is answered.
const answeredBy = 14

var audioPort = regexp.MustCompile(`m=audio (\d+) `)

func TestARestoredCallWhoseRTPPortIsTakenTellsItsNewOneByAReINVITE(t *testing.T) {
	var taken net.PacketConn
	crashed := crashAfter(t, crashSetup{
		app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: time.Second,
		between: func(c *crash) {
			c.phone.mu.Lock()
			port := audioPort.FindStringSubmatch(c.line.answer)
			c.phone.mu.Unlock()
			require.Len(c.t, port, 2)
			var err error
			taken, err = c.net.ListenPacket(c.t.Context(), "udp", "10.0.0.1:"+port[1])
			require.NoError(c.t, err)
		},
	}, answeredBy, func(c *crash) {
		c.promises()
		if !assert.Len(c.t, c.line.offers, 1) {
			return
		}
		before, after := audioPort.FindStringSubmatch(c.line.answer), audioPort.FindStringSubmatch(c.line.offers[0])
		require.Len(c.t, after, 2)
		assert.NotEqual(c.t, before[1], after[1])
		origin := regexp.MustCompile(`o=- (\d+) (\d+) `)
		was, is := origin.FindStringSubmatch(c.line.answer), origin.FindStringSubmatch(c.line.offers[0])
		assert.Equal(c.t, was[1], is[1], "the session is the same")
		assert.Greater(c.t, is[2], was[2], "its version is higher (RFC 3264 section 8)")
		cause, message := c.cause()
		assert.Equal(c.t, "hangup", cause, message)
		assert.NoError(c.t, taken.Close())
	})
	assert.True(t, crashed)
}

func TestARestoredCallKeepsItsRTPPort(t *testing.T) {
	crashed := crashAfter(t, crashSetup{
		app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: time.Second,
	}, answeredBy, func(c *crash) {
		c.promises()
		assert.Empty(c.t, c.line.offers)
	})
	assert.True(t, crashed)
}

func TestACallWhoseApplicationIsGoneIsHungUpWithThatReason(t *testing.T) {
	crashed := crashAfter(t, crashSetup{
		app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: time.Second,
		between: func(c *crash) {
			c.change = func(cfg *node.Config) { cfg.Applications[0].ID = "another" }
		},
	}, answeredBy, func(c *crash) {
		assert.True(c.t, c.line.over)
		assert.Empty(c.t, c.line.faults)
		cause, message := c.cause()
		assert.Equal(c.t, "error", cause)
		assert.Equal(c.t, `the node was restarted: its application "app" is not configured any more`, message)
		left, err := c.store.Unfinished(c.t.Context())
		require.NoError(c.t, err)
		assert.Empty(c.t, left)
	})
	assert.True(t, crashed)
}

func TestAnINVITEThatComesAgainAfterTheCrashIsNoSecondCall(t *testing.T) {
	for _, moment := range []int{1, 3, 8, answeredBy} {
		crashed := crashAfter(t, crashSetup{
			app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: time.Second,
			between: func(c *crash) {
				c.phone.mu.Lock()
				defer c.phone.mu.Unlock()
				for _, after := range []time.Duration{time.Millisecond, 500 * time.Millisecond, 2 * time.Second} {
					c.line.later(after, func() { c.phone.send(c.line.invite) })
				}
			},
		}, moment, func(c *crash) { c.promises() })
		assert.True(t, crashed)
	}
}

// TestACallThatHadNotBegunBeginsIfItsCallerStillWaits: its node died after the journal's first entry, the INVITE.
func TestACallThatHadNotBegunBeginsIfItsCallerStillWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		away    time.Duration
		tcp     bool
		begins  bool
		refused int
	}{
		"in time":                           {away: 20 * time.Second, begins: true},
		"too late":                          {away: 40 * time.Second, refused: 408},
		"its connection went with its node": {away: time.Second, tcp: true},
	} {
		t.Run(name, func(t *testing.T) {
			crashed := crashAfter(t, crashSetup{
				app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: tc.away, tcp: tc.tcp,
			}, 1, func(c *crash) {
				c.promises()
				assert.Equal(c.t, tc.refused, c.line.refused)
				assert.Equal(c.t, tc.begins, c.line.answered)
				assert.Equal(c.t, tc.begins, len(c.app.Events()) > 0, "nobody is told of a call that nobody waits for")
			})
			assert.True(t, crashed)
		})
	}
}

func TestAPauseGoesOnForTheRestOfItsTime(t *testing.T) {
	var began time.Time
	crashed := crashAfter(t, crashSetup{
		app: answers(map[string]string{"initiate": `<Pause duration="20"/>`}), away: 5 * time.Second,
	}, answeredBy, func(c *crash) {
		e := c.app.EventsOf("disconnect")
		require.NotEmpty(c.t, e)
		began = c.app.EventsOf("initiate")[0].Time
		assert.InDelta(c.t, 20.0, e[0].Time.Sub(began).Seconds(), 0.2)
	})
	assert.True(t, crashed)
}

func TestASnapshotIsNotReadOutOfTheJournal(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.call(response(`<Pause duration="1"/>`))
		c.Expect("BYE")
		e := b.disconnect("hangup", "")
		status, body := b.get(strings.TrimPrefix(e.Text("callUrl"), "http://10.0.0.1:8088") + "/journal")
		require.Equal(t, 200, status)
		assert.Contains(t, body, `"type":"dialog"`)
		assert.NotContains(t, body, "snapshot")
	})
}

// bye is the journal's entry of a BYE of the phone with that number.
func (l *line) bye(callID string, cseq int) state.Entry {
	text := l.request("BYE", cseq, "lost", "", "")
	return state.Entry{CallID: callID, Type: state.TypeSIP, SIP: &state.SIP{
		Direction: "in", Transport: "udp", Local: l.phone.node.String(), Remote: l.phone.conn.LocalAddr().String(),
		Method: "BYE", CSeq: uint32(cseq), Raw: text,
	}}
}

func TestANOTIFYCountsThatABYEHasOvertakenWhileNobodyWasThere(t *testing.T) {
	seen := 0
	for moment := answeredBy + 6; ; moment++ {
		crashed := crashAfter(t, crashSetup{
			app: answers(map[string]string{"initiate": referDocument}), phone: phoneScript{notify: 200, after: time.Second}, away: 3 * time.Second,
			between: func(c *crash) { // a process that lived for a moment took the BYE, and nothing else
				c.phone.mu.Lock()
				defer c.phone.mu.Unlock()
				if len(c.line.refers) == 0 || c.line.over || len(c.line.waiting) == 0 {
					return
				}
				seen++
				c.line.over = true
				c.line.cseq++
				_, err := c.store.Append(c.t.Context(), c.line.bye(idsOf(c.t, c.store)[0], c.line.cseq))
				require.NoError(c.t, err)
			},
		}, moment, func(c *crash) {
			c.promises()
			assert.Len(c.t, c.events("referComplete"), 1)
			c.referred("success")
			assert.Equal(c.t, []int{200}, c.line.told)
		})
		if !crashed || t.Failed() {
			break
		}
	}
	assert.Positive(t, seen)
}

func TestACallIsNotLeftUpWhoseEndWasWrittenDownAndNotHeard(t *testing.T) {
	for name, tc := range map[string]struct {
		document string
		want     int
	}{
		"a BYE":     {`<Pause duration="1"/>`, 0},
		"a refusal": {`<Hangup/>`, 603},
	} {
		t.Run(name, func(t *testing.T) {
			for moment := 3; ; moment++ {
				crashed := crashAfter(t, crashSetup{
					app: answers(map[string]string{"initiate": tc.document}), phone: phoneScript{deaf: true}, away: time.Second,
					between: func(c *crash) {
						c.phone.mu.Lock()
						defer c.phone.mu.Unlock()
						c.phone.script.deaf = false
					},
				}, moment, func(c *crash) {
					if c.crashed {
						c.promises()
						assert.Equal(c.t, tc.want, c.line.refused)
					}
				})
				if !crashed || t.Failed() {
					break
				}
			}
		})
	}
}
