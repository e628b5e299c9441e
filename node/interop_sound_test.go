package node_test

import (
	"math"
	"os"
	"testing"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBaresipHearsAndIsHeardHoweverSoundTravels has a phone that is none of ours send back what it hears, in every codec and
// protected in every way that it has, and record that.
func TestBaresipHearsAndIsHeardHoweverSoundTravels(t *testing.T) {
	for name, tc := range map[string]struct {
		codecs, srtp string
		account      []string
		agreed       string // as the journal has it
	}{
		"G.722":                {"G722", "off", []string{"audio_codecs=G722/16000/1"}, "G722, telephone-event"},
		"Opus":                 {"opus", "off", []string{"audio_codecs=opus/48000/2"}, "opus, telephone-event"},
		"SDES, optional":       {"PCMU", "optional", []string{"mediaenc=srtp"}, "PCMU, telephone-event, SRTP "},
		"SDES, required":       {"PCMA", "required", []string{"mediaenc=srtp-mand"}, "PCMA, telephone-event, SRTP "},
		"DTLS":                 {"PCMU", "required", []string{"mediaenc=dtls_srtp"}, "PCMU, telephone-event, DTLS-SRTP"},
		"Opus, DTLS":           {"opus", "optional", []string{"mediaenc=dtls_srtp", "audio_codecs=opus/48000/2"}, "opus, telephone-event, DTLS-SRTP"},
		"none, where optional": {"PCMU", "optional", nil, "PCMU, telephone-event, 127."},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := onLoopback(t, func(c *node.Config) {
				c.Media.Codecs, c.Media.SRTP, c.Recordings.Dir = []string{tc.codecs}, tc.srtp, dir
			})
			l.app.On("initiate", scenario.BXML(response(`<StartRecording multiChannel="true"/>`+
				`<SpeakSentence>The birch canoe slid on the smooth planks</SpeakSentence><Pause duration="1"/>`)))
			phone := newBaresip(t, "udp", tc.account...)
			phone.order("dial", "sip:desk@"+l.address("udp"))
			phone.expect("CALL_ESTABLISHED", "desk")
			phone.expect("CALL_CLOSED", "desk")
			phone.quit()
			r := l.disconnect("hangup")
			_, loudness := phone.heard()
			assert.Greater(t, loudness, 0.02, "it heard")
			agreed := ""
			journal, err := l.node.Store().Journal(t.Context(), r.CallID)
			require.NoError(t, err)
			for _, e := range journal {
				if e.Type == state.TypeMedia && e.Media.Event == "agreed" {
					agreed = e.Media.Detail
				}
				if e.Type == state.TypeSIP {
					raw := e.Masked(nil).SIP.Raw
					assert.NotRegexp(t, `inline:[A-Za-z0-9+/]{20}`, raw, "no key is shown")
				}
			}
			assert.Contains(t, agreed, tc.agreed)
			wav, err := os.ReadFile(soundFile(t, dir, "wav"))
			require.NoError(t, err)
			for channel, sound := range channels(t, wav) {
				loud := 0.0
				for ; len(sound) >= 800; sound = sound[800:] {
					power := 0.0
					for _, v := range sound[:800] {
						power += float64(v) * float64(v)
					}
					loud = max(loud, math.Sqrt(power/800)/math.MaxInt16)
				}
				assert.Greater(t, loud, 0.02, "channel %d", channel)
			}
		})
	}
}
