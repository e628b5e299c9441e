package node_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// baresip is a phone (Debian's baresip-core), moved by its module ctrl_tcp. What it hears it sends back, and keeps as a file.
type baresip struct {
	t       *testing.T
	program *program
	uri     string
	dir     string
	control net.Conn
	events  chan phoneEvent
	reading sync.WaitGroup
}

// phoneEvent is what baresip tells of its calls.
type phoneEvent struct {
	Type, PeerURI, Param string
}

const baresipConfig = `
sip_listen 127.0.0.1:%[1]s
net_interface 127.0.0.1
rtp_ports 16000-17999
ctrl_tcp_listen 127.0.0.1:%[2]s
audio_player aubridge,echo
audio_source aubridge,echo
audio_alert aubridge,bell
snd_path %[3]s
module_path %[4]s
module opus.so
module g722.so
module g711.so
module srtp.so
module dtls_srtp.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
`

// baresipModules finds the folder of baresip's modules, of which it has to be told where they were not built.
func baresipModules(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules", "/usr/local/lib/baresip/modules"} {
		if found, err := filepath.Glob(filepath.Join(pattern, "ctrl_tcp.so")); err == nil && len(found) > 0 {
			return filepath.Dir(found[0])
		}
	}
	require.FailNow(t, "baresip's modules were not found", "please install the Debian package baresip-core")
	return ""
}

// newBaresip starts a phone that speaks SIP over a transport, with further parameters of its account.
func newBaresip(t *testing.T, transport string, params ...string) *baresip {
	t.Helper()
	port, control := freePort(t), freePort(t)
	b := &baresip{t: t, dir: t.TempDir(), uri: "sip:alice@127.0.0.1:" + port, events: make(chan phoneEvent, 1000)} // more than come
	for name, content := range map[string]string{
		"config":   fmt.Sprintf(baresipConfig, port, control, b.dir, baresipModules(t)),
		"accounts": "<" + b.uri + ";transport=" + transport + ">" + strings.Join(append([]string{"", "regint=0"}, params...), ";") + "\n",
		"contacts": "\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, name), []byte(content), 0o600))
	}
	b.program = run(t, "baresip-core", "baresip", "-f", b.dir)
	b.program.await(t, "baresip is ready")
	conn, err := scenario.System{}.DialContext(t.Context(), "tcp", "127.0.0.1:"+control)
	require.NoError(t, err)
	b.control = conn
	b.reading.Go(b.read)
	t.Cleanup(b.kill)
	return b
}

// read takes netstrings of JSON until the connection ends.
func (b *baresip) read() {
	defer close(b.events)
	r := bufio.NewReader(b.control)
	for {
		length, err := r.ReadString(':')
		n, errLength := strconv.Atoi(strings.Trim(length, ":,"))
		if err != nil || errLength != nil {
			return
		}
		data := make([]byte, n+1) // and a comma
		if _, err := io.ReadFull(r, data); err != nil {
			return
		}
		var e phoneEvent
		if json.Unmarshal(data[:n], &e) == nil && e.Type != "" {
			b.events <- e
		}
	}
}

// order gives baresip a command of its menu.
func (b *baresip) order(command, params string) {
	b.t.Helper()
	data, err := json.Marshal(map[string]string{"command": command, "params": params})
	require.NoError(b.t, err)
	_, err = fmt.Fprintf(b.control, "%d:%s,", len(data), data)
	require.NoError(b.t, err)
}

// expect waits for an event of a call with somebody.
func (b *baresip) expect(event, peer string) phoneEvent {
	b.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-b.events:
			require.True(b.t, ok, "baresip has ended; no %s", event)
			if e.Type == event && strings.Contains(e.PeerURI, peer) {
				return e
			}
		case <-timeout:
			require.FailNow(b.t, "baresip: no "+event)
		}
	}
}

// quit ends a phone that has no call, so that its files are whole.
func (b *baresip) quit() {
	b.t.Helper()
	b.order("quit", "")
	b.program.succeeds(b.t)
}

// kill ends the phone, whatever it does.
func (b *baresip) kill() {
	b.program.cancel()
	<-b.program.done
	_ = b.control.Close() // baresip may have closed it
	b.reading.Wait()
}

// heard returns how long sound came to the phone in all its calls, and its loudness where it was loudest for a tenth of a
// second: 0 is silence, 1 the loudest square wave.
func (b *baresip) heard() (length time.Duration, loudness float64) {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	require.NoError(b.t, err)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(b.t, err)
		require.Greater(b.t, len(data), 44, "a header")
		pcm := data[44:]
		second := int(binary.LittleEndian.Uint32(data[28:])) // in bytes, whatever the codec
		length += time.Duration(len(pcm)) * time.Second / time.Duration(second)
		window := second / 10
		for ; len(pcm) >= window; pcm = pcm[window:] {
			var power float64
			for i := 0; i < window; i += 2 {
				sample := float64(int16(binary.LittleEndian.Uint16(pcm[i:]))) / math.MaxInt16
				power += sample * sample
			}
			loudness = max(loudness, math.Sqrt(power/float64(window/2)))
		}
	}
	return length, loudness
}

func TestBaresipHearsSpeech(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			l := onLoopback(t, nil)
			l.app.On("initiate", scenario.BXML(response(`<SpeakSentence>Good morning</SpeakSentence><Pause duration="0.2"/>`)))
			phone := newBaresip(t, transport)
			phone.order("dial", "sip:desk@"+l.address(transport)+";transport="+transport)
			phone.expect("CALL_ESTABLISHED", "desk")
			phone.expect("CALL_CLOSED", "desk")
			phone.quit()
			r := l.disconnect("hangup")
			assert.Equal(t, phone.uri, r.From)
			length, loudness := phone.heard()
			lasted := r.EndTime.Sub(*r.AnswerTime)
			assert.InDelta(t, lasted.Seconds(), length.Seconds(), 0.5, "sound all the time")
			assert.Greater(t, loudness, 0.02)
		})
	}
}

func TestBaresipIsReferred(t *testing.T) {
	for name, tc := range map[string]struct {
		callee string // a scenario of SIPp; none: nobody is there
		params string // of the destination's URI
		want   state.Refer
	}{
		"the destination answers": {callee: "callee-answers", want: answeredReferral},
		"the destination is busy": {callee: "callee-busy", want: state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 486, Billable: true, Evidence: "final-notify",
		}},
		"the destination does not exist": {callee: "callee-unknown", want: state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 404, Billable: true, Evidence: "final-notify",
		}},
		"the destination refuses the connection": {params: ";transport=tcp", want: state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, NotifySIPResponseCode: 500, Billable: true, Evidence: "final-notify",
		}},
		// Over UDP the phone hears nothing for 32 s (timer B of RFC 3261), which is longer than we wait.
		"the destination is silent": {want: state.Refer{
			Status: state.ReferFailure, ReferSIPResponseCode: 202, Billable: true, Evidence: "notify-timeout",
		}},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				l := onLoopback(t, func(cfg *node.Config) {
					if tc.want.Evidence == "notify-timeout" {
						cfg.Refer.NotifyTimeout = time.Second
					}
				})
				port := freePort(t)
				var callee *program
				if tc.callee != "" {
					callee, port = sipp(t, "-sf", testdata(t, "sipp/"+tc.callee+".xml"), "-m", "1")
				}
				target := "sip:bob@127.0.0.1:" + port + tc.params
				l.refers(target)
				phone := newBaresip(t, transport)
				phone.order("dial", "sip:desk@"+l.address(transport)+";transport="+transport)
				assert.Equal(t, "<"+target+">", phone.expect("TRANSFER", "desk").Param)
				l.referred(tc.want)
				phone.expect("CALL_CLOSED", "desk")
				if tc.want.Status == state.ReferSuccess {
					phone.order("hangup", "")
				}
				if callee != nil {
					callee.succeeds(t)
				}
			})
		}
	}
}

func TestBaresipHoldsAndResumes(t *testing.T) {
	l := onLoopback(t, nil)
	l.app.On("initiate", scenario.BXML(response(`<Pause duration="60"/>`)))
	phone := newBaresip(t, "udp")
	phone.order("dial", "sip:desk@"+l.address("udp"))
	phone.expect("CALL_ESTABLISHED", "desk")
	for _, command := range []string{"hold", "resume"} {
		phone.order(command, "")
		phone.expect("CALL_REMOTE_SDP", "desk")
	}
	phone.order("hangup", "")
	r := l.disconnect("hangup")
	journal, err := l.node.Store().Journal(t.Context(), r.CallID)
	require.NoError(t, err)
	var held []bool
	for _, e := range journal {
		if m := e.Media; m != nil && m.Event == "agreed" {
			held = append(held, strings.Contains(m.Detail, "on hold"))
		}
	}
	assert.Equal(t, []bool{false, true, false}, held)
}
