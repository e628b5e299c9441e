package stream

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/callengine/callengine/media"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// clock is a session whose sound the benchmark makes.
type clock struct {
	session
	listener media.Listener
}

func (c *clock) Listen(f media.Listener) func() {
	c.listener = f
	return func() {}
}

type uncounted struct{}

func (uncounted) StreamFramesDropped(int)      {}
func (uncounted) StreamMessagesRefused(string) {}

// BenchmarkStream sends 20 ms of both tracks over a real connection, from the call's packet to the server's reading of it.
func BenchmarkStream(b *testing.B) {
	read := make(chan struct{}, 1<<16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			if _, _, err := conn.Read(context.Background()); err != nil {
				return
			}
			read <- struct{}{}
		}
	}))
	defer server.Close()
	c := &clock{}
	s, err := Open(b.Context(), server.Client(), c, uncounted{}, Config{URL: server.URL, Metadata: Metadata{Tracks: []Track{Inbound, Outbound}}})
	require.NoError(b, err)
	<-read // start
	ctx, end := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	pcm := sine(8000).pcm[:frameLen]
	b.ReportAllocs()
	for b.Loop() {
		c.listener(pcm, pcm)
		<-read
		<-read
	}
	end()
	running.Wait()
}
