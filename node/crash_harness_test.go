package node_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/scenario"
	"github.com/callengine/callengine/state"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// crash is a call whose node dies in the middle of it, and is started again.
type crash struct {
	t       *testing.T
	net     *scenario.Memory
	app     *scenario.Application
	phone   *enduring
	speech  *fakeSpeech
	hearing *fakeHearing
	change  func(*node.Config)

	line    *line
	crashed bool
	store   *state.Memory // of the second node, or of the only one
	logs    *observer.ObservedLogs
}

// crashSetup is what a call is like.
type crashSetup struct {
	phone   phoneScript
	app     func(*scenario.Event) scenario.Reply
	change  func(*node.Config)
	between func(c *crash)              // what happens while it is not there; nil: nothing
	beside  func(c *crash) (end func()) // what else is in the network; nil: nothing
	away    time.Duration               // how long the node is not there
	forget  bool                        // what was written behind is lost
	tcp     bool                        // the phone is there by TCP
	again   int                         // the node that takes over dies, too, when it has written so many entries; 0: it does not
	outlast time.Duration               // how long is waited for everything to end; 0: 3 minutes

	textsTake time.Duration // how long a transcription takes, from the end of the sound on
}

// crashAfter runs a call whose node dies when it has written so many entries, unless it has written fewer when all is
// over.
func crashAfter(t *testing.T, s crashSetup, entries int, check func(c *crash)) (crashed bool) {
	synctest.Test(t, func(t *testing.T) {
		c := &crash{t: t, net: scenario.NewMemory(), speech: &fakeSpeech{length: 2 * time.Second}, hearing: &fakeHearing{delay: s.textsTake}, change: s.change}
		var err error
		c.app, err = scenario.NewApplication(t.Context(), c.net, scenario.ApplicationConfig{Address: "10.0.0.2:80"})
		require.NoError(t, err)
		c.app.Decide(s.app)
		nodeAt := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5060}
		if s.tcp {
			conn := newStreamPhone(t, c.net, "10.0.1.1:5060", nodeAt)
			c.phone = newEnduring(conn, nodeAt, s.phone)
			conn.lost = c.phone.disconnected
		} else {
			conn, err := c.net.ListenPacket(t.Context(), "udp", "10.0.1.1:5060")
			require.NoError(t, err)
			c.phone = newEnduring(conn, nodeAt, s.phone)
		}

		if s.beside != nil {
			defer s.beside(c)()
		}
		c.store = state.NewMemory(state.MemoryConfig{})
		outlast := s.outlast
		if outlast == 0 {
			outlast = 3 * time.Minute
		}
		lives := []int{entries}
		if s.again > 0 {
			lives = append(lives, s.again)
		}
		var last *node.Node // that does not die
		var gone sync.WaitGroup
		for i, left := range lives {
			network := &mortal{Memory: c.net}
			store := &mortalStore{Memory: c.store, net: network, died: make(chan struct{}), left: left}
			n, err := c.launch(network, store)
			if err != nil {
				require.True(t, network.isDead(), "%v", err)
			}
			if c.line == nil {
				c.line = c.phone.call("desk")
			}
			if !c.wait(outlast, store.died) {
				last = n
				break
			}
			c.crashed = true
			gone.Go(func() { _ = n.Close() })
			time.Sleep(s.away)
			if s.forget {
				c.store = withoutTail(t, c.store)
			}
			if s.between != nil && i == 0 {
				s.between(c)
			}
		}
		if last == nil {
			last = c.start(c.net, c.store)
			c.wait(outlast, nil)
		}
		gone.Wait()
		c.phone.mu.Lock()
		check(c)
		c.phone.mu.Unlock()
		crashed = c.crashed
		if t.Failed() {
			c.tell()
		}
		require.NoError(t, last.Close())
		c.phone.close()
		require.NoError(t, c.app.Close())
		time.Sleep(leftover)
	})
	return crashed
}

// wait waits until the call is over and nothing is left of it, or for so long; true: until died was closed before.
func (c *crash) wait(atMost time.Duration, died <-chan struct{}) bool {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for until, quiet := time.Now().Add(atMost), 0; time.Now().Before(until) && quiet < 40; {
		select {
		case <-died:
			return true
		case <-every.C:
		}
		c.phone.mu.Lock()
		over := c.line.over && len(c.line.waiting) == 0
		c.phone.mu.Unlock()
		unfinished, err := c.store.Unfinished(c.t.Context())
		require.NoError(c.t, err)
		debts, err := c.store.Debts(c.t.Context())
		require.NoError(c.t, err)
		if quiet++; !over || len(unfinished)+len(debts) > 0 {
			quiet = 0
		}
	}
	return false
}

func (c *crash) start(network node.Network, store state.Store) *node.Node {
	c.t.Helper()
	n, err := c.launch(network, store)
	require.NoError(c.t, err)
	return n
}

// launch starts a node, which may die before it has.
func (c *crash) launch(network node.Network, store state.Store) (*node.Node, error) {
	c.t.Helper()
	cfg := bubbleConfig()
	cfg.Applications[0].CallbackTimeout = 5 * time.Second
	if c.change != nil {
		c.change(&cfg)
	}
	core, logs := observer.New(zap.WarnLevel)
	c.logs = logs
	n, err := node.New(cfg, node.WithNetwork(network), node.WithStore(store), node.WithSynthesizer(c.speech), node.WithTranscriber(c.hearing), node.WithLogger(zap.New(core)))
	require.NoError(c.t, err)
	return n, n.Start(c.t.Context())
}

// withoutTail is a store without what was appended after the last vital entry of the call.
func withoutTail(t *testing.T, m *state.Memory) *state.Memory {
	t.Helper()
	kept := state.NewMemory(state.MemoryConfig{})
	ids, err := m.Unfinished(t.Context()) // also those that have not begun, and so no record
	require.NoError(t, err)
	for _, id := range idsOf(t, m) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		entries, err := m.Journal(t.Context(), id)
		require.NoError(t, err)
		end := len(entries)
		for end > 0 && !entries[end-1].Vital() {
			end--
		}
		for _, e := range entries[:end] {
			_, err := kept.Append(t.Context(), e)
			require.NoError(t, err)
		}
	}
	return kept
}

func idsOf(t *testing.T, m *state.Memory) (ids []string) {
	t.Helper()
	records, _, err := m.Records(t.Context(), state.Query{})
	require.NoError(t, err)
	for _, r := range records {
		ids = append(ids, r.CallID)
	}
	return ids
}

// tell writes down what happened, for whoever looks for the reason of a failure.
func (c *crash) tell() {
	var b strings.Builder
	for _, id := range idsOf(c.t, c.store) {
		entries, err := c.store.Journal(c.t.Context(), id)
		require.NoError(c.t, err)
		require.NoError(c.t, state.Ladder{}.Write(&b, entries))
	}
	for _, e := range c.logs.All() {
		fmt.Fprintf(&b, "%s %s %v\n", e.Level, e.Message, e.ContextMap())
	}
	for _, e := range c.app.Events() {
		fmt.Fprintf(&b, "%v %s %s\n", e.Time.Format("05.000"), e.Type(), e.ID())
	}
	fmt.Fprintf(&b, "%+v\n", *c.line)
	c.t.Log(b.String())
}

// events returns the ids of the events of a type that the application got: one may come more than once, and is the same
// to the last octet then.
func (c *crash) events(eventType string) (ids []string) {
	bodies := map[string]string{}
	for _, e := range c.app.EventsOf(eventType) {
		if body, again := bodies[e.ID()]; again {
			assert.Equal(c.t, body, string(e.Body))
			continue
		}
		bodies[e.ID()] = string(e.Body)
		ids = append(ids, e.ID())
	}
	return ids
}

// cause is that of the one disconnect event.
func (c *crash) cause() (cause, message string) {
	for _, id := range idsOf(c.t, c.store) {
		r, err := c.store.Record(c.t.Context(), id)
		require.NoError(c.t, err)
		if r.DisconnectCause != nil {
			cause = *r.DisconnectCause
		}
		if r.ErrorMessage != nil {
			message = *r.ErrorMessage
		}
	}
	return cause, message
}

// referred checks what the one Refer of the call has come to.
func (c *crash) referred(status string) {
	c.t.Helper()
	for _, id := range idsOf(c.t, c.store) {
		r, err := c.store.Record(c.t.Context(), id)
		require.NoError(c.t, err)
		if assert.Len(c.t, r.Refers, 1) {
			assert.Equal(c.t, status, r.Refers[0].Status, r.Refers[0].Evidence)
		}
	}
}

// promises are those that hold whenever the node died.
func (c *crash) promises() {
	c.t.Helper()
	assert.Empty(c.t, c.line.faults, "what a phone must not see")
	assert.True(c.t, c.line.over, "no call is left up at the phone")
	begun := len(c.app.EventsOf("initiate")) > 0
	assert.LessOrEqual(c.t, len(c.events("initiate")), 1, "one initiate")
	if begun || len(idsOf(c.t, c.store)) > 0 {
		assert.Len(c.t, c.events("disconnect"), 1, "one disconnect")
		assert.LessOrEqual(c.t, len(idsOf(c.t, c.store)), 1, "one call")
	}
	assert.LessOrEqual(c.t, len(c.events("referComplete")), 1, "one referComplete")
	assert.LessOrEqual(c.t, len(c.line.refers), 1, "one REFER")
	left, err := c.store.Unfinished(c.t.Context())
	require.NoError(c.t, err)
	assert.Empty(c.t, left, "nothing is left to recover")
	debts, err := c.store.Debts(c.t.Context())
	require.NoError(c.t, err)
	assert.Empty(c.t, debts, "nothing is owed")
}
