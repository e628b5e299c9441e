package cluster_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cluster"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wire is a way to a server that can be cut: what is sent then arrives when it is whole again, as TCP has it.
type wire struct {
	listener net.Listener
	to       string
	carrying sync.WaitGroup

	mu    sync.Mutex
	whole *sync.Cond
	cut   bool
	over  bool
	open  []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{listener: l, to: to}
	w.whole = sync.NewCond(&w.mu)
	w.carrying.Go(w.serve)
	t.Cleanup(func() {
		_ = l.Close()
		w.mu.Lock()
		w.over = true
		for _, c := range w.open {
			_ = c.Close()
		}
		w.whole.Broadcast()
		w.mu.Unlock()
		w.carrying.Wait()
	})
	return w
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	w.whole.Broadcast()
}

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.open = append(w.open, near, far)
		w.mu.Unlock()
		w.carrying.Go(func() { w.carry(near, far) })
		w.carrying.Go(func() { w.carry(far, near) })
	}
}

func (w *wire) carry(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		w.mu.Lock()
		for w.cut && !w.over {
			w.whole.Wait()
		}
		w.mu.Unlock()
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// cutOff are two nodes, the first of which can be cut off from NATS, with a call.
func cutOff(t *testing.T, health string) (a, b *node, way *wire) {
	t.Helper()
	s := startNATS(t, t.TempDir(), 0)
	way = newWire(t, s.Addr().String())
	a = joinFor(t, way.url(), "a", cluster.Peer{SIP: "sip:10.0.0.1", Health: health}, shortLease)
	b = joinFor(t, s.ClientURL(), "b", cluster.Peer{SIP: "sip:10.0.0.2"}, shortLease)
	begin(t, a, "c-1")
	soon(t, "the other node knows of the call", func() bool {
		_, err := b.Record(t.Context(), "c-1")
		return err == nil
	})
	return a, b, way
}

// A node that is cut off from the cluster for several leases, and can be reached by the others, keeps its calls. What happens on
// them and what they owe the others learn later, and nothing is there twice.
func TestTheCallsOfANodeThatIsCutOffGoOn(t *testing.T) {
	t.Parallel()
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer health.Close()
	a, b, way := cutOff(t, health.URL)
	way.set(true)
	begin(t, a, "c-2")
	end(t, a, "c-1") // which is waited for until it is known that nothing can be written
	require.Error(t, a.Failing(), "and that is told")
	seq, err := a.Owe(t.Context(), state.Owed{CallID: "c-1", ID: "e-1", Type: "x", URL: "http://app.example", Event: []byte("{}")})
	require.NoError(t, err)
	begin(t, b, "c-3")
	r, err := a.Record(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, state.StateDisconnected, r.State)

	way.set(false)
	soon(t, "the others learn of it", func() bool {
		r, err := b.Record(t.Context(), "c-1")
		_, other := b.Record(t.Context(), "c-2")
		return err == nil && other == nil && r.State == state.StateDisconnected && a.Failing() == nil
	})
	for _, n := range []*node{a, b} {
		journal, err := n.Journal(t.Context(), "c-1")
		require.NoError(t, err)
		assert.Len(t, journal, 3, "each entry once")
	}
	require.NoError(t, a.Delivered(t.Context(), "c-1", seq))
	debts, err := a.Debts(t.Context())
	require.NoError(t, err)
	assert.Empty(t, debts)
	select {
	case <-b.taken:
		assert.Fail(t, "the calls were up at both nodes")
	case err := <-a.Lost():
		assert.Fail(t, "the calls are lost", err)
	default:
	}
}

// One that cannot be reached by the others either has lost its calls: another node goes on with them, and it learns of that as
// soon as it is back.
func TestTheCallsOfANodeThatIsCutOffAltogetherAreTakenOverOnce(t *testing.T) {
	t.Parallel()
	a, b, way := cutOff(t, "")
	way.set(true)
	var taken state.Store
	select {
	case taken = <-b.taken:
	case <-time.After(patience):
		require.FailNow(t, "nobody took over")
	}
	unfinished, err := taken.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-1"}, unfinished)
	end(t, b, "c-1")
	begin(t, a, "c-2") // it does not know yet
	way.set(false)
	select {
	case err := <-a.Lost():
		assert.ErrorContains(t, err, "another node has taken over a")
	case <-time.After(patience):
		require.FailNow(t, "nobody told")
	}
	journal, err := b.Journal(t.Context(), "c-1")
	require.NoError(t, err)
	require.Len(t, journal, 2)
	assert.Equal(t, state.CallEnded, journal[1].Call.Event)
}
