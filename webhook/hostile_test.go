package webhook

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// counting counts what a server could write.
type counting struct {
	net.Conn
	written atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// forever writes a piece again and again until the client has had enough.
func forever(c io.Writer, piece string) {
	for {
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
	}
}

// Every application must be survived: the attempt ends, with an error that fits on a line, and nothing of it stays.
func TestHostileApplications(t *testing.T) {
	kilobyte := strings.Repeat("x", 1024)
	for name, tc := range map[string]struct {
		script func(c net.Conn)
		want   string
		took   time.Duration // exactly
		atMost int64         // bytes taken from the server; 0: any
	}{
		"says nothing": {
			func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, "no complete reply in time (15s)", 15 * time.Second, 0,
		},
		"drips its header": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
			for range 60 {
				time.Sleep(time.Second) // a slow server, in fake time
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
			}
		}, "no complete reply in time (15s)", 15 * time.Second, 0},
		"endless header": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			forever(c, "X-More: "+kilobyte+"\r\n")
		}, "server response headers exceeded 65536 bytes", 0, 200 << 10},
		"endless header line": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX: ")
			forever(c, kilobyte)
		}, "server response headers exceeded 65536 bytes", 0, 200 << 10},
		"endless status line": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 ")
			forever(c, kilobyte)
		}, "server response headers exceeded 65536 bytes", 0, 200 << 10},
		"flood of interim replies": {func(c net.Conn) {
			forever(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
		}, "server response headers exceeded 65536 bytes", 0, 200 << 10},
		"switches protocols": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = c.Read(make([]byte, 1))
		}, "status 101 Switching Protocols", 0, 0},
		"closes mid-reply": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<Response>")
		}, "status 200: unexpected EOF", 0, 0},
		"closes mid-chunk": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n<Response>")
		}, "status 200: unexpected EOF", 0, 0},
		"broken chunks": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<Response>")
		}, "status 200: invalid byte in chunk length", 0, 0},
		"two lengths": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
		}, "Content-Length", 0, 0},
		"broken gzip": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n01234567890123456789")
		}, "status 200: gzip: invalid header", 0, 0},
		"prints control bytes": {func(c net.Conn) {
			_, _ = io.WriteString(c, "\x1b[2J\x07 https://u:p@x.test/ "+strings.Repeat("y", 2000)+"\r\n\r\n")
		}, "malformed HTTP", 0, 0},
		"endless error page": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\n\r\n")
			forever(c, kilobyte)
		}, "status 500 Internal Server Error", 0, 100 << 10},
		"silent error page": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 500 No\r\nContent-Length: 10\r\n\r\n")
			_, _ = c.Read(make([]byte, 1))
		}, "status 500 Internal Server Error", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				var server *counting
				closed := make(chan struct{})
				n.hostile(t, "app.example:80", func(_ int, _ *http.Request, c net.Conn) {
					server = &counting{Conn: c}
					tc.script(server)
					close(closed)
				})
				begun := time.Now()
				_, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				require.ErrorContains(t, err, tc.want)
				assert.Equal(t, tc.took, time.Since(begun))
				assert.NotContains(t, err.Error(), "u:p@")
				assert.NotRegexp(t, `[[:cntrl:]]`, err.Error())
				assert.Less(t, len(err.Error()), 400)
				<-closed // the connection is not left hanging
				if tc.atMost > 0 {
					assert.LessOrEqual(t, server.written.Load(), tc.atMost)
				}
			})
		})
	}
}

// What is longer than a document may be is read up to one byte more (docs/bxml.md).
func TestReplyIsLimited(t *testing.T) {
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		zeros := make([]byte, 1<<20)
		for range 64 {
			_, _ = z.Write(zeros)
		}
		_ = z.Close()
		return b.Bytes()
	}()
	for name, tc := range map[string]struct {
		send func(w io.Writer)
		want int
		conn string // what becomes of the connection
	}{
		"largest document": {func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", MaxReply, strings.Repeat("x", MaxReply))
		}, MaxReply, "reused"},
		"one byte more": {func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", MaxReply+1, strings.Repeat("x", MaxReply+1))
		}, MaxReply + 1, ""},
		"huge by its length": {func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n")
			forever(w, strings.Repeat("x", 1024))
		}, MaxReply + 1, "closed"},
		"endless": {func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\n\r\n")
			forever(w, strings.Repeat("x", 1024))
		}, MaxReply + 1, "closed"},
		"endless chunks": {func(w io.Writer) {
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			forever(w, "400\r\n"+strings.Repeat("x", 1024)+"\r\n")
		}, MaxReply + 1, "closed"},
		"gzip bomb": {func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(bomb), bomb)
		}, MaxReply + 1, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				closed := make(chan struct{})
				n.hostile(t, "app.example:80", func(nth int, _ *http.Request, c net.Conn) {
					tc.send(c)
					_, _ = c.Read(make([]byte, 1)) // until the client closes, or asks again
					if nth == 1 {
						close(closed)
					}
				})
				begun := time.Now()
				c := newClient(t, n, Config{})
				got, err := c.Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
				require.NoError(t, err)
				assert.Len(t, got.Body, tc.want)
				assert.Zero(t, time.Since(begun))
				switch tc.conn {
				case "closed":
					<-closed
				case "reused":
					synctest.Wait()
					select {
					case <-closed:
						t.Error("the connection was closed")
					default:
					}
				}
			})
		})
	}
}

func TestCompressedRepliesAreUnpacked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.serve(t, "app.example:80", func(w http.ResponseWriter, r *http.Request) {
			assert.Equal(t, "gzip", r.Header.Get("Accept-Encoding"))
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, bxml)
			_ = z.Close()
		})
		got, err := newClient(t, n, Config{}).Ask(t.Context(), Target{URL: "http://app.example/"}, testEvent)
		require.NoError(t, err)
		assert.Equal(t, bxml, string(got.Body))
	})
}
