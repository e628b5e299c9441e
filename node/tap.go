package node

import (
	"context"
	"encoding/json"
	"time"

	"github.com/callengine/callengine/media"
	"github.com/callengine/callengine/sipstack"
	"github.com/callengine/callengine/state"
	"github.com/callengine/callengine/state/cdr"
	"github.com/callengine/callengine/webhook"
	"go.uber.org/zap"
)

// sipTap writes down what the SIP stack sees, as entries of the calls' journals.
type sipTap struct {
	journal *journal
	metrics *metrics
	log     *zap.Logger
	hep     *hepTap // nil: nothing is exported
	tracing *tracing
}

var _ sipstack.Observer = (*sipTap)(nil)

// SIP journals a message of a call. One that belongs to no call is only counted.
func (t *sipTap) SIP(callID string, m sipstack.Message) {
	direction := "out"
	if m.In {
		direction = "in"
	}
	t.metrics.sipMessage(direction, m.Method, m.Code)
	if t.hep != nil {
		t.hep.sip(m)
	}
	if callID == "" {
		return
	}
	t.journal.note(state.Entry{Time: m.Time, CallID: callID, Type: state.TypeSIP, SIP: &state.SIP{
		Direction: direction, Transport: m.Transport, Local: m.Local, Remote: m.Remote,
		Method: m.Method, Code: m.Code, Reason: m.Reason, CSeq: m.CSeq, Summary: m.Summary, Raw: m.Raw,
	}})
}

func (t *sipTap) Timer(callID, name, event string, d time.Duration) {
	entry := &state.Timer{Name: name, Event: event}
	if event == "started" {
		entry.After = d.String()
	}
	t.journal.note(state.Entry{CallID: callID, Type: state.TypeTimer, Timer: entry})
}

// Refer journals a step of a referral and counts its end.
func (t *sipTap) Refer(callID string, s sipstack.ReferState) {
	t.metrics.refer(callID, s)
	t.tracing.refer(callID, s)
	t.journal.note(state.Entry{CallID: callID, Type: state.TypeVerb, Verb: &state.Verb{
		Event: state.VerbProgress, Name: "Refer",
		Refer: &state.Refer{
			ID: s.ID, Target: s.Target, SentTime: s.Sent, AcceptedTime: moment(s.Accepted), EndTime: moment(s.Ended),
			ReferSIPResponseCode: s.ReferCode, NotifySIPResponseCode: s.NotifyCode,
			Status: s.Status, Billable: s.Billable(), Evidence: s.Evidence,
		},
	}})
}

// Media journals what was agreed on of the sound.
func (t *sipTap) Media(callID string, p media.Params) {
	detail := p.Codec.String()
	if p.EventType != 0 {
		detail += ", telephone-event"
	}
	switch {
	case p.Secure.DTLS != media.DTLS{}:
		detail += ", DTLS-SRTP"
	case p.Secure.On():
		detail += ", SRTP " + p.Secure.Send.String()
	}
	detail += ", " + p.Remote.String()
	switch {
	case !p.Send && !p.Receive:
		detail += ", inactive"
	case !p.Send:
		detail += ", on hold"
	case !p.Receive:
		detail += ", sent only"
	}
	t.journal.note(state.Entry{CallID: callID, Type: state.TypeMedia, Media: &state.Media{Event: "agreed", Detail: detail}})
}

// Digit journals a key.
func (t *sipTap) Digit(callID string, d media.Digit) {
	t.journal.note(state.Entry{Time: d.Time, CallID: callID, Type: state.TypeDigit, Digit: &state.Digit{
		Digit: string(rune(d.Key)), By: d.Way.String(), Millis: d.Length.Milliseconds(),
	}})
}

// Dialog journals what it takes to go on with a dialog after a restart.
func (t *sipTap) Dialog(callID string, snapshot []byte) {
	t.journal.note(state.Entry{CallID: callID, Type: state.TypeDialog, Dialog: &state.Dialog{Snapshot: snapshot}})
}

// Await waits until what was journalled is safe, as far as it has to be.
func (t *sipTap) Await(callID string) {
	if err := t.journal.Await(context.Background(), callID); err != nil {
		t.log.Error("the journal could not be written", zap.String("call_id", callID), zap.Error(err))
	}
}

func (t *sipTap) LateNotify(callID string) {
	t.metrics.lateNotify()
	t.log.Warn("a NOTIFY came after its REFER was over", zap.String("call_id", callID))
}

func (t *sipTap) Panic(callID string, v any) {
	t.metrics.PanicRecovered()
	t.log.Error("a SIP handler failed inside the node", zap.String("call_id", callID), zap.Any("panic", v), zap.Stack("stack"))
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	there := t // as t itself would be allocated for a zero time, too
	return &there
}

// webhookTap writes down the HTTP requests of events.
type webhookTap struct {
	journal *journal
	metrics *metrics
}

var _ webhook.Observer = (*webhookTap)(nil)

func (t *webhookTap) Request(x webhook.Exchange) {
	t.journal.note(state.Entry{CallID: x.Event.CallID, Type: state.TypeWebhook, Webhook: &state.Webhook{
		Event: state.WebhookRequest, EventID: x.Event.ID, EventType: x.Event.Type,
		Method: x.Method, URL: x.URL, Attempt: x.Attempt, Body: json.RawMessage(x.Event.Body),
	}})
}

func (t *webhookTap) Reply(x webhook.Exchange) {
	t.metrics.webhook(x)
	entry := &state.Webhook{
		Event: state.WebhookReply, EventID: x.Event.ID, EventType: x.Event.Type,
		Method: x.Method, URL: x.URL, Attempt: x.Attempt, Status: x.Status, Millis: x.Duration.Milliseconds(),
	}
	if x.Err != nil {
		entry.Error = x.Err.Error()
	}
	t.journal.note(state.Entry{CallID: x.Event.CallID, Type: state.TypeWebhook, Webhook: entry})
}

// journal is the store's journal with a reader of its own: whatever is appended is counted and logged here, so that
// there is no second place that has to know what happened.
type journal struct {
	state.Store
	metrics *metrics
	log     *zap.Logger
	details *cdr.Writer // nil: none are written
}

// Append implements [interpreter.Journal].
func (j *journal) Append(ctx context.Context, e state.Entry) (uint64, error) {
	seq, err := j.Store.Append(ctx, e)
	j.read(e)
	j.detail(e)
	return seq, err
}

// Owe implements [webhook.Ledger].
func (j *journal) Owe(ctx context.Context, to webhook.Target, ev webhook.Event, packed []byte) (uint64, error) {
	return j.Store.Owe(ctx, state.Owed{CallID: ev.CallID, ID: ev.ID, Type: ev.Type, Method: to.Method, URL: to.URL, Event: packed})
}

// note appends an entry for which nobody waits.
func (j *journal) note(e state.Entry) {
	if _, err := j.Append(context.Background(), e); err != nil {
		j.log.Error("the journal could not be written", zap.String("call_id", e.CallID), zap.Error(err))
	}
}

func (j *journal) read(e state.Entry) {
	switch {
	case e.Type == state.TypeCall && e.Call != nil:
		j.metrics.call(*e.Call)
		j.logCall(e.CallID, *e.Call)
	case e.Type == state.TypeMedia && e.Media != nil && e.Media.Stream != "":
		j.metrics.stream(*e.Media)
	case e.Type == state.TypeVerb && e.Verb != nil:
		j.metrics.verb(*e.Verb)
		if line := j.log.Check(zap.DebugLevel, "verb"); line != nil {
			line.Write(zap.String("call_id", e.CallID), zap.String("event", e.Verb.Event), zap.String("verb", e.Verb.Name))
		}
	}
}

func (j *journal) logCall(callID string, c state.Call) {
	switch c.Event {
	case state.CallInitiated:
		j.log.Info("call started", zap.String("call_id", callID), zap.String("from", c.From), zap.String("to", c.To),
			zap.String("application_id", c.ApplicationID), zap.String("sip_call_id", c.SIPCallID))
	case state.CallEnded:
		fields := []zap.Field{zap.String("call_id", callID), zap.String("cause", c.Cause)}
		if c.ErrorMessage == "" {
			j.log.Info("call ended", fields...)
			return
		}
		j.log.Warn("call ended", append(fields, zap.String("error", c.ErrorMessage), zap.String("error_id", c.ErrorID))...)
	}
}
