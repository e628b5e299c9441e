package sipstack

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A phone that was referred says NOTIFY 100, NOTIFY 200 and BYE in one breath. The outcome must be known before the call
// is over: what follows it (the order of the events) depends on that.
func TestReferOutcomeIsKnownBeforeTheByeAfterIt(t *testing.T) {
	for range 20 {
		inMemory(t, Config{}, func(t *testing.T, n *node, p *phone) {
			n.answering()
			for range 10 {
				c := p.call()
				l := n.leg()
				r, err := l.Refer(context.Background(), "sip:carol@example.com")
				require.NoError(t, err)
				p.reply(c.expect("REFER"), 202, "")
				synctest.Wait()
				known := make(chan bool, 1) // written once, by the end of the call
				l.OnEnd(func(error) {
					select {
					case <-r.Done():
						known <- true
					default:
						known <- false
					}
				})
				c.inDialog("NOTIFY", "Event: refer\r\nSubscription-State: active\r\nContent-Type: message/sipfrag\r\n", "SIP/2.0 100 Trying\r\n")
				c.inDialog("NOTIFY", finalNotify, "SIP/2.0 200 OK\r\n")
				c.inDialog("BYE", "", "")
				for range 3 {
					c.expect("SIP/2.0 200")
				}
				require.True(t, <-known)
				assert.Equal(t, ReferSuccess, r.Result().Status)
			}
		})
	}
}
