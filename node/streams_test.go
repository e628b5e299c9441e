package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// streamServer is the other side of streams: ws://10.0.0.3.
type streamServer struct {
	t     testing.TB
	opens chan *streamPeer
}

// streamPeer is one stream, as its other side sees it.
type streamPeer struct {
	t       testing.TB
	conn    *websocket.Conn
	request *http.Request
	release chan struct{} // closed when the test is done with it

	mu       sync.Mutex
	messages []streamMessage
	changed  chan struct{}
	err      error // how reading ended
}

type streamMessage struct {
	EventType      string         `json:"eventType"`
	Track          string         `json:"track"`
	SequenceNumber int            `json:"sequenceNumber"`
	Payload        []byte         `json:"payload"`
	Metadata       map[string]any `json:"metadata"`
	StreamParams   map[string]any `json:"streamParams"`
}

// streamServer starts the other side.
func (b *bubble) streamServer(handlers ...http.HandlerFunc) *streamServer {
	b.t.Helper()
	s := &streamServer{t: b.t, opens: make(chan *streamPeer, 10)}
	l, err := b.net.Listen(b.t.Context(), "tcp", "10.0.0.3:80")
	require.NoError(b.t, err)
	handler := http.HandlerFunc(s.accept)
	if len(handlers) > 0 {
		handler = handlers[0]
	}
	server := &http.Server{Handler: handler}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	b.t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return s
}

// accept takes a stream. Nothing is read of it before the test says so.
func (s *streamServer) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn.SetReadLimit(-1)
	p := &streamPeer{t: s.t, conn: conn, request: r, release: make(chan struct{}), changed: make(chan struct{})}
	s.opens <- p
	<-p.release
}

// next waits for the next stream, and reads it from now on.
func (s *streamServer) next() *streamPeer {
	s.t.Helper()
	p := s.nextUnread()
	go p.read()
	return p
}

// nextUnread waits for the next stream, of which nothing is read.
func (s *streamServer) nextUnread() *streamPeer {
	s.t.Helper()
	select {
	case p := <-s.opens:
		s.t.Cleanup(func() {
			_ = p.conn.CloseNow()
			close(p.release)
		})
		return p
	case <-time.After(time.Minute):
		s.t.Fatal("no stream came")
		return nil
	}
}

func (p *streamPeer) read() {
	for {
		_, data, err := p.conn.Read(context.Background())
		p.mu.Lock()
		if err == nil {
			var m streamMessage
			if err = json.Unmarshal(data, &m); err == nil {
				p.messages = append(p.messages, m)
			}
		}
		p.err = err
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// closed waits until the stream is closed, and returns the code.
func (p *streamPeer) closed() websocket.StatusCode {
	p.t.Helper()
	deadline := time.After(10 * time.Minute)
	for {
		p.mu.Lock()
		err, changed := p.err, p.changed
		p.mu.Unlock()
		if err != nil {
			return websocket.CloseStatus(err)
		}
		select {
		case <-changed:
		case <-deadline:
			p.t.Fatal("the stream was not closed")
		}
	}
}

// got returns the messages until now.
func (p *streamPeer) got() []streamMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages[:len(p.messages):len(p.messages)]
}

// sound returns what a track carried, and checks that its frames are numbered without a gap.
func (p *streamPeer) sound(track string) (pcm []int16) {
	p.t.Helper()
	number := 0
	for _, m := range p.got() {
		if m.EventType != "media" || m.Track != track {
			continue
		}
		number++
		require.Equal(p.t, number, m.SequenceNumber)
		require.Len(p.t, m.Payload, 160)
		frame := make([]int16, len(m.Payload))
		media.DecodePCMU(frame, m.Payload)
		pcm = append(pcm, frame...)
	}
	return pcm
}

// loud is how long sound is that is not silence, in frames.
func loud(pcm []int16) (d time.Duration) {
	for frame := range slices.Chunk(pcm, 160) {
		if slices.Max(frame) > 200 {
			d += 20 * time.Millisecond
		}
	}
	return d
}

// say sends a message.
func (p *streamPeer) say(message string) {
	p.t.Helper()
	require.NoError(p.t, p.conn.Write(p.t.Context(), websocket.MessageText, []byte(message)))
}

// play sends sound.
func (p *streamPeer) play(contentType string, payload []byte) {
	p.t.Helper()
	p.say(`{"eventType":"playAudio","media":{"contentType":"` + contentType + `","payload":"` + base64.StdEncoding.EncodeToString(payload) + `"}}`)
}
