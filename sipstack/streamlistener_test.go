package sipstack

import (
	"net"
	"sync"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/assert"
)

// TestConnectionsEndWhileTheirListenerDoes: sipgo's readers of them end when they like, and what ends after the listener leaves nothing.
func TestConnectionsEndWhileTheirListenerDoes(t *testing.T) {
	for range 50 {
		ln := nowhere{}
		l := newStreamListener("tcp", ln, nil, newTap(nobody{}), nil, sip.NewTransportLayer(nil, sip.NewParser(), nil).Pool("tcp"))
		var conns []*observedConn
		for port := range 8 {
			conns = append(conns, l.observed(farAway{&deadConn{remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1000 + port}, local: &net.TCPAddr{}}}, &deadConn{}))
		}
		var ended sync.WaitGroup
		for _, c := range conns[:7] {
			ended.Go(func() { _ = c.Close() })
		}
		assert.NoError(t, l.Close())
		l.settle()
		ended.Wait()
		assert.NoError(t, conns[7].Close())
		l.settle()
		assert.Empty(t, l.dead)
	}
}

// nowhere accepts nothing.
type nowhere struct{ net.Listener }

func (nowhere) Close() error { return nil }

// farAway is a connection that has addresses.
type farAway struct{ *deadConn }
