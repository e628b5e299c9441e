package webhook

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchClient is a client whose application answers every request at once, and looks at none.
func benchClient(b *testing.B, reply string) *Client {
	b.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			request, answer := make([]byte, 4096), []byte(reply)
			for {
				if _, err := there.Read(request); err != nil { // a request is written at once
					return
				}
				if _, err := there.Write(answer); err != nil {
					return
				}
			}
		}()
		return &pipeConn{here, netip.MustParseAddrPort("192.0.2.1:80")}, nil
	}
	c, err := NewClient(Config{}, WithDialContext(dial))
	require.NoError(b, err)
	b.Cleanup(c.Close)
	return c
}

// BenchmarkAsk makes an event and gets its reply.
func BenchmarkAsk(b *testing.B) {
	c := benchClient(b, "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 11\r\n\r\n<Response/>")
	to := Target{URL: "http://app.example/refer?key=1"}
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Ask(b.Context(), to, NewReferComplete(answered, Refer{Success: true, ReferCode: 202, NotifyCode: 200}))
		require.NoError(b, err)
	}
}

// BenchmarkSend makes an event, owes and delivers it.
func BenchmarkSend(b *testing.B) {
	c := benchClient(b, "HTTP/1.1 204 No Content\r\n\r\n")
	o := NewOutbox(c, benchLedger{}, OutboxConfig{})
	b.Cleanup(o.Close)
	to := Target{URL: "http://app.example/status"}
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, o.Send(b.Context(), to, NewDisconnect(answered, End{Time: time.Now(), Cause: "hangup"})))
		require.Zero(b, o.Drain(b.Context()))
	}
}

// benchLedger forgets what it is told.
type benchLedger struct{}

func (benchLedger) Owe(context.Context, Target, Event, []byte) (uint64, error) { return 1, nil }
func (benchLedger) Delivered(context.Context, string, uint64) error            { return nil }
