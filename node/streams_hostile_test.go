package node_test

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callengine/callengine/scenario"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const conversation = `<StartStream destination="ws://10.0.0.3/in" name="monitor" mode="bidirectional" tracks="both" streamEventUrl="/stream"/>`

// TestTheOtherSideOfAStreamIsBad in all ways that it can be. The call does not suffer: all of its sound goes out, in time.
func TestTheOtherSideOfAStreamIsBad(t *testing.T) {
	for name, tc := range map[string]struct {
		acts           func(p *streamPeer)
		unread         bool // nothing is read by it
		cause, message string
		after          time.Duration // from the beginning of the stream
	}{
		"it goes away without a word":      {acts: func(p *streamPeer) { _ = p.conn.CloseNow() }, cause: "connection-error", message: "lost"},
		"it closes with an error":          {acts: func(p *streamPeer) { _ = p.conn.Close(websocket.StatusInternalError, "broken") }, cause: "error", message: "broken"},
		"it closes with a code of its own": {acts: func(p *streamPeer) { _ = p.conn.Close(4001, "") }, cause: "error", message: "4001"},
		"it sends a message without end": {acts: func(p *streamPeer) {
			w, err := p.conn.Writer(p.t.Context(), websocket.MessageText)
			for err == nil {
				_, err = w.Write(make([]byte, 4096))
			}
		}, cause: "error", message: "longer than 1048576 bytes"},
		"it sends text that is none": {acts: func(p *streamPeer) {
			_ = p.conn.Write(p.t.Context(), websocket.MessageText, []byte("\xff\xfe"))
		}},
		"it never reads": {unread: true, cause: "connection-error", message: "nothing was read within 10s", after: 19 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, b *bubble) {
				server := b.streamServer()
				b.speech.length = 45 * time.Second
				c := b.call(response(conversation + says + `<Pause duration="1"/>`))
				began := time.Now()
				var p *streamPeer
				if tc.unread {
					p = server.nextUnread()
				} else {
					p = server.next()
				}
				if tc.acts != nil {
					time.Sleep(10 * time.Millisecond)
					tc.acts(p)
				}
				if tc.cause != "" {
					e := b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": tc.cause})
					assert.Contains(t, e.Text("errorMessage"), tc.message)
					assert.InDelta(t, tc.after, since(began, e.Time), float64(time.Second))
				}
				c.Expect("BYE")
				sounds(t, 46*time.Second, since(began, time.Now()))
				sound := heard(c)
				sounds(t, 45*time.Second, sound.Loud())
				assert.LessOrEqual(t, sound.Gap(), 25*time.Millisecond, "the call's own sound was not held up")
				b.disconnect("hangup", "")
			})
		})
	}
}

// TestAStreamThatIsReadTooSlowlyLosesItsOldestFrames, which is told by their numbers and counted; the call does not notice.
func TestAStreamThatIsReadTooSlowlyLosesItsOldestFrames(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<Pause duration="20"/>`))
		began := time.Now()
		p := server.nextUnread()
		time.Sleep(15 * time.Second)
		go p.read()
		c.Expect("BYE")
		sounds(t, 20*time.Second, since(began, time.Now()))
		assert.Equal(t, websocket.StatusNormalClosure, p.closed())
		missing, last := 0, 0
		for _, m := range p.got() {
			if m.EventType == "media" && m.Track == "inbound" {
				missing += m.SequenceNumber - last - 1
				last = m.SequenceNumber
			}
		}
		assert.InDelta(t, 20*50, last, 10, "it has caught up")
		assert.Positive(t, missing)
		assert.Equal(t, float64(2*missing), b.metrics()["callengine_stream_frames_dropped_total"])
		assert.LessOrEqual(t, heard(c).Gap(), 25*time.Millisecond)
		b.disconnect("hangup", "")
	})
}

// TestAStreamWhoseOtherSideAnswersNoPing is one that is gone without a word, however well the network takes what is sent.
func TestAStreamWhoseOtherSideAnswersNoPing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.streamServer(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(key[:])+"\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		})
		c := b.call(response(monitored + `<StopStream name="monitor" wait="true"/>`))
		began := time.Now()
		e := b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "connection-error"})
		assert.Contains(t, e.Text("errorMessage"), "ping")
		assert.Equal(t, 40*time.Second, since(began, e.Time))
		c.Expect("BYE")
		b.disconnect("hangup", "")
	})
}

// TestAStreamThatIsNotClosedInTime is given up a second after the call's end, which the application learns of then.
func TestAStreamThatIsNotClosedInTime(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(monitored + hour))
		server.nextUnread()
		time.Sleep(8 * time.Second)
		began := time.Now()
		c.Bye()
		b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed"})
		assert.Equal(t, time.Second, since(began, b.disconnect("hangup", "").Time))
	})
}

// TestAStreamWhoseOtherSideSendsGarbage passes it over, and counts it.
func TestAStreamWhoseOtherSideSendsGarbage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		server := b.streamServer()
		c := b.call(response(conversation + `<Pause duration="20"/>`))
		p := server.next()
		noise := make([]byte, 3000)
		_, err := rand.Read(noise)
		require.NoError(t, err)
		for _, garbage := range []string{
			"", "{", "null", "[]", `"clear"`, `{"eventType":7}`, `{"eventType":"mark","name":"x"}`, strings.Repeat(`{"a":`, 20000),
			`{"eventType":"playAudio","media":{"contentType":"audio/ogg","payload":"AAAA"}}`,
			`{"eventType":"playAudio","media":{"contentType":"audio/pcmu","payload":"\u0000"}}`,
		} {
			p.say(garbage)
		}
		require.NoError(t, p.conn.Write(t.Context(), websocket.MessageBinary, noise))
		require.NoError(t, p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"eventType":"clear"}`)))
		p.play("audio/pcmu", make([]byte, 8000)) // loud, and heard
		c.Expect("BYE")
		sounds(t, time.Second, heard(c).Loud())
		assert.Equal(t, 8., b.metrics()[`callengine_stream_messages_refused_total{reason="invalid"}`])
		b.app.Expect("mediaStreamStopped").Check(map[string]any{"cause": "closed", "errorMessage": scenario.Absent})
		b.disconnect("hangup", "")
	})
}
