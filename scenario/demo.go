package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/state"
)

// ErrDemo is returned by [Demo] when a call went otherwise than it should.
var ErrDemo = errors.New("a call of the demonstration went otherwise than it should")

// DemoOptions say how a demonstration is printed.
type DemoOptions struct {
	Color bool // with ANSI escape sequences
}

// demoNotifyTimeout stands in for the 30 s that a node waits for the final NOTIFY.
const demoNotifyTimeout = 2 * time.Second

// demoTime bounds the whole demonstration.
const demoTime = 28 * time.Second

// Demo shows what a node is for: it starts one on free ports of the loopback address, with the built-in application, and
// a scripted phone for each of four calls, which it places over real sockets, all at once. Then it prints each call's
// ladder and a line that says whether it went as it should.
//
// It returns [ErrDemo] when a call did not, and other errors when there was nothing to show.
func Demo(ctx context.Context, w io.Writer, o DemoOptions) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	fmt.Fprintf(w, "A node, its example application and %d scripted phones, on free ports of 127.0.0.1. The phones call at once;\n"+
		"each is referred to another address, and each Refer ends in another way. In this demonstration a node waits\n"+
		"%v for the final NOTIFY, in place of 30s.\n\n", len(demoCalls), demoNotifyTimeout)
	stage, err := openStage(ctx)
	if err != nil {
		return err
	}
	defer stage.close()

	went := make([]error, len(demoCalls))
	ids := make([]string, len(demoCalls)) // SIP Call-IDs
	var placing sync.WaitGroup
	for i, c := range demoCalls {
		placing.Go(func() { ids[i], went[i] = stage.place(ctx, c) })
	}
	placing.Wait()
	stage.node.Drain(ctx)

	for i, c := range demoCalls {
		fmt.Fprintf(w, "%d. %s\n\n", i+1, c.title)
		entries, record, err := stage.read(ctx, ids[i])
		if err != nil {
			went[i] = errors.Join(went[i], err)
			continue
		}
		if err := (state.Ladder{Color: o.Color}).Write(w, entries); err != nil {
			return err
		}
		fmt.Fprintln(w)
		went[i] = errors.Join(went[i], c.compare(record, entries))
	}
	return sum(w, went)
}

// sum prints a line per call.
func sum(w io.Writer, went []error) (err error) {
	for i, c := range demoCalls {
		if went[i] != nil {
			fmt.Fprintf(w, "FAIL  %d. %s: %s\n", i+1, c.title, strings.ReplaceAll(went[i].Error(), "\n", "; "))
			err = ErrDemo
			continue
		}
		fmt.Fprintf(w, "ok    %d. %s: %s\n", i+1, c.title, c.want)
	}
	return err
}

// stage is what the calls of a demonstration play on.
type stage struct {
	node *node.Node
	app  *node.Example
	sip  netip.AddrPort

	mu     sync.Mutex
	phones []*Phone // open until the end, for they have to answer what comes late
}

func (s *stage) phone(ctx context.Context, user string) (*Phone, error) {
	p, err := NewPhone(ctx, System{}, PhoneConfig{User: user})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phones = append(s.phones, p)
	return p, nil
}

func openStage(ctx context.Context) (*stage, error) {
	app, err := node.StartExample(ctx)
	if err != nil {
		return nil, err
	}
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	cfg := node.DefaultConfig()
	cfg.Applications = []node.Application{app.Application()}
	cfg.SIP.Listen = []node.Listener{{Network: "udp", Addr: loopback}}
	cfg.API.Listen, cfg.API.PublicURL = loopback.String(), ""
	cfg.Refer.NotifyTimeout = demoNotifyTimeout
	n, err := node.New(cfg)
	if err != nil {
		return nil, errors.Join(err, app.Close())
	}
	s := &stage{node: n, app: app}
	if missing := n.SpeechMissing(); missing != "" {
		s.close()
		return nil, fmt.Errorf("the demonstration speaks: %s", missing)
	}
	if err := n.Start(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.sip, err = netip.ParseAddrPort(n.SIPAddrs()[0].String())
	return s, err
}

func (s *stage) close() {
	_ = s.node.Close() // what was worth saying is in the calls' journals
	_ = s.app.Close()
	for _, p := range s.phones {
		_ = p.Close()
	}
}

// place makes one call and plays the phone's part in it, to the node's BYE.
func (s *stage) place(ctx context.Context, c demoCall) (sipCallID string, err error) {
	phone, err := s.phone(ctx, c.from)
	if err != nil {
		return "", err
	}
	call, err := phone.Invite(ctx, Invite{
		To:      "sip:refer@" + s.sip.String(),
		Headers: []Header{{Name: "X-Refer-To", Value: c.target}},
	})
	if err != nil {
		return "", err
	}
	if _, err := call.Answered(ctx); err != nil {
		return call.ID(), err
	}
	refer, err := call.ExpectRefer(ctx)
	if err != nil {
		return call.ID(), err
	}
	if err := refer.Respond(c.answer); err != nil {
		return call.ID(), err
	}
	for _, frag := range c.notifies {
		if _, err := call.Notify(ctx, Notify{Frag: frag, ID: refer.CSeq()}); err != nil {
			return call.ID(), err
		}
	}
	select {
	case <-call.Ended():
		return call.ID(), nil
	case <-ctx.Done():
		return call.ID(), errors.New("the node did not hang up")
	}
}

// read returns the journal and the record of the call with this SIP Call-ID.
func (s *stage) read(ctx context.Context, sipCallID string) ([]state.Entry, state.Record, error) {
	records, _, err := s.node.Store().Records(ctx, state.Query{})
	if err != nil {
		return nil, state.Record{}, err
	}
	for _, r := range records {
		if r.SIPCallID == sipCallID {
			entries, err := s.node.Store().Journal(ctx, r.CallID)
			return entries, r, err
		}
	}
	return nil, state.Record{}, errors.New("the node knows nothing of the call")
}
