package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/callengine/callengine/state"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// What a node asks another.
const (
	opRecords = "records" // a page of the records that it holds
	opDialog  = "dialog"  // has it the dialog?
	opCall    = "call"    // a request for a call that it holds
	opRelease = "release" // may I have my partition back?
)

// request is a message to a node, and reply its answer.
type request struct {
	Op        string          `json:"op"`
	CallID    string          `json:"callId,omitempty"`
	SIPCallID string          `json:"sipCallId,omitempty"`
	Partition string          `json:"partition,omitempty"`
	Query     *state.Query    `json:"query,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
}

type reply struct {
	OK   bool            `json:"ok"` // it has what was asked for
	Page *state.Page     `json:"page,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
}

// answerTime is how long a node may take to answer.
const answerTime = 2 * time.Second

// subject is where a process is asked.
func subject(instance string) string { return "callengine.node." + instance }

// ask asks one process.
func (c *Cluster) ask(ctx context.Context, instance string, r request) (answer reply, err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m, err := c.conn.RequestWithContext(ctx, subject(instance), data)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(m.Data, &answer)
}

// asked answers another process, in a goroutine of its own: one that takes its time keeps nobody else waiting.
func (c *Cluster) asked(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.working.Go(func() {
		var r request
		if err := json.Unmarshal(m.Data, &r); err != nil {
			c.log.Warn("a request of another node cannot be read", zap.Error(err))
			return
		}
		ctx, cancel := context.WithTimeout(c.living, answerTime)
		defer cancel()
		data, err := json.Marshal(c.answer(ctx, r))
		if err == nil {
			err = m.Respond(data)
		}
		if err != nil {
			c.log.Warn("a request of another node could not be answered", zap.String("op", r.Op), zap.Error(err))
		}
	})
}

func (c *Cluster) answer(ctx context.Context, r request) reply {
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	switch {
	case r.Op == opRelease:
		return reply{OK: c.giveUp(ctx, r.Partition)}
	case r.Op == opRecords && r.Query != nil:
		page, err := c.ownPage(ctx, *r.Query)
		return reply{OK: err == nil, Page: &page}
	case r.Op == opDialog && h != nil:
		return reply{OK: h.HasDialog(r.SIPCallID)}
	case r.Op == opCall && h != nil && c.holderOfCall(r.CallID) != nil:
		return reply{OK: true, Body: h.Request(ctx, r.CallID, r.Body)}
	}
	return reply{}
}

// peers returns the other processes that hold partitions.
func (c *Cluster) peers() []holder {
	c.mu.Lock()
	defer c.mu.Unlock()
	var peers []holder
	for _, h := range c.others {
		if !slices.ContainsFunc(peers, func(p holder) bool { return p.Instance == h.Instance }) {
			peers = append(peers, h)
		}
	}
	return peers
}

// Peers returns how the other nodes are reached that hold calls. One that has just begun may be missing for some seconds.
func (c *Cluster) Peers() (peers []Peer) {
	for _, h := range c.peers() {
		peers = append(peers, h.Peer)
	}
	return peers
}

// askAll asks all others at once. It calls each answer's function in turn until one returns true, or nobody is left.
func (c *Cluster) askAll(ctx context.Context, r request, take func(holder, reply, error) (enough bool)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answered struct {
		from  holder
		reply reply
		err   error
	}
	peers := c.peers()
	answers := make(chan answered, len(peers)) // all may answer after the last was read
	for _, p := range peers {
		go func() {
			a, err := c.ask(ctx, p.Instance, r)
			answers <- answered{p, a, err}
		}()
	}
	for range peers {
		if a := <-answers; take(a.from, a.reply, a.err) {
			return
		}
	}
}

// Owner returns the SIP URI of the other node that has a dialog; false: none has.
func (c *Cluster) Owner(ctx context.Context, sipCallID string) (uri string, ok bool) {
	c.askAll(ctx, request{Op: opDialog, SIPCallID: sipCallID}, func(from holder, r reply, err error) bool {
		if err == nil && r.OK {
			uri, ok = from.SIP, from.SIP != ""
		}
		return ok
	})
	return uri, ok
}

// ErrNoHolder says that no node has the call.
var ErrNoHolder = errors.New("no node has the call")

// Request has the node that holds a call do something for it, and returns what that says. It returns [ErrNoHolder] when
// there is none: the call is this node's own, or over, or its node is gone.
func (c *Cluster) Request(ctx context.Context, callID string, body []byte) (answer []byte, err error) {
	err = ErrNoHolder
	c.askAll(ctx, request{Op: opCall, CallID: callID, Body: body}, func(_ holder, r reply, failed error) bool {
		if failed != nil || !r.OK {
			return false
		}
		answer, err = r.Body, nil
		return true
	})
	return answer, err
}
