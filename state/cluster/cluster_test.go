package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cluster"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// startNATS starts a NATS server with JetStream, on a port of its own choice where it is 0.
func startNATS(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: dir})
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(patience))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// node is a node of a cluster, which answers for its dialogs.
type node struct {
	*cluster.Cluster
	mu      sync.Mutex
	dialogs map[string]bool
	taken   chan state.Store
}

func (n *node) HasDialog(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialogs[id]
}

func (n *node) Request(_ context.Context, callID string, request []byte) []byte {
	return fmt.Appendf(nil, `{"did":%s,"call":%q}`, request, callID)
}

func (n *node) TakenOver(s state.Store) { n.taken <- s }

// leasesOf returns the bucket of the leases.
func leasesOf(t *testing.T, url string) jetstream.KeyValue {
	t.Helper()
	nc, err := nats.Connect(url)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	leases, err := js.KeyValue(t.Context(), "callengine_leases")
	require.NoError(t, err)
	return leases
}

// join has a node join whose lease does not end because the machine is busy, and that hears of the others within a third of it.
func join(t *testing.T, url, name string, peer cluster.Peer) *node {
	t.Helper()
	return joinFor(t, url, name, peer, 5*time.Second)
}

// shortLease is for tests that wait for its end.
const shortLease = time.Second

func joinFor(t *testing.T, url, name string, peer cluster.Peer, lease time.Duration) *node {
	t.Helper()
	c, err := cluster.New(cluster.Config{Node: name, Lease: lease, Store: state.DurableConfig{NATSURL: url}})
	require.NoError(t, err)
	n := &node{Cluster: c, dialogs: map[string]bool{}, taken: make(chan state.Store, 10)}
	require.NoError(t, c.Open(t.Context()))
	c.Serve(peer, n)
	leases := leasesOf(t, url)
	soon(t, "the node is known to the others", func() bool {
		lease, err := leases.Get(t.Context(), c.Name())
		return err == nil && strings.Contains(string(lease.Value()), fmt.Sprintf("%q", peer.Health))
	})
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return n
}

// begin writes the beginning of a call.
func begin(t *testing.T, n *node, id string) {
	t.Helper()
	at := time.Now()
	_, err := n.Append(t.Context(), state.Entry{CallID: id, Type: state.TypeCall, Call: &state.Call{
		Event: state.CallInitiated, From: "sip:a@example.com", To: "sip:b@example.com", Direction: "inbound", At: at,
	}})
	require.NoError(t, err)
}

func end(t *testing.T, n *node, id string) {
	t.Helper()
	_, err := n.Append(t.Context(), state.Entry{CallID: id, Type: state.TypeCall, Call: &state.Call{Event: state.CallEnded, At: time.Now(), Cause: "hangup", Untold: true}})
	require.NoError(t, err)
}

// soon waits until f holds.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, patience, 20*time.Millisecond, what)
}

func ids(records []state.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.CallID)
	}
	return ids
}

func TestAnyNodeTellsOfTheCallsOfAll(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a, b := join(t, url, "a", cluster.Peer{SIP: "sip:10.0.0.1"}), join(t, url, "b", cluster.Peer{SIP: "sip:10.0.0.2"})
	for i := range 6 {
		begin(t, []*node{a, b}[i%2], fmt.Sprintf("c-%d", i))
	}
	for _, n := range []*node{a, b} {
		var all []state.Record
		soon(t, "both are known to each other", func() bool {
			var err error
			all, _, err = n.Records(t.Context(), state.Query{})
			return err == nil && len(all) == 6
		})
		assert.Equal(t, []string{"c-0", "c-1", "c-2", "c-3", "c-4", "c-5"}, ids(all))
		var paged []string
		for q := (state.Query{Limit: 4}); ; {
			page, next, err := n.Records(t.Context(), q)
			require.NoError(t, err)
			paged = append(paged, ids(page)...)
			if q.After = next; next == "" {
				break
			}
		}
		assert.Equal(t, ids(all), paged)
		for _, id := range paged {
			soon(t, "it is written, and not only known to its node", func() bool {
				_, err := n.Record(t.Context(), id)
				return err == nil
			})
			r, err := n.Record(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, state.StateInitiated, r.State)
			journal, err := n.Journal(t.Context(), id)
			require.NoError(t, err)
			assert.Len(t, journal, 1)
		}
		_, err := n.Record(t.Context(), "c-none")
		require.ErrorIs(t, err, state.ErrNotFound)
		_, err = n.Journal(t.Context(), "no call's id")
		require.ErrorIs(t, err, state.ErrNotFound)
		_, _, err = n.Records(t.Context(), state.Query{After: "x"})
		require.ErrorIs(t, err, state.ErrPageToken)
	}
	unfinished, err := a.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-0", "c-2", "c-4"}, unfinished, "each node sees to its own")
}

func TestRequestsGoToTheNodeThatHasTheCall(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a, b := join(t, url, "a", cluster.Peer{SIP: "sip:10.0.0.1"}), join(t, url, "b", cluster.Peer{SIP: "sip:10.0.0.2"})
	begin(t, b, "c-1")
	b.dialogs["dialog@phone"] = true
	soon(t, "the owner of the dialog", func() bool {
		uri, ok := a.Owner(t.Context(), "dialog@phone")
		return ok && uri == "sip:10.0.0.2"
	})
	_, ok := a.Owner(t.Context(), "another@phone")
	assert.False(t, ok)
	answer, err := a.Cluster.Request(t.Context(), "c-1", []byte(`"complete"`))
	require.NoError(t, err)
	assert.JSONEq(t, `{"did":"complete","call":"c-1"}`, string(answer))
	_, err = a.Cluster.Request(t.Context(), "c-2", []byte(`"complete"`))
	require.ErrorIs(t, err, cluster.ErrNoHolder)
}

// kill ends a node as a crash does: its leases stay.
func kill(t *testing.T, n *node, url string) {
	t.Helper()
	name, leases := n.Name(), leasesOf(t, url)
	lease, err := leases.Get(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, n.Close())
	_, err = leases.Create(t.Context(), name, lease.Value())
	require.NoError(t, err)
}

func TestTheCallsOfANodeThatIsGoneAreTakenOver(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	a := joinFor(t, url, "a", cluster.Peer{SIP: "sip:10.0.0.1", Health: health.URL}, shortLease)
	b := joinFor(t, url, "b", cluster.Peer{SIP: "sip:10.0.0.2"}, shortLease)
	begin(t, a, "c-1")
	begin(t, b, "c-2")
	_, err := a.Owe(t.Context(), state.Owed{CallID: "c-1", ID: "e-1", Type: "x", URL: "http://app.example", Event: []byte("{}")})
	require.NoError(t, err)
	kill(t, a, url)
	select {
	case <-b.taken:
		require.FailNow(t, "a node that says that it lives is not gone")
	case <-time.After(4 * shortLease):
	}
	health.Close()
	var taken state.Store
	select {
	case taken = <-b.taken:
	case <-time.After(patience):
		require.FailNow(t, "nobody took over")
	}
	unfinished, err := taken.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-1"}, unfinished)
	debts, err := taken.Debts(t.Context())
	require.NoError(t, err)
	require.Len(t, debts, 1)

	// The node comes back, while its call is up elsewhere.
	again := joinFor(t, url, "a", cluster.Peer{SIP: "sip:10.0.0.1"}, shortLease)
	assert.Equal(t, "a_2", again.Name())
	require.NoError(t, again.Close())

	end(t, b, "c-1")
	require.NoError(t, b.Delivered(t.Context(), "c-1", debts[0].Seq))
	r, err := b.Record(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, state.StateDisconnected, r.State, "what was taken over is written where it was")

	// And once more, when it is over.
	back := joinFor(t, url, "a", cluster.Peer{SIP: "sip:10.0.0.1"}, shortLease)
	assert.Equal(t, "a", back.Name())
	r, err = back.Record(t.Context(), "c-1")
	require.NoError(t, err)
	assert.Equal(t, state.StateDisconnected, r.State)
	begin(t, back, "c-3")
	soon(t, "the other node reads what it had", func() bool {
		r, err := b.Record(t.Context(), "c-1")
		return err == nil && r.State == state.StateDisconnected
	})
}

func TestAProcessTakesUpThePartitionOfTheOneBeforeAtOnce(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a := join(t, url, "a", cluster.Peer{})
	begin(t, a, "c-1")
	kill(t, a, url)
	again := join(t, url, "a", cluster.Peer{})
	assert.Equal(t, "a", again.Name())
	unfinished, err := again.Unfinished(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"c-1"}, unfinished)
}

func TestALeaseIsGivenBackThoughTheAnswerToItsRenewalWasLost(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a := join(t, url, "a", cluster.Peer{})
	leases := leasesOf(t, url)
	lease, err := leases.Get(t.Context(), "a")
	require.NoError(t, err)
	_, err = leases.Put(t.Context(), "a", lease.Value()) // as a renewal would have
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = leases.Get(t.Context(), "a")
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
}

func TestTheLeaseOfAnotherNodeIsNotGivenBack(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a := join(t, url, "a", cluster.Peer{})
	leases := leasesOf(t, url)
	_, err := leases.Put(t.Context(), "a", []byte(`{"instance":"another"}`))
	require.NoError(t, err)
	require.NoError(t, a.Close())
	_, err = leases.Get(t.Context(), "a")
	require.NoError(t, err)
}

func TestCallsGoOnWhileNATSIsAway(t *testing.T) {
	dir := t.TempDir()
	first := startNATS(t, dir, 0)
	url, port := first.ClientURL(), first.Addr().(*net.TCPAddr).Port
	a := joinFor(t, url, "a", cluster.Peer{}, shortLease)
	begin(t, a, "c-1")
	first.Shutdown()
	first.WaitForShutdown()
	soon(t, "that nothing can be written is told", func() bool { return a.Failing() != nil })
	begin(t, a, "c-2")
	r, err := a.Record(t.Context(), "c-2")
	require.NoError(t, err)
	assert.Equal(t, state.StateInitiated, r.State)
	startNATS(t, dir, port)
	soon(t, "it goes on", func() bool { return a.Failing() == nil })
	b := joinFor(t, url, "b", cluster.Peer{}, shortLease)
	soon(t, "what was missed has been written", func() bool {
		_, err := b.Record(t.Context(), "c-2")
		return err == nil
	})
	select {
	case err := <-a.Lost():
		require.FailNow(t, "lost", err)
	default:
	}
}

func TestANodeThatWasCutOffForTooLongLearnsThatItsCallsAreLost(t *testing.T) {
	url := startNATS(t, t.TempDir(), 0).ClientURL()
	a := joinFor(t, url, "a", cluster.Peer{}, shortLease)
	_, err := leasesOf(t, url).Put(t.Context(), "a", []byte(`{"instance":"another"}`))
	require.NoError(t, err)
	select {
	case err := <-a.Lost():
		assert.ErrorContains(t, err, "another node has taken over a")
	case <-time.After(patience):
		require.FailNow(t, "nobody told")
	}
}

func TestClustersThatCannotBe(t *testing.T) {
	for _, name := range []string{"", "a.b", "a b", "*", "a__b", "_a", "ä"} {
		_, err := cluster.New(cluster.Config{Node: name})
		require.Error(t, err, name)
	}
	c, err := cluster.New(cluster.Config{Node: "a", Store: state.DurableConfig{NATSURL: "nats://127.0.0.1:1"}})
	require.NoError(t, err)
	require.ErrorContains(t, c.Open(t.Context()), "NATS")
	_, err = c.Append(t.Context(), state.Entry{CallID: "c-1"})
	require.Error(t, err)
	_, err = c.Journal(t.Context(), "c-1")
	require.Error(t, err)
}
