package node_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/require"
)

// BenchmarkSpeechAfterVerb places calls on a node over real sockets and measures, for each, the time from the start of
// SpeakSentence to the first packet that is not silence, at the phone. "answering" includes the 200 and its ACK; the rest
// are verbs on a call that is up already. No text is spoken twice, so that none comes from the cache.
func BenchmarkSpeechAfterVerb(b *testing.B) {
	for name, before := range map[string]string{"answering": "", "answered": `<Pause duration="0.1"/>`} {
		b.Run(name, func(b *testing.B) {
			script := scenario.NewScript(b, scenario.System{}, 20*time.Second)
			app := script.Application(scenario.ApplicationConfig{})
			anyPort := netip.MustParseAddrPort("127.0.0.1:0")
			cfg := node.DefaultConfig()
			cfg.State.Dir = ""
			cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: anyPort}}
			cfg.API.Listen, cfg.API.PublicURL = anyPort.String(), ""
			cfg.Applications = []node.Application{{
				ID: "bench", Match: []string{"*"}, CallInitiatedCallbackURL: app.URL("/initiate"), CallStatusCallbackURL: app.URL("/status"),
			}}
			n, err := node.New(cfg)
			require.NoError(b, err)
			defer func() { require.NoError(b, n.Close()) }()
			require.NoError(b, n.Start(b.Context()))
			phone := script.Phone(scenario.PhoneConfig{})
			sip := n.SIPAddrs()[0].String()

			var waits []time.Duration
			for i := 0; b.Loop(); i++ {
				app.On("initiate", scenario.BXML(response(before+
					fmt.Sprintf(`<SpeakSentence>Number %d. Please hold the line.</SpeakSentence><Pause duration="60"/>`, i))))
				call := phone.Call("sip:bench@" + sip)
				sound := call.Listen(func(s scenario.Sound) bool { return s.Loud() > 0 })
				call.Bye()
				waits = append(waits, firstLoud(sound).Sub(verbStarted(b, n, app.Expect("disconnect").Text("callId"))))
			}
			slices.Sort(waits)
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(waits[len(waits)-1].Microseconds())/1000, "ms-max")
		})
	}
}

func firstLoud(s scenario.Sound) time.Time {
	for _, f := range s.Frames {
		if (scenario.Sound{Frames: []scenario.Frame{f}}).Loud() > 0 {
			return f.Time
		}
	}
	return time.Time{}
}

// verbStarted is when SpeakSentence began on a call.
func verbStarted(b *testing.B, n *node.Node, callID string) time.Time {
	entries, err := n.Store().Journal(b.Context(), callID)
	require.NoError(b, err)
	for _, e := range entries {
		if e.Type == state.TypeVerb && e.Verb.Name == "SpeakSentence" {
			return e.Time
		}
	}
	b.Fatal("no SpeakSentence has begun")
	return time.Time{}
}
