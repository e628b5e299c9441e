package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestWhereverANodeDiesItsCallsOverTCPEnd is [TestWhereverANodeDiesItsCallGoesOn] over TCP, where the connection dies with
// the node: what was answered goes on, over a connection to the phone's Contact or one that the phone opens; what was not
// has ended for the phone, too.
func TestWhereverANodeDiesItsCallsOverTCPEnd(t *testing.T) {
	for name, tc := range map[string]crashSetup{
		"Pause": {app: answers(map[string]string{"initiate": `<Pause duration="20"/>`})},
		"Pause, and the caller hangs up": {
			app: answers(map[string]string{"initiate": `<Pause duration="60"/>`}), phone: phoneScript{hangUp: 10 * time.Second},
		},
		"Pause, and the caller hangs up while the node is away": {
			app: answers(map[string]string{"initiate": `<Pause duration="60"/>`}), phone: phoneScript{hangUp: time.Second}, away: 5 * time.Second,
		},
		"Ring": {app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="10"/><Ring duration="5"/>`})},
		"Ring, and the caller gives up": {
			app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="60"/>`}), phone: phoneScript{cancel: 5 * time.Second},
		},
		"a Refer that succeeds": {
			app: answers(map[string]string{"initiate": referDocument}), phone: phoneScript{notify: 200, after: 3 * time.Second},
		},
		"a Refer that fails": {
			app:   answers(map[string]string{"initiate": referDocument, "referComplete": `<Pause duration="2"/>`}),
			phone: phoneScript{notify: 486, after: 3 * time.Second},
		},
		"a Refer that the caller does not wait for": {
			app: answers(map[string]string{"initiate": referDocument}), phone: phoneScript{notify: 200, after: 5 * time.Second, hangUpRefer: 2 * time.Second},
		},
		"a session that the node refreshes": {
			app: answers(map[string]string{"initiate": `<Pause duration="100"/>`}),
			phone: phoneScript{
				headers: "Supported: timer\r\nSession-Expires: 90;refresher=uas\r\n", timer: "Session-Expires: 90;refresher=uac\r\n",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ended := 0
			for n := 1; ; n += stride() * stride() {
				setup, crashed := tc, true
				setup.tcp, setup.forget = true, n%2 == 0
				if setup.away == 0 {
					setup.away = time.Second
				}
				if !t.Run(fmt.Sprint(n), func(t *testing.T) {
					crashed = crashAfter(t, setup, n, func(c *crash) {
						c.promises()
						if len(c.line.refers) > 0 {
							assert.Len(c.t, c.events("referComplete"), 1)
						}
						if c.line.answered && !c.line.unheard {
							ended++
							cause, message := c.cause()
							assert.Equal(c.t, "hangup", cause, message)
						}
					})
				}) || !crashed {
					break
				}
			}
			if tc.phone.cancel == 0 {
				assert.Positive(t, ended, "some of them had been answered")
			}
		})
	}
}
