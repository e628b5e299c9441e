package hep_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/sipstack/hep"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// tally counts results.
type tally struct {
	mu sync.Mutex
	n  map[hep.Result]int
}

func (c *tally) count(r hep.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[hep.Result]int{}
	}
	c.n[r]++
}

func (c *tally) of(r hep.Result) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[r]
}

// collector is what an exporter is connected to: each dial is one call of its function.
type collector func(n int) (net.Conn, error)

func dialing(c collector) (hep.Option, *int) {
	n := new(int)
	return hep.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
		*n++
		return c(*n)
	}), n
}

// reader takes packets off one end of a pipe, whose other end it returns.
func reader(packets chan<- map[uint16][]byte) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer func() { _ = far.Close() }()
		for {
			p, err := readPacket(far)
			if err != nil {
				return
			}
			packets <- p
		}
	}()
	return near
}

func packet(payload string) func() (hep.Packet, error) {
	return func() (hep.Packet, error) {
		p := options()
		p.Payload = []byte(payload)
		return p, nil
	}
}

func TestPacketsAreSentInOrderWithTheNodesIDAndPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := make(chan map[uint16][]byte, 10)
		dial, dials := dialing(func(int) (net.Conn, error) { return reader(packets), nil })
		var c tally
		e := hep.NewExporter(hep.Config{Network: "tcp", Address: "homer:9060", CaptureID: 7, Password: "p"}, dial, hep.WithCounter(c.count))
		e.Start()
		for _, payload := range []string{"a", "b", "c"} {
			e.Send(packet(payload))
		}
		e.Close()
		e.Close()
		for _, want := range []string{"a", "b", "c"} {
			p := <-packets
			assert.Equal(t, want, string(p[15]))
			assert.Equal(t, []byte{0, 0, 0, 7}, p[12])
			assert.Equal(t, "p", string(p[14]))
		}
		assert.Equal(t, 1, *dials)
		assert.Equal(t, 3, c.of(hep.Sent))
		synctest.Wait()
	})
}

func TestACollectorThatIsAwayIsTriedEachSecondAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := make(chan map[uint16][]byte, 10)
		dial, dials := dialing(func(n int) (net.Conn, error) {
			if n <= 3 {
				return nil, errors.New("refused")
			}
			return reader(packets), nil
		})
		var c tally
		core, logs := observer.New(zap.InfoLevel)
		e := hep.NewExporter(hep.Config{Network: "tcp", Address: "homer:9060"}, dial, hep.WithCounter(c.count), hep.WithLogger(zap.New(core)))
		begun := time.Now()
		e.Start()
		for range 5 {
			e.Send(packet("x"))
		}
		<-packets
		<-packets
		synctest.Wait()
		assert.Equal(t, 3*time.Second, time.Since(begun))
		assert.Equal(t, 4, *dials)
		assert.Equal(t, 3, c.of(hep.Failed))
		assert.Equal(t, 2, c.of(hep.Sent))
		assert.Equal(t, 1, logs.FilterMessage("HEP cannot be sent").Len())
		assert.Equal(t, 1, logs.FilterMessage("HEP is sent again").Len())
		e.Close()
		synctest.Wait()
	})
}

func TestACollectorThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _ = far.Close() }()
		dial, _ := dialing(func(int) (net.Conn, error) { return near, nil })
		var c tally
		e := hep.NewExporter(hep.Config{Network: "tcp", Address: "homer:9060", Queue: 10}, dial, hep.WithCounter(c.count))
		e.Start()
		begun := time.Now()
		e.Send(packet("x"))
		synctest.Wait() // it is being written
		for range 100 {
			e.Send(packet("x"))
		}
		assert.Zero(t, time.Since(begun))
		assert.Equal(t, 90, c.of(hep.Dropped))
		e.Close()
		assert.Equal(t, time.Second, time.Since(begun), "and Close waits for it no longer")
		assert.Equal(t, 11, c.of(hep.Failed))
	})
}

func TestWhatCannotBeAPacketDoesNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		packets := make(chan map[uint16][]byte, 10)
		dial, _ := dialing(func(int) (net.Conn, error) { return reader(packets), nil })
		var c tally
		e := hep.NewExporter(hep.Config{Network: "tcp", Address: "homer:9060"}, dial, hep.WithCounter(c.count))
		e.Send(func() (hep.Packet, error) { return hep.Packet{}, nil })
		e.Send(func() (hep.Packet, error) { panic("foreign bytes") })
		e.Send(func() (hep.Packet, error) { return hep.Packet{}, hep.ErrNoReport })
		e.Send(packet("x"))
		e.Start()
		assert.Equal(t, "x", string((<-packets)[15]))
		e.Close()
		assert.Equal(t, 2, c.of(hep.Failed), "that there was nothing to tell is no failure")
		assert.Equal(t, 1, c.of(hep.Sent))
		synctest.Wait()
	})
}

// Over UDP every other write succeeds while nobody is there: the network tells of one packet with the next.
func TestACollectorOfUDPThatIsAwayIsLoggedOnce(t *testing.T) {
	gone, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	address := gone.LocalAddr().String()
	require.NoError(t, gone.Close())
	results := make(chan hep.Result, 100)
	core, logs := observer.New(zap.InfoLevel)
	e := hep.NewExporter(hep.Config{Address: address}, hep.WithLogger(zap.New(core)), hep.WithCounter(func(r hep.Result) { results <- r }))
	e.Start()
	for failed := 0; failed < 2; {
		e.Send(packet("x"))
		if <-results == hep.Failed {
			failed++
		}
	}
	e.Close()
	assert.Equal(t, 1, logs.FilterMessage("HEP cannot be sent").Len())
	assert.Zero(t, logs.FilterMessage("HEP is sent again").Len())
}
