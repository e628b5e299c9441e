package scenario

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/callengine/callengine/state"
)

// take takes a step. The error says what the node did not do.
func (r *run) take(ctx context.Context, s *step) error {
	var refer *Refer
	if s.Refer != nil || s.Transfer != nil {
		var err error
		if refer, err = r.expectRefer(); err != nil {
			return err
		}
	}
	if err := sleep(ctx, max(s.Delay, time.Until(r.began.Add(s.At)))); err != nil {
		return err
	}
	switch {
	case s.Wait != nil:
		return r.wait(ctx, s.Wait)
	case s.Refer != nil:
		return r.answerRefer(refer, s.Refer)
	case s.Transfer != nil:
		return r.transfer(ctx, refer, s.Transfer)
	case s.Answer != nil:
		if len(r.unanswered) == 0 {
			return errors.New("there is no REFER that was to be answered later")
		}
		refer := r.unanswered[0]
		if s.Answer.Code >= 200 {
			r.unanswered = r.unanswered[1:]
		}
		return refer.Respond(int(s.Answer.Code), s.Answer.Headers.with(r.addresses)...)
	case s.Cancel != nil:
		m, err := r.call.NewCancel()
		if err != nil {
			return err
		}
		return r.send(ctx, s.Cancel.Expect, m.With(s.Cancel.Headers.with(r.addresses)...))
	case s.Raw != nil:
		return r.phone.SendRaw(ctx, r.peer.String(), []byte(lines(r.addresses.in(*s.Raw))))
	case s.Answers != nil:
		for method, code := range s.Answers {
			r.phone.Answer(method, int(code))
		}
		return nil
	case s.Disappear != nil:
		r.network.gone.Store(true)
		if r.phone.cfg.Transport != "udp" {
			return r.phone.wire.close()
		}
		return nil
	case s.Disconnect != nil:
		r.phone.Disconnect()
		return nil
	}
	if err := r.answered(ctx); err != nil {
		return err
	}
	return r.within(ctx, s)
}

// within takes a step that needs an answered call.
func (r *run) within(ctx context.Context, s *step) error {
	switch {
	case s.Ack != nil:
		return r.call.Ack(ctx, r.answer.res)
	case s.Hold != nil:
		return r.reinvite(ctx, &reinviteStep{Headers: s.Hold.Headers, Expect: s.Hold.Expect, Offer: SendOnly})
	case s.Resume != nil:
		return r.reinvite(ctx, &reinviteStep{Headers: s.Resume.Headers, Expect: s.Resume.Expect})
	case s.Reinvite != nil:
		return r.reinvite(ctx, s.Reinvite)
	case s.Burst != nil:
		return r.burst(ctx, s.Burst)
	case s.Repeat != nil:
		return r.repeat(ctx, max(1, s.Repeat.Times))
	case s.Digits != nil:
		if s.Digits.By == "info" {
			return r.digitsByInfo(ctx, s.Digits)
		}
		length, gap := s.Digits.Length, s.Digits.Gap
		if length == 0 {
			length = 100 * time.Millisecond
		}
		if gap == 0 {
			gap = 60 * time.Millisecond
		}
		if s.Digits.By == "tone" {
			return r.call.SendDigitTones(ctx, s.Digits.Digits, length, gap)
		}
		return r.call.SendDigits(ctx, s.Digits.Digits, length, gap)
	case s.Say != nil:
		return r.call.SendSamples(ctx, r.say(s.Say))
	case s.Tone != nil:
		return r.call.SendTone(ctx, float64(s.Tone.Hertz), s.Tone.Time)
	case s.Silence != 0:
		return r.call.SendTone(ctx, 0, s.Silence)
	case s.Audio != nil:
		return r.call.SendSamples(ctx, s.Audio.samples)
	}
	m, expect := r.request(s)
	return r.send(ctx, expect, m)
}

// digitsByInfo presses keys, each told in an INFO.
func (r *run) digitsByInfo(ctx context.Context, s *digitsStep) error {
	length := cmp.Or(s.Length, 100*time.Millisecond)
	for _, key := range s.Digits {
		if key == ',' {
			if err := sleep(ctx, pauseInDigits); err != nil {
				return err
			}
			continue
		}
		body := fmt.Sprintf("Signal=%c\r\nDuration=%d\r\n", key, length.Milliseconds())
		if err := r.send(ctx, s.Expect, r.call.New("INFO", "application/dtmf-relay", []byte(body))); err != nil {
			return err
		}
		if err := sleep(ctx, cmp.Or(s.Gap, 60*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// request builds the request of a step that is one.
func (r *run) request(s *step) (*Message, resultCode) {
	a := r.addresses
	switch {
	case s.Notify != nil:
		return r.notify(s.Notify), s.Notify.Expect
	case s.Bye != nil:
		return r.call.New("BYE", "", nil, s.Bye.Headers.with(a)...), s.Bye.Expect
	case s.Options != nil:
		return r.call.New("OPTIONS", "", nil, s.Options.Headers.with(a)...), s.Options.Expect
	case s.Info != nil:
		return r.call.New("INFO", a.in(s.Info.ContentType), []byte(lines(a.in(s.Info.Body))), s.Info.Headers.with(a)...), s.Info.Expect
	}
	q := s.Request
	if q.Expect.text == "" {
		q.Expect.text = "any"
	}
	return r.call.New(q.Method, a.in(q.ContentType), []byte(lines(a.in(q.Body))), q.Headers.with(a)...), q.Expect
}

func (r *run) notify(s *notifyStep) *Message {
	a := r.addresses
	n := Notify{
		ContentType: a.in(s.ContentType), Event: a.in(s.Event), State: a.in(s.State), Headers: s.Headers.with(a),
		NoEvent: s.Event == "none", NoState: s.State == "none", ID: r.eventID(s.ID),
	}
	if s.Body != nil {
		n.Body = []byte(lines(a.in(*s.Body)))
		n.NoBody = len(n.Body) == 0
	} else {
		n.Frag = s.frag(a)
	}
	r.call.mu.Lock()
	newest := r.call.cseq
	r.call.mu.Unlock()
	switch s.CSeq {
	case "":
	case "same":
		n.CSeq = newest
	case "lower":
		n.CSeq = max(newest, 2) - 1
	default:
		number, _ := strconv.ParseUint(s.CSeq, 10, 32) // it was checked when it was read
		n.CSeq = uint32(number)
	}
	m := r.call.NewNotify(n)
	if s.ContentType == "none" {
		m.Del("Content-Type")
	}
	return m
}

// eventID is the id of a NOTIFY's Event; 0: none (RFC 3515 section 2.4.6: it may be left out for the first REFER).
func (r *run) eventID(id string) uint32 {
	switch {
	case id == "none", id == "" && len(r.refers) < 2, len(r.refers) == 0 && (id == "first" || id == "last"):
		return 0
	case id == "first":
		return r.refers[0].CSeq()
	case id == "last", id == "":
		return r.refers[len(r.refers)-1].CSeq()
	}
	number, _ := strconv.ParseUint(id, 10, 32) // it was checked when it was read
	return uint32(number)
}

// send sends a request and holds the answer to what is expected: 200 where nothing is said.
func (r *run) send(ctx context.Context, expect resultCode, m *Message) error {
	r.newest = m
	if expect.text == "none" {
		return r.call.Send(ctx, m)
	}
	res, err := r.call.Do(ctx, m)
	return expect.hold(m, res, err)
}

// hold compares the answer to a request with what is expected.
func (c resultCode) hold(m, res *Message, err error) error {
	switch {
	case err != nil:
		var unseen *NotSeenError
		if errors.As(err, &unseen) {
			err = unseen.Err
		}
		return fmt.Errorf("%s got no answer: %w", short(m), err)
	case c.text == "any", c.text == "" && res.Code() == 200, c.text != "" && c.pattern.matches(res):
		return nil
	}
	want := c.text
	if want == "" {
		want = "200"
	}
	return fmt.Errorf("%s got %s, and must get %s", short(m), strings.TrimPrefix(res.Start, "SIP/2.0 "), want)
}

func (r *run) reinvite(ctx context.Context, s *reinviteStep) error {
	o := Offer{Direction: s.Offer, None: s.Offer == "none", Move: s.Move, Headers: s.Headers.with(r.addresses)}
	if s.SDP != "" {
		o.SDP = []byte(lines(r.addresses.in(s.SDP)))
	}
	res, err := r.call.ReInvite(ctx, o)
	r.call.mu.Lock()
	r.newest = r.call.newest()
	r.call.mu.Unlock()
	return s.Expect.hold(r.newest, res, err)
}

// burst sends requests in one breath, and then looks at the answers.
func (r *run) burst(ctx context.Context, steps []step) error {
	var requests []*Message
	var expect []resultCode
	for i := range steps {
		m, want := r.request(&steps[i])
		requests, expect = append(requests, m), append(expect, want)
	}
	if err := r.call.Send(ctx, requests...); err != nil {
		return err
	}
	for i, m := range requests {
		r.newest = m
		if expect[i].text == "none" {
			continue
		}
		res, err := r.call.final(ctx, m)
		if err := expect[i].hold(m, res, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) repeat(ctx context.Context, times int) error {
	if r.newest == nil {
		return errors.New("the phone has sent no request that could be repeated")
	}
	for range times {
		if err := r.call.Send(ctx, r.newest); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) wait(ctx context.Context, w *waitStep) error {
	switch {
	case w.SIP != nil:
		_, err := r.next(w.SIP.text, w.SIP.pattern)
		return err
	case w.Webhook != "":
		return r.entry(ctx, "webhook "+w.Webhook, func(e state.Entry) bool {
			return e.Webhook != nil && e.Webhook.Event == state.WebhookRequest && e.Webhook.EventType == w.Webhook
		})
	case w.Verb != "":
		event := cmp.Or(w.Event, state.VerbStarted)
		return r.entry(ctx, "verb "+w.Verb+" "+event, func(e state.Entry) bool {
			return e.Verb != nil && e.Verb.Event == event && e.Verb.Name == w.Verb
		})
	case w.Sound != nil:
		event := map[string]string{"": "playing", "started": "playing", "ended": "played"}[w.Event]
		return r.entry(ctx, "sound "+w.Sound.describe(r.addresses)+" "+event, func(e state.Entry) bool {
			return e.Media != nil && e.Media.Event == event && r.textDiffers("", w.Sound, e.Media.Detail) == ""
		})
	}
	return sleep(ctx, w.Time)
}

// expectRefer waits for the next REFER.
func (r *run) expectRefer() (*Refer, error) {
	m, err := r.next("REFER", pattern{method: "REFER"})
	if err != nil {
		return nil, err
	}
	refer := &Refer{m, r.call}
	r.refers = append(r.refers, refer)
	return refer, nil
}

func (r *run) answerRefer(refer *Refer, s *referStep) error {
	for _, code := range s.Provisional {
		if err := refer.Respond(int(code)); err != nil {
			return err
		}
	}
	if c := s.Challenge; c != nil {
		return refer.Challenge(Challenge{
			Proxy: c.Status == 407, Realm: c.Realm, Nonce: c.Nonce, Algorithm: c.Algorithm, QOP: c.QOP, Stale: c.Stale,
		})
	}
	code := responseCode(202)
	if s.Answer != nil {
		code = s.Answer.responseCode
	}
	switch code {
	case 0:
		return nil
	case answerLater:
		r.unanswered = append(r.unanswered, refer)
		return nil
	}
	return refer.Respond(int(code), s.Headers.with(r.addresses)...)
}
