package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callengine/callengine/node"
	"github.com/callengine/callengine/state"
)

// run is one scenario under way, with everything that it needs.
type run struct {
	file    *File
	spec    *spec
	options RunOptions

	app          *Application
	sockets      socketServer
	speech       *Application
	folder       string     // of what the node keeps
	authority    *Authority // nil: the call is not over TLS
	node         *node.Node
	peer         netip.AddrPort // where the phone reaches the node
	network      *impaired      // the phone's
	phone        *Phone
	destinations map[string]*Phone
	addresses    addresses
	told         atomic.Pointer[addresses] // addresses, once all are known: the application answers in goroutines of its own
	behind       sync.WaitGroup            // what goes on beside the phone's steps
	running      context.Context           // ends when all is to end
	stop         context.CancelFunc

	call       *Call
	began      time.Time // when the INVITE was sent
	answer     answer
	over       context.Context // ends a little after the call
	seen       map[*Message]bool
	waited     map[string]int // how many entries of the journal were waited for
	refers     []*Refer
	unanswered []*Refer // not answered yet
	newest     *Message // request of the phone
	failures   []Failure
	broken     bool  // a step failed: the call was not played to its end
	failed     error // of the machinery
	journal    []state.Entry
	record     state.Record
	sound      Sound
}

// answer is the final response to the INVITE.
type answer struct {
	came chan struct{} // closed when the others are set
	res  *Message
	err  error
}

// open starts everything.
func (r *run) open(ctx context.Context) error {
	r.seen, r.waited, r.destinations = map[*Message]bool{}, map[string]int{}, map[string]*Phone{}
	r.answer.came = make(chan struct{})
	r.addresses = addresses{}
	r.running, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, start := range []func(context.Context) error{r.openApplication, r.openPhones, r.openNode} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	r.told.Store(&r.addresses)
	for name, p := range r.destinations {
		to := r.spec.Destinations[name]
		r.behind.Go(func() { r.answerCalls(r.running, p, to) })
	}
	return nil
}

func (r *run) openApplication(ctx context.Context) error {
	var err error
	if r.speech, err = NewApplication(ctx, r.options.Network, ApplicationConfig{}); err != nil {
		return err
	}
	r.speech.Decide(r.spec.Speech.speak)
	r.speech.takeWebSockets((&hearing{texts: r.spec.said()}).serve)
	r.addresses["speech"], r.addresses["hearing"] = r.speech.URL("/speech"), asWebSocket(r.speech.URL("/hearing"))
	if address := cmp.Or(r.options.App, r.addresses.in(r.spec.Application.URL)); address != "" {
		u, err := applicationURL(address)
		if err != nil {
			return fmt.Errorf("the application's URL %w", err)
		}
		r.addresses["app"] = u.Scheme + "://" + u.Host
		r.addresses["websocket"] = asWebSocket(r.addresses["app"])
		r.addresses["initiate"], r.addresses["status"] = address, address
		return nil
	}
	if r.app, err = NewApplication(ctx, r.options.Network, ApplicationConfig{}); err != nil {
		return err
	}
	r.addresses["app"] = r.app.URL("")
	r.addresses["websocket"] = asWebSocket(r.addresses["app"])
	r.addresses["initiate"], r.addresses["status"] = r.app.URL("/initiate"), r.app.URL("/status")
	replies := &replier{rules: r.spec.Application.Replies, addresses: r.known, given: map[*replySpec]bool{}}
	r.app.Decide(replies.reply)
	r.sockets.choose = replies.socket
	r.app.takeWebSockets(r.sockets.serve)
	return nil
}

// known returns the addresses; none before all are known.
func (r *run) known() addresses {
	if a := r.told.Load(); a != nil {
		return *a
	}
	return nil
}

func (r *run) openPhones(ctx context.Context) error {
	r.network = impairing(r.options.Network, r.spec.Impairments)
	for i := range r.spec.Phone {
		r.network.needed = r.network.needed || r.spec.Phone[i].Disappear != nil
	}
	cfg := PhoneConfig{Transport: r.spec.Call.Transport, Codecs: r.spec.Call.Codecs, NoEvents: r.spec.Call.NoEvents, Compact: r.spec.Call.Compact}
	if from := string(r.spec.Call.From); !strings.Contains(from, ":") {
		cfg.User = from
	}
	var err error
	if cfg.Transport == "tls" {
		if r.authority, err = NewAuthority(); err != nil {
			return err
		}
		if cfg.TLS, err = r.authority.PhoneTLS(); err != nil {
			return err
		}
	}
	if r.phone, err = NewPhone(ctx, r.network, cfg); err != nil {
		return err
	}
	r.addresses["phone"] = r.phone.URI()
	for name := range r.spec.Destinations {
		p, err := NewPhone(ctx, r.options.Network, PhoneConfig{Transport: cfg.Transport, TLS: cfg.TLS, User: name})
		if err != nil {
			return err
		}
		r.destinations[name] = p
		r.addresses[name] = p.URI()
	}
	return nil
}

// keepIn has the node keep recordings and texts, of which a scenario says nothing, in a folder that goes with the run.
func (r *run) keepIn(cfg *node.Config) (err error) {
	if r.folder, err = os.MkdirTemp("", "callengine-scenario-"); err != nil {
		return fmt.Errorf("the node has no folder: %w", err)
	}
	standard := node.DefaultConfig()
	if cfg.Recordings.Dir == standard.Recordings.Dir {
		cfg.Recordings.Dir = filepath.Join(r.folder, "recordings")
	}
	if cfg.Transcriptions.Dir == standard.Transcriptions.Dir {
		cfg.Transcriptions.Dir = filepath.Join(r.folder, "transcriptions")
	}
	return nil
}

func (r *run) openNode(ctx context.Context) error {
	cfg, err := r.spec.Settings.config(r.file, r.addresses, r.spec.Timers)
	if err != nil {
		return err
	}
	if err := r.secure(&cfg); err != nil {
		return err
	}
	if err := r.keepIn(&cfg); err != nil {
		return err
	}
	var opts []node.Option
	if _, host := r.options.Network.(System); !host {
		opts = append(opts, node.WithNetwork(r.options.Network))
	}
	if r.node, err = node.New(cfg, opts...); err != nil {
		return err
	}
	if err := r.node.Start(ctx); err != nil {
		return err
	}
	transport := cmp.Or(r.spec.Call.Transport, "udp")
	for i, a := range r.node.SIPAddrs() {
		if cfg.SIP.Listen[i].Network == transport {
			r.peer, err = netip.ParseAddrPort(a.String())
			r.peer = unmapped(r.peer)
			r.addresses["node"] = r.peer.String()
			r.network.watch(r.peer)
			return err
		}
	}
	return fmt.Errorf("settings: sip.listen has no %s, over which the phone would call", transport)
}

// secure gives the node what a call over TLS needs and the settings leave out.
func (r *run) secure(cfg *node.Config) error {
	if r.authority == nil {
		return nil
	}
	if !slices.ContainsFunc(cfg.SIP.Listen, func(l node.Listener) bool { return l.Network == "tls" }) {
		cfg.SIP.Listen = append(cfg.SIP.Listen, node.Listener{Network: "tls", Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	}
	if cfg.SIP.TLS.CertFile != "" {
		return nil
	}
	var err error
	cfg.SIP.TLS.CertFile, cfg.SIP.TLS.KeyFile, err = r.authority.Issue("node")
	cfg.SIP.TLS.CAFile, cfg.SIP.TLS.VerifyClient = r.authority.CAFile(), true
	return err
}

// close ends everything and waits for it.
func (r *run) close() error {
	var errs []error
	r.stop()
	if r.node != nil {
		errs = append(errs, r.node.Close())
	}
	if r.folder != "" {
		errs = append(errs, os.RemoveAll(r.folder))
	}
	if r.phone != nil {
		errs = append(errs, r.phone.Close())
	}
	for _, p := range r.destinations {
		errs = append(errs, p.Close())
	}
	r.behind.Wait()
	if r.authority != nil {
		errs = append(errs, r.authority.Close())
	}
	for _, a := range []*Application{r.app, r.speech} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, net.ErrClosed) })...)
}

// replier answers as a scenario's replies say. It is asked one event at a time.
type replier struct {
	rules     replyList
	addresses func() addresses
	mu        sync.Mutex // guards given: requests for WebSockets come at any time
	given     map[*replySpec]bool
}

func (p *replier) reply(e *Event) Reply {
	reply, _ := p.socket(e)
	return reply
}

// socket is reply, with when a WebSocket is to be closed that is taken.
func (p *replier) socket(e *Event) (Reply, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range []string{e.Path, e.Type()} {
		for i := range p.rules {
			if p.rules[i].key != key {
				continue
			}
			if spec := p.choose(p.rules[i].replies, e); spec != nil {
				p.given[spec] = true
				return spec.reply(p.addresses()), spec.Close
			}
		}
	}
	return Reply{}, 0
}

// choose returns the first reply that fits and was not given yet, else the last one that fits; nil: none does.
func (p *replier) choose(replies []replySpec, e *Event) (last *replySpec) {
	for i := range replies {
		spec := &replies[i]
		if spec.When.differs(e.Properties, p.addresses()) == "" && spec.headed(e, p.addresses()) {
			if last = spec; !p.given[spec] {
				return spec
			}
		}
	}
	return last
}

// headed reports whether a request has the header fields that the reply wants.
func (s *replySpec) headed(e *Event, a addresses) bool {
	for i := range s.Headed {
		h := &s.Headed[i]
		value := e.Header.Get(h.name)
		if h.differs(headerText(value), value != "", a) != "" {
			return false
		}
	}
	return true
}

func (s *replySpec) reply(a addresses) Reply {
	reply := Reply{Status: s.Status, Delay: s.Delay, Hang: s.Hang, Drop: s.Drop, Redirect: a.in(s.Redirect), Header: http.Header{}}
	if s.Body != nil {
		reply.Body = string(*s.Body)
		if !s.raw {
			reply.Body = a.in(*s.Body)
		}
		reply.Status = cmp.Or(reply.Status, http.StatusOK)
	}
	if s.contentType != "" {
		reply.Header.Set("Content-Type", s.contentType)
	}
	for _, h := range s.Headers.with(a) {
		reply.Header.Add(h.Name, h.Value)
	}
	return reply
}
