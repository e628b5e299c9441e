package media

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Session is the RTP of one call. From the first Configure to Close it sends a packet every 20 ms, silence where nothing
// is played: a stream that never pauses keeps the bindings of NATs open, stops carriers from ending a call for lack of
// media, and lets a phone's jitter buffer settle before the first word.
//
// All methods may be called by several goroutines at once.
type Session struct {
	engine *Engine
	callID string
	port   int
	rtp    socket
	rtcp   socket
	clock  *clock

	turn    chan struct{} // holds one token: whoever has it plays
	started chan struct{} // closed by the first Configure
	closing chan struct{} // closed by Close
	ending  sync.Once
	err     error // of Close

	mu     sync.Mutex // guards what follows; held for no I/O
	sender *sender    // nil: before the first Configure
	params Params
	before struct { // what sound came as before the newest change of it
		Codec       Codec
		PayloadType uint8
		known       bool
	}
	window    time.Time // until when another source than the signalled one may be latched to
	media     route
	control   route
	playout   *playout // nil: nothing is played
	reception reception
	report    senderReport
	listeners []*Listener
	hearing   *hearing // nil: nobody listens
	guards    *guards  // nil: sound is not protected

	associations []*association // of DTLS

	correlation string

	// Of the goroutine that receives RTP.
	events events
	ear    *ear // nil: no tones were listened for yet

	pressing sync.Mutex // guards what follows
	presses  presses
	onDigit  func(Digit)
}

func newSession(e *Engine, opened pair, callID string) *Session {
	return &Session{
		engine: e, callID: callID, correlation: callID, clock: e.clocks.pick(),
		port: opened.port, rtp: opened.rtp, rtcp: opened.rtcp,
		turn: make(chan struct{}, 1), started: make(chan struct{}), closing: make(chan struct{}),
	}
}

func (s *Session) logger() *zap.Logger {
	return s.engine.log.With(zap.String("call_id", s.callID), zap.Int("rtp_port", s.port))
}

// Port returns the local RTP port; RTCP has the next one.
func (s *Session) Port() int { return s.port }

// Configure sets what signalling has agreed on. The first time RTP starts; later (re-INVITE) it goes on as p says, with
// timestamps and sequence numbers continued.
//
// Packets go to p.Remote until the peer has sent valid ones itself; from then on they go where those came from
// (symmetric RTP, RFC 4961: behind a NAT the address in SDP is not reachable), as far as [Latching] allows it. The first
// source wins, and what others send is ignored and counted, so that nobody can divert the sound or speak in it; a new
// p.Remote starts over.
func (s *Session) Configure(p Params) {
	now := time.Now()
	x, then := s.configure(p, now)
	if then != nil {
		then()
	}
	if x != nil {
		close(s.started)
		s.receive()
		s.clock.add(x, now)
	}
}

// configure takes over what was agreed on. The first time it returns the sender, for who starts it; then, where it is not nil, is
// to be called.
func (s *Session) configure(p Params, now time.Time) (x *sender, then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return nil, nil
	default:
	}
	then = s.protect(p.Secure, p.Remote != s.params.Remote && usable(p.Remote))
	if p.Remote != s.params.Remote {
		s.reception.latching = probation{}
	}
	if started := s.params.Remote.IsValid() || s.params.Receive; started && p.PayloadType != s.params.PayloadType {
		s.before.Codec, s.before.PayloadType, s.before.known = s.params.Codec, s.params.PayloadType, true
	}
	s.params = p
	s.window = now.Add(s.engine.latching.time)
	s.media.signal(p.Remote)
	s.control.signal(rtcpOf(p))
	if s.sender != nil {
		return nil, then
	}
	s.sender = newSender(s)
	s.sender.begin(now)
	return s.sender, then
}

// Play plays src at the pace of the clock and returns when its last sample has been sent, or at once with the cause of
// ctx, the error of src, or [ErrClosed]. Where src is not ready in time, silence goes out. While the session is on hold
// the clock goes on, unheard. Before the first Configure it waits. Only one source plays at a time; further ones wait
// their turn.
//
// Play may close src if ctx ends; it is for the caller to do so when Play has returned.
//
// A call waits here for most of its life, so what is below it on the stack, and this, is kept small: beyond 3.2 KiB Go keeps a
// stack of 16 KiB for each call where 8 would do.
func (s *Session) Play(ctx context.Context, src Source) error {
	if err := s.takeTurn(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	p := newPlayout(src)
	if keys, ok := src.(*strokeTones); ok && keys.silent {
		p.keying = &keying{strokes: keys.strokes}
	}
	release := whenDone(ctx, func() {
		p.finish(context.Cause(ctx))
		_ = src.Close() // so that nobody waits in its ReadFrame
	})
	defer release()
	if err := s.setPlayout(p); err != nil {
		return err
	}
	defer func() { _ = s.setPlayout(nil) }()
	return p.play(src)
}

// takeTurn waits until the session has begun and nothing else is played.
func (s *Session) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closing:
		return ErrClosed
	}
	select {
	case <-s.started:
		return nil
	case <-ctx.Done():
		<-s.turn
		return context.Cause(ctx)
	case <-s.closing:
		<-s.turn
		return ErrClosed
	}
}

// setPlayout has p heard, or nothing if it is nil. It returns [ErrClosed] when the session is closed.
func (s *Session) setPlayout(p *playout) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	s.playout = p
	return nil
}

// Close says goodbye to the peer (RTCP BYE), closes the sockets and gives the ports back. It is idempotent. When it returns
// nothing is sent, and nobody told of anything, any more.
func (s *Session) Close() error {
	s.ending.Do(func() {
		s.mu.Lock()
		close(s.closing)
		x, end, playing := s.sender, s.endAssociations(), s.playout
		s.mu.Unlock()
		end()
		if playing != nil {
			playing.finish(ErrClosed)
		}
		if x != nil {
			s.clock.remove(x)
			x.goodbye(time.Now())
		}
		s.err = errors.Join(s.rtp.Close(), s.rtcp.Close())
		s.engine.ports.giveBack(s.port)
		s.engine.forget(s)
	})
	return s.err
}
