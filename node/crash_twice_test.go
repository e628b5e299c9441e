package node_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestWhereverANodeDiesTwiceItsCallGoesOn has the node that took over die as well, soon after it was started.
func TestWhereverANodeDiesTwiceItsCallGoesOn(t *testing.T) {
	for name, tc := range map[string]crashSetup{
		"Pause, and the caller hangs up": {
			app: answers(map[string]string{"initiate": `<Pause duration="60"/>`}), phone: phoneScript{hangUp: 3 * time.Second},
		},
		"Ring, and the caller gives up": {
			app: answers(map[string]string{"initiate": `<Ring answerCall="false" duration="60"/>`}), phone: phoneScript{cancel: 2 * time.Second},
		},
		"Hangup of an unanswered call": {app: answers(map[string]string{"initiate": `<Hangup/>`})},
		"a Refer that succeeds": {
			app: answers(map[string]string{"initiate": referDocument}), phone: phoneScript{notify: 200, after: 2 * time.Second},
		},
		"a Refer that the caller does not wait for": {
			app: answers(map[string]string{"initiate": referDocument}), phone: phoneScript{notify: 200, after: 2 * time.Second, hangUpRefer: 1500 * time.Millisecond},
		},
		"a Refer that fails": {
			app:   answers(map[string]string{"initiate": referDocument, "referComplete": `<Pause duration="2"/>`}),
			phone: phoneScript{notify: 486, after: time.Second, early: true},
		},
		"a session that the caller refreshes": {
			app:   answers(map[string]string{"initiate": `<Pause duration="50"/>`}),
			phone: phoneScript{headers: "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", refresh: 40 * time.Second},
		},
		"reliable responses": {
			app:   answers(map[string]string{"initiate": `<Ring answerCall="false" duration="3"/><Pause duration="2"/>`}),
			phone: phoneScript{headers: "Supported: 100rel\r\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			soon := []int{2, 5}
			if *everyMoment {
				soon = []int{1, 2, 3, 5, 8}
			}
			for n := 1; ; n += stride() * stride() {
				crashed := false
				for _, again := range soon {
					setup := tc
					setup.away, setup.again, setup.forget = time.Second, again, (n+again)%2 == 0
					ok := t.Run(fmt.Sprint(n, " ", again), func(t *testing.T) {
						crashed = crashAfter(t, setup, n, func(c *crash) {
							c.promises()
							if len(c.line.refers) > 0 {
								assert.Len(c.t, c.events("referComplete"), 1)
							}
							for _, code := range c.line.told {
								assert.Equal(c.t, 200, code, "the NOTIFY counts")
							}
						})
					})
					if !ok {
						return
					}
				}
				if !crashed {
					break
				}
			}
		})
	}
}
