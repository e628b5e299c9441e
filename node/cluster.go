package node

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/callengine/callengine/api"
	"github.com/callengine/callengine/interpreter"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cluster"
	"go.uber.org/zap"
)

// member is a node as the others of its cluster see it.
type member struct{ node *Node }

var (
	_ cluster.Handler = member{}
	_ sipstack.Owners = member{}
)

// HasDialog implements [cluster.Handler].
func (m member) HasDialog(sipCallID string) bool { return m.node.sip.Has(sipCallID) }

// Owner implements [sipstack.Owners].
func (m member) Owner(ctx context.Context, sipCallID string) (uri string, ok bool) {
	return m.node.cluster.Owner(ctx, sipCallID)
}

// modification is a change of a call that another node runs. One of its fields is set.
type modification struct {
	Redirect *interpreter.Redirection `json:"redirect,omitempty"`
	Replace  []byte                   `json:"replace,omitempty"`
	Complete bool                     `json:"complete,omitempty"`
	Pause    *bool                    `json:"pause,omitempty"` // the recording; false: go on with it
}

// modified is what became of it; the zero value: it was accepted.
type modified struct {
	NotModifiable bool   `json:"notModifiable,omitempty"`
	NoRecording   bool   `json:"noRecording,omitempty"`
	Document      string `json:"document,omitempty"` // what is wrong with it
	Error         string `json:"error,omitempty"`
}

// Request implements [cluster.Handler]: it changes a call that this node runs.
func (m member) Request(_ context.Context, callID string, request []byte) []byte {
	var wanted modification
	err := json.Unmarshal(request, &wanted)
	if err == nil {
		err = m.node.calls.modify(callID, wanted)
	}
	var answer modified
	var document *interpreter.DocumentError
	switch {
	case errors.Is(err, interpreter.ErrNotModifiable):
		answer.NotModifiable = true
	case errors.Is(err, api.ErrNoRecording):
		answer.NoRecording = true
	case errors.As(err, &document):
		answer.Document = document.Err.Error()
	case err != nil:
		answer.Error = err.Error()
	}
	b, _ := json.Marshal(answer) // strings always marshal
	return b
}

// elsewhereTime is how long a node waits for what another says of a call.
const elsewhereTime = 5 * time.Second

// elsewhere has a call changed by the node that runs it.
func (c *calls) elsewhere(callID string, wanted modification) error {
	if c.node.cluster == nil {
		return interpreter.ErrNotModifiable
	}
	body, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.node.closed, elsewhereTime)
	defer cancel()
	answer, err := c.node.cluster.Request(ctx, callID, body)
	if errors.Is(err, cluster.ErrNoHolder) {
		return interpreter.ErrNotModifiable
	}
	var said modified
	if err == nil {
		err = json.Unmarshal(answer, &said)
	}
	switch {
	case err != nil:
		return err
	case said.NotModifiable:
		return interpreter.ErrNotModifiable
	case said.NoRecording:
		return api.ErrNoRecording
	case said.Document != "":
		return &interpreter.DocumentError{Err: errors.New(said.Document)}
	case said.Error != "":
		return errors.New("the node that runs the call says: " + said.Error)
	}
	return nil
}

// TakenOver implements [cluster.Handler]: it goes on with the calls of a node that is gone, and delivers what they owe.
func (m member) TakenOver(store state.Store) {
	n := m.node
	if err := n.recoverFrom(n.closed, store, n.sip.TakeUp); err != nil {
		n.log.Error("calls of a node that is gone cannot be gone on with", zap.Error(err))
	}
	if err := n.resumeOutbox(n.closed, store); err != nil {
		n.log.Error("events of a node that is gone cannot be delivered", zap.Error(err))
	}
}

// joinCluster tells the other nodes that this one is there, and how they reach it.
func (n *Node) joinCluster() {
	if n.cluster == nil {
		return
	}
	n.cluster.Serve(cluster.Peer{SIP: n.peerURI(), Health: "http://" + n.reachable(n.apiAddr.String()) + healthPath}, member{n})
	n.serving.Go(func() {
		select {
		case err := <-n.cluster.Lost():
			n.failures <- err
		case <-n.closed.Done():
		}
	})
}

// otherAPIs are those of the other nodes: where they say that they live.
func (n *Node) otherAPIs() (urls []string) {
	if n.cluster == nil {
		return nil
	}
	for _, p := range n.cluster.Peers() {
		urls = append(urls, strings.TrimSuffix(p.Health, healthPath))
	}
	return urls
}

// healthPath is docs/operating.md's.
const healthPath = "/healthz"

// peerURI is where the other nodes send what belongs to this one: its first listener that is not TLS.
func (n *Node) peerURI() string {
	addrs := n.sip.Addrs()
	for i, l := range n.cfg.SIP.Listen {
		if l.Network != "tls" {
			return "sip:" + n.reachable(addrs[i].String()) + ";transport=" + l.Network
		}
	}
	return "sips:" + n.reachable(addrs[0].String())
}

// reachable gives a listener's address a host that others can reach: one that listens at all addresses has none of its own.
func (n *Node) reachable(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsUnspecified() {
		return address
	}
	_, port, _ := net.SplitHostPort(address)
	host := n.cfg.State.Node
	if ip, err := n.cfg.mediaAddress(); err == nil && ip.IsValid() {
		host = ip.String()
	}
	return net.JoinHostPort(host, port)
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// nodeName is the node's name in its cluster: the host's, where none is configured.
func (c StateConfig) nodeName() string {
	if c.Node != "" {
		return c.Node
	}
	host, err := os.Hostname()
	if name := strings.Trim(notInName.ReplaceAllString(host, "-"), "-"); err == nil && name != "" {
		return name
	}
	return "node"
}
