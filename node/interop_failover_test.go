package node_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnotherNodeGoesOnWithTheCallsOfOneThatIsKilled has two nodes behind a dispatcher, each a process of its own. The one
// that has the call is killed while a REFER of it is pending.
func TestAnotherNodeGoesOnWithTheCallsOfOneThatIsKilled(t *testing.T) {
	url := startNATS(t)
	script := scenario.NewScript(t, scenario.System{}, patience)
	app := script.Application(scenario.ApplicationConfig{})
	app.On("initiate", scenario.BXML(response(`<Refer referCompleteUrl="/complete"><SipUri>sip:bob@example.com</SipUri></Refer>`)))
	app.On("/complete", scenario.BXML(response(`<Redirect redirectUrl="/recovered"/>`)))
	app.On("/recovered", scenario.BXML(response(`<Hangup/>`)))
	var nodes []*killable
	for i := range 2 {
		p := newKillable(t, app.URL("/"))
		p.args = append(p.args, "--set", "state.nats_url="+url, "--set", fmt.Sprintf("state.node=node-%d", i+1), "--set", "state.lease=1s")
		p.start()
		nodes = append(nodes, p)
	}
	k := newDispatcherTo(t, nodes[0].sip, nodes[1].sip)
	phone := script.Phone(scenario.PhoneConfig{Address: "127.0.0.1:0"})
	call := phone.Invite(scenario.Invite{To: "sip:desk@" + k.address, Peer: k.address, Proxied: true})
	call.Answered()
	refer := call.ExpectRefer()
	refer.Reply(202)
	refer.Notify("SIP/2.0 100 Trying")

	require.Eventually(t, func() bool { return len(k.dispatched("INVITE")) > 0 }, patience, 10*time.Millisecond)
	owner, heir := nodes[0], nodes[1]
	if k.dispatched("INVITE")[owner.sip] == 0 {
		owner, heir = heir, owner
	}
	owner.kill()
	again := call.Expect("INVITE")
	assert.Contains(t, again.Get("Contact"), heir.sip, "the phone is told where its call is now")
	call.Respond(again, 200)
	call.Expect("ACK")
	refer.Notify("SIP/2.0 486 Busy Here")
	app.Expect("/complete").Check(map[string]any{"referCallStatus": "failure", "notifySipResponseCode": 486})
	call.Expect("BYE")
	app.Expect("/recovered")
	app.Expect("disconnect").Check(map[string]any{"cause": "hangup"})
	for _, event := range []string{"initiate", "referComplete", "redirect", "disconnect"} {
		assert.Len(t, app.EventsOf(event), 1, event)
	}
	log, err := os.ReadFile(filepath.Join(heir.dir, "log"))
	require.NoError(t, err)
	assert.Contains(t, string(log), "a node is gone; its calls are taken over")
	assert.False(t, strings.Contains(string(log), "ERROR"), "%s", log)
}
